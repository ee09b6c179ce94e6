"""`python -m bench.memory NAMESPACE DATA_ROOT EXEC_ROOT`: what 1,000 published ports take in a process of their own."""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from linkspan import CreateNetwork, CreateSandbox, Engine, Publish

RANGE = "20000-20999"
_SOCKET_SLABS = frozenset({"TCP", "sock_inode_cache", "dentry", "filp"})


def private() -> int:
    """Bytes of memory that this process alone uses (Private_Clean and Private_Dirty)."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def sockets() -> int:
    """Bytes of the kernel's slabs that a socket is made of. Of the whole machine: only a growth says something."""
    slabs = (line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:])
    return sum(int(active) * int(size) for name, active, _, size, *_ in slabs if name in _SOCKET_SLABS)


def watched() -> int:
    """How many files this process waits for, in all its epoll sets."""
    count = 0
    for path in Path("/proc/self/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # the listing itself
            count += path.read_text().count("tfd:")
    return count


async def _served(ports: int) -> None:
    """Wait until the relay watches so many sockets, which it goes on doing when the request has been answered."""
    deadline = time.monotonic() + 10
    while watched() < ports:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the relay does not serve {ports} ports")
        await asyncio.sleep(0.01)


async def measure(namespace: str, data_root: str, exec_root: str) -> Mapping[str, int]:
    """The growth from one published port to 1,001."""
    async with Engine.open(data_root=data_root, exec_root=exec_root, namespace=namespace) as engine:
        await engine.apply(CreateNetwork("net"))
        await engine.apply(CreateSandbox("box", networks=["net"], publish=["10000:80"]))
        before = private(), sockets()
        await engine.apply(Publish("box", [f"{RANGE}:{RANGE}"]))
        await _served(1000)
        after = private(), sockets()
        return {"process": after[0] - before[0], "kernel": after[1] - before[1]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(*sys.argv[1:]))))

"""A process that dies at a chosen step of a container's life: `python -m tests.support.doomed ROOT NAMESPACE STEP`.

A step is the moment before or after anything is asked of the kernel, the store or the engine. It prints `alive` when
the life had fewer steps than that.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from linkspan.engine.core import Engine
from linkspan.kernel.linux import LinuxKernel
from linkspan.model.containers import CreateContainer, ExecRequest
from linkspan.store.sqlite import SqliteStore
from linkspan.wiring import open_with_images

WATCHED: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (LinuxKernel, ("spawn", "mount_overlay", "unmount", "remove_cgroup")),
    (SqliteStore, ("put_container", "delete_container")),
    (Engine, ("apply",)),
)


class Fate:
    """Counts steps, from the moment it is armed, and kills the process at the chosen one."""

    def __init__(self, last: int) -> None:
        self._left = last
        self.armed = False

    def step(self) -> None:
        if self.armed:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, kind: type[Any], name: str) -> None:
        original: Callable[..., Awaitable[object]] = getattr(kind, name)

        async def watched(*arguments: Any, **named: Any) -> object:
            self.step()
            result = await original(*arguments, **named)
            self.step()
            return result

        setattr(kind, name, watched)


async def live(root: Path, namespace: Path, fate: Fate) -> None:
    """Create, start, exec, stop, start again, remove by force; and one that removes itself."""
    async with open_with_images(data_root=root / "data", exec_root=root / "exec", namespace=namespace) as opened:
        _, containers, _ = opened
        fate.armed = True
        rootfs = str(root / "rootfs")
        await containers.create(CreateContainer("doomed", rootfs, ("sleep", "1000"), publish=("8080:80",)))
        await containers.start("doomed")
        session = await containers.exec_create("doomed", ExecRequest(("true",)))
        streams = await containers.exec_start(session.id)
        assert streams is not None
        async for _ in streams:
            pass
        await containers.stop("doomed", timeout=0)
        await containers.start("doomed")
        await containers.remove("doomed", force=True)
        await containers.create(CreateContainer("brief", rootfs, ("true",), auto_remove=True))
        removed = containers.wait("brief", "removed")
        await containers.start("brief")
        await removed
        fate.armed = False


def main() -> None:
    root, namespace, last = sys.argv[1:]
    fate = Fate(int(last))
    for kind, names in WATCHED:
        for name in names:
            fate.watch(kind, name)
    asyncio.run(live(Path(root), Path(namespace), fate))
    sys.stdout.write("alive\n")


if __name__ == "__main__":
    main()

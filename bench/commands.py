"""The command line as a person types it: the process of the client with all of its start-up, beside Docker's."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from bench.figures import Row, milliseconds
from bench.rooms import Rooms, settle
from bench.sides import FIRST_PORT, LINKSPAN, Side, beside, sides

ROUNDS = 10
_SLEEP = ("/bin/busybox", "sleep", "100000")
_LIMITS = {"network create": 0.6, "network rm": 0.6, "run -d -p": 0.5, "rm -f": None}


def words(root: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """What is typed after the program, each undoing the one before; `root` says where the root file system is."""
    return {
        "network create": ("network", "create", "net"),
        "network rm": ("network", "rm", "net"),
        "run -d -p": ("run", "-d", "--name", "one", "-p", f"{FIRST_PORT}:80", *root, *_SLEEP),
        "rm -f": ("rm", "-f", "one"),
    }


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run."""
    listing: dict[str, list[float]] = {"bare": [], "ls": []}
    with sides(rooms) as (ours, theirs, notes):
        for _ in range(ROUNDS):
            if theirs is not None:
                await asyncio.to_thread(_round, theirs, "docker", ["box"])
            await asyncio.to_thread(_round, ours, LINKSPAN, ["--rootfs", str(ours.root["Rootfs"])])
            await asyncio.to_thread(_list, ours, listing)
    rows = [
        beside(f"`linkspan {what}`", limit, ours.times[what], theirs.times[what] if theirs is not None else None)
        for what, limit in _LIMITS.items()
    ]
    return [*rows, _listing(listing), *notes]


def _round(side: Side, program: str, root: Sequence[str]) -> None:
    for what, typed in words(root).items():
        side.timed(what, lambda typed=typed: side.command(program, *typed))  # type: ignore[misc]
        settle()


def _list(side: Side, times: dict[str, list[float]]) -> None:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    middle = time.perf_counter()
    side.command(LINKSPAN, "network", "ls")
    times["bare"].append(middle - start)
    times["ls"].append(time.perf_counter() - middle)


def _listing(times: dict[str, list[float]]) -> Row:
    ls, bare = statistics.median(times["ls"]), statistics.median(times["bare"])
    seen = f"{milliseconds(ls)}, python3 {milliseconds(bare)}"
    return Row("`linkspan network ls` beyond `python3 -c pass`", (ls - bare) * 1000, 60, "ms", seen, times)

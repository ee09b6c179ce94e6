"""The command line as a person types it: the process of the client with all of its start-up, beside Docker's."""

import asyncio
import statistics
import subprocess
import sys
import time

from bench.figures import Row, milliseconds
from bench.rooms import Rooms, settle
from bench.sides import LINKSPAN, Side, beside, sides

ROUNDS = 10
_DOCKER, _OURS = "docker", "linkspan"
_WORDS = {"network create": ("network", "create", "net"), "network rm": ("network", "rm", "net")}


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run: our command with our daemon, and the docker command with both."""
    listing: dict[str, list[float]] = {"bare": [], "ls": []}
    with sides(rooms) as (ours, theirs, notes):
        for _ in range(ROUNDS):
            if theirs is not None:
                await asyncio.to_thread(_round, theirs, "docker")
                await asyncio.to_thread(_round, ours, "docker")
            await asyncio.to_thread(_round, ours, LINKSPAN)
            await asyncio.to_thread(_list, ours, listing)
    return [*_rows(ours, theirs), _listing(listing), *notes]


def _round(side: Side, program: str) -> None:
    name = program.rpartition("/")[2]
    for what, words in _WORDS.items():
        side.timed(f"{name} {what}", lambda words=words: side.command(program, *words))  # type: ignore[misc]
        settle()


def _list(side: Side, times: dict[str, list[float]]) -> None:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    middle = time.perf_counter()
    side.command(LINKSPAN, "network", "ls")
    times["bare"].append(middle - start)
    times["ls"].append(time.perf_counter() - middle)


def _rows(ours: Side, theirs: Side | None) -> list[Row]:
    rows = []
    for what in _WORDS:
        docker = theirs.times[f"{_DOCKER} {what}"] if theirs is not None else None
        rows.append(beside(f"`{_OURS} {what}`", 0.6, ours.times[f"{_OURS} {what}"], docker))
        if theirs is not None:
            rows.append(beside(f"`{_DOCKER} {what}` with our daemon", None, ours.times[f"{_DOCKER} {what}"], docker))
    return rows


def _listing(times: dict[str, list[float]]) -> Row:
    ls, bare = statistics.median(times["ls"]), statistics.median(times["bare"])
    seen = f"{milliseconds(ls)}, python3 {milliseconds(bare)}"
    return Row("`linkspan network ls` beyond `python3 -c pass`", (ls - bare) * 1000, 60, "ms", seen, times)

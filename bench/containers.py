"""Running and removing containers, beside dockerd: one with a published port, twenty at once, one with 1,000 ports.

Both daemons are asked over their sockets by the same client, with the requests that `docker run -d` and `docker rm -f`
send: create and start, from the first request to the last answer, and a forced removal. The root file system is the
same busybox: an image for dockerd, a directory for ours.
"""

import asyncio
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.figures import Row, milliseconds
from bench.rooms import Rooms, settle
from bench.sides import FIRST_PORT, Side, beside, sides

ROUNDS, CROWDS, RANGES = 14, 4, 3
CROWD = 20
MANY, FEW = 1000, 100


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run."""
    with sides(rooms) as (ours, theirs, notes), ThreadPoolExecutor(CROWD) as clients:
        both = [side for side in (theirs, ours) if side is not None]
        for side in both:  # the first pays for what is made once
            await asyncio.to_thread(_one, side)
            side.times.clear()
        for times, work in ((ROUNDS, _one), (CROWDS, lambda side: _crowd(side, clients))):
            for _ in range(times):
                for side in both:
                    await asyncio.to_thread(work, side)
                    await asyncio.to_thread(settle)
        extra = [await asyncio.to_thread(_range, ours, MANY) for _ in range(RANGES)]
        theirs_extra = await asyncio.to_thread(_range, theirs, FEW) if theirs is not None else None
    return [*_rows(ours, theirs), _processes(max(extra), theirs_extra), *notes]


def _one(side: Side) -> None:
    side.timed("run", lambda: side.run("one"))
    side.timed("remove", lambda: side.remove("one"))


def _crowd(side: Side, clients: ThreadPoolExecutor) -> None:
    names = [f"many{number}" for number in range(CROWD)]
    ports = range(FIRST_PORT, FIRST_PORT + CROWD)
    side.timed("crowd", lambda: list(clients.map(lambda name, port: side.run(name, first=port), names, ports)))
    side.timed("disperse", lambda: list(clients.map(side.remove, names)))


def _range(side: Side, ports: int) -> int:
    """Run with so many ports, and remove; returns how many more processes there were than with one port."""
    counts = []
    for number in (1, ports):
        before = side.processes()
        side.timed(f"run {number}", lambda number=number: side.run("range", number))  # type: ignore[misc]
        counts.append(side.processes() - before)
        side.timed(f"remove {number}", lambda: side.remove("range"))
    return counts[1] - counts[0]


def _rows(ours: Side, theirs: Side | None) -> Iterator[Row]:
    judged = {
        "run": ("run -d with a published port", 0.5),
        "crowd": (f"{CROWD} run -d at once", 0.5),
        "remove": ("rm -f of one", None),
        "disperse": (f"{CROWD} rm -f at once", None),
    }
    for name, (what, limit) in judged.items():
        yield beside(what, limit, ours.times[name], theirs.times[name] if theirs is not None else None)
    yield _ranged(f"run -d with {MANY:,} published ports", "run", ours, theirs)
    yield _ranged("rm -f of it", "remove", ours, theirs)


def _ranged(what: str, name: str, ours: Side, theirs: Side | None) -> Row:
    """Docker is asked for fewer ports, and more are taken to cost it no more each; in fact they do: this flatters it.

    1,000 ports of dockerd 20.10 took 46 s and 90 s on a machine like this, against 17 s and 50 s by this reckoning.
    """
    series = ours.times[f"{name} {MANY}"]
    if theirs is None:
        return beside(what, None, series, None)
    mine, few = statistics.median(series), statistics.median(theirs.times[f"{name} {FEW}"])
    one = statistics.median(theirs.times[name])
    expected = one + (few - one) * (MANY - 1) / (FEW - 1)
    seen = f"{milliseconds(mine)}, dockerd {milliseconds(few)} for {FEW} ports, so {milliseconds(expected)} or more"
    samples = {"ours": series, f"dockerd, {FEW} ports": theirs.times[f"{name} {FEW}"]}
    return Row(what, mine / expected, 0.01, seen=seen, samples=samples)


def _processes(ours: int, theirs: int | None) -> Row:
    seen = f"{MANY:,} ports against one" + (f"; dockerd {theirs} for {FEW} ports" if theirs is not None else "")
    return Row("extra processes of them", ours, 0, "processes", seen)

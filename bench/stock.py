"""The stock docker command, an image, and the same runtime: our daemon beside dockerd.

Both daemons have the image `box` from the same archive, and the same `docker` program asks both. Times are those of its
whole process. Memory of a container is what all processes but the container's own take for each one more that runs.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench.dockerd import image
from bench.enclosure import processes_beside
from bench.figures import Row
from bench.rooms import Rooms, settle
from bench.sides import FIRST_PORT, Side, beside, sides

ROUNDS, CROWDS, READS = 12, 4, 3
CROWD = 20
MIB = 1 << 20
LOG, PIPED = 100 * MIB, 1 << 30
FLAT = 24.0
"""MiB that a daemon's memory may grow by while a stream of any length passes through it."""
_BUSYBOX = "/bin/busybox"
_LINE = "x" * 99
_WRITE = f"{_BUSYBOX} yes {_LINE} | {_BUSYBOX} head -c {LOG}"


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run."""
    with sides(rooms) as (ours, theirs, notes), ThreadPoolExecutor(CROWD) as clients:
        ours.client.call("POST", "/images/create?fromSrc=-&repo=box", data=image())
        both = [side for side in (theirs, ours) if side is not None]
        for side in both:
            await asyncio.to_thread(_one, side)  # the first pays for what is made once
            side.times.clear()
        for _ in range(ROUNDS):
            for side in both:
                await asyncio.to_thread(_one, side)
        for _ in range(CROWDS):
            for side in both:
                await asyncio.to_thread(_crowd, side, clients)
        memory = [await asyncio.to_thread(_memory, side) for side in both]
        growth = [await asyncio.to_thread(_streams, side) for side in both]
    return [*_rows(ours, theirs), _held(memory), *_flat(growth), *notes]


def _one(side: Side) -> None:
    side.timed("true", lambda: side.docker("run", "--rm", "-p", f"{FIRST_PORT}:80", "box", _BUSYBOX, "true"))
    settle()


def _crowd(side: Side, clients: ThreadPoolExecutor) -> None:
    def run(number: int) -> None:
        published = f"{FIRST_PORT + number}:80"
        side.docker("run", "-d", "--name", f"many{number}", "-p", published, "box", _BUSYBOX, "sleep", "100000")

    side.timed("crowd", lambda: list(clients.map(run, range(CROWD))))
    side.docker("rm", "-f", *(f"many{number}" for number in range(CROWD)))
    settle()


def _memory(side: Side) -> float:
    """Bytes for each container more."""
    counts, taken = (1, 1 + CROWD // 2), []
    number = 0
    for count in counts:
        while number < count:
            side.run(f"held{number}", first=FIRST_PORT + number)
            number += 1
        settle()
        taken.append(sum(_shares(side)))
    for each in range(number):
        side.remove(f"held{each}")
    return (taken[1] - taken[0]) / (counts[1] - counts[0])


def _shares(side: Side) -> Iterator[int]:
    """The proportional share of memory of each process that is no container's, in bytes."""
    for pid in processes_beside(side.first):
        with suppress(OSError):
            process = Path(f"/proc/{pid}")
            if not (process / "cmdline").read_bytes().startswith(_BUSYBOX.encode()):
                rollup = (process / "smaps_rollup").read_text()
                yield next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))


def _streams(side: Side) -> tuple[int, int]:
    """Reads a long log, and pipes much through a process; returns by how many bytes the daemon grew at most."""
    side.docker("run", "-d", "--name", "writer", "box", _BUSYBOX, "sh", "-c", _WRITE)
    side.docker("wait", "writer")
    before = _forget_peak(side.daemon)
    for _ in range(READS):
        side.timed("logs", lambda: side.docker("logs", "writer"))
    logs = _peak(side.daemon) - before
    side.docker("run", "-d", "--name", "pipe", "box", _BUSYBOX, "sleep", "100000")
    before = _forget_peak(side.daemon)
    side.timed("pipe", lambda: _pipe(side))
    pipe = _peak(side.daemon) - before
    side.docker("rm", "-f", "writer", "pipe")
    return logs, pipe


def _pipe(side: Side) -> None:
    """Much through `exec -i … cat`, and unchanged."""
    block = os.urandom(MIB)
    expected, seen = hashlib.sha256(), hashlib.sha256()
    process = side.docker_process("exec", "-i", "pipe", _BUSYBOX, "cat")
    assert process.stdin is not None and process.stdout is not None

    def feed() -> None:
        assert process.stdin is not None
        for _ in range(PIPED // MIB):
            expected.update(block)
            process.stdin.write(block)
        process.stdin.close()

    with ThreadPoolExecutor(1) as feeder:
        feeding = feeder.submit(feed)
        while data := process.stdout.read(MIB):
            seen.update(data)
        feeding.result()
    if process.wait() != 0 or expected.digest() != seen.digest():
        raise RuntimeError("what came out of the pipe is not what went in")


def _forget_peak(pid: int) -> int:
    """Let the record of memory begin anew (proc(5), clear_refs); returns what the process has now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak(pid)


def _peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def _rows(ours: Side, theirs: Side | None) -> Iterator[Row]:
    judged = {
        "true": ("docker run --rm box true, one published port", 0.4),
        "crowd": (f"{CROWD} docker run -d at once", 0.5),
        "logs": (f"docker logs of {LOG // MIB} MiB", 1.0),
        "pipe": (f"docker exec -i with {PIPED // MIB} MiB in and out", None),
    }
    for name, (what, limit) in judged.items():
        yield beside(what, limit, ours.times[name], theirs.times[name] if theirs is not None else None)


def _held(memory: list[float]) -> Row:
    what = "memory for a running container"
    *theirs, mine = memory
    if not theirs:
        return Row(what, mine / MIB, unit="MiB")
    return Row(what, mine / theirs[0], 0.35, seen=f"{mine / MIB:.2f} MiB, dockerd {theirs[0] / MIB:.2f} MiB")


def _flat(growth: list[tuple[int, int]]) -> Iterator[Row]:
    *theirs, mine = growth
    for number, what in enumerate(("a log is read", "a process is piped through")):
        seen = f"dockerd {theirs[0][number] / MIB:.1f} MiB" if theirs else ""
        yield Row(f"growth of the daemon while {what}", mine[number] / MIB, FLAT, "MiB", seen)

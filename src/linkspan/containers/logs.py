"""The log of a container: what conmon writes, line by line, read back.

Each line is `TIME STREAM TAG TEXT`: the time by RFC 3339 with nanoseconds, the stream `stdout` or `stderr`, the tag `F`
for a full line or `P` for a piece whose line goes on in a later one.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from linkspan.containers.waiting import either
from linkspan.model.containers import LogEntry

_STREAMS = {b"stdout": 1, b"stderr": 2}
_CHUNK = 64 * 1024
_LONGEST_LINE = 1024 * 1024
"""conmon writes pieces of at most 8 KiB; a longer line is damage, and is read in parts."""


def parse(line: bytes) -> LogEntry | None:
    """The entry of a line without its end; None when it is not one."""
    time, _, rest = line.partition(b" ")
    stream, _, rest = rest.partition(b" ")
    tag, space, text = rest.partition(b" ")
    if not space or stream not in _STREAMS or tag not in (b"F", b"P"):
        return None
    try:
        moment = datetime.fromisoformat(_microseconds(time.decode("ascii")))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return LogEntry(_STREAMS[stream], moment.astimezone(UTC), text + b"\n" if tag == b"F" else text)


def _microseconds(time: str) -> str:
    """The time with the six digits that datetime can hold."""
    seconds, point, rest = time.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{seconds}{point}{digits[:6]}{rest[len(digits) :]}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are wanted."""

    stdout: bool = True
    stderr: bool = True
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, entry: LogEntry) -> bool:
        """Whether an entry is one of them."""
        return (
            (self.stdout if entry.stream == 1 else self.stderr)
            and (self.since is None or entry.time >= self.since)
            and (self.until is None or entry.time <= self.until)
        )


async def entries(
    path: Path, selection: Selection, tail: int | None, more: Callable[[], Awaitable[bool]] | None
) -> AsyncIterator[LogEntry]:
    """The selected entries of a log, of those that are there the last `tail` only.

    `more` waits until there may be more, and gives False once the log is complete; None stops at the end.
    """
    with suppress(FileNotFoundError), path.open("rb") as file:
        reader = Lines(file)
        present = (entry for entry in reader.entries() if selection.takes(entry))
        for entry in present if tail is None else deque(present, maxlen=tail):
            yield entry
        going_on = more is not None
        while more is not None and going_on:
            going_on = await more()
            for entry in reader.entries():
                if selection.until is not None and entry.time > selection.until:
                    return
                if selection.takes(entry):
                    yield entry


class Lines:
    """Reads the complete lines of a file that may still grow."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    def entries(self) -> Iterator[LogEntry]:
        """What has been written since the last time."""
        while chunk := self._file.read(_CHUNK):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                if (entry := parse(line)) is not None:
                    yield entry
            if len(self._rest) > _LONGEST_LINE:
                self._rest = b""


def drain(descriptor: int) -> None:
    """Read what an inotify descriptor has to say; that it had something is all that counts."""
    with suppress(BlockingIOError):
        while os.read(descriptor, _CHUNK):
            pass


async def follow(
    path: Path,
    selection: Selection,
    tail: int | None,
    watch: Callable[[Path], int],
    ended: "asyncio.Future[int]",
) -> AsyncIterator[LogEntry]:
    """The selected entries of a log that is being written, until `ended` is done."""
    descriptor = watch(path)  # before the first read: nothing written in between is missed

    async def more() -> bool:
        await either(descriptor, ended)
        drain(descriptor)
        return not ended.done()

    try:
        async for entry in entries(path, selection, tail, more):
            yield entry
    finally:
        os.close(descriptor)

"""Reading the log of a container: from its beginning or its last records on, also while it grows."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from linkspan.containers.logfile import Decoder, Selection
from linkspan.containers.waiting import either
from linkspan.model.containers import LogChunk

_PORTION = 256 * 1024


async def chunks(
    path: Path, selection: Selection, tail: int | None, more: Callable[[], Awaitable[bool]] | None = None
) -> AsyncIterator[LogChunk]:
    """The selected records of a log, of those that are there the last `tail` only.

    `more` waits until there may be more, and gives False once the log is complete; None stops at the end.
    """
    with suppress(FileNotFoundError), path.open("rb") as file:
        if tail is not None:
            file.seek(beginning_of_tail(file, selection, tail))
        decoder = Decoder(selection)
        going_on = True
        while True:
            while not decoder.complete and (data := file.read(_PORTION)):
                for chunk in decoder.feed(data):
                    yield chunk
            if more is None or not going_on or decoder.complete:
                return
            going_on = await more()


def beginning_of_tail(file: BinaryIO, selection: Selection, count: int) -> int:
    """Where the last `count` selected records of a file begin. Reads backwards, so that it costs what the tail does."""
    position = file.seek(0, os.SEEK_END)
    found = position
    for start, record in _backwards(file, position):
        if count == 0:
            return found
        if record.endswith(b"\n") and selection.counts(record):
            count -= 1
            found = start
    return found


def _backwards(file: BinaryIO, position: int) -> Iterator[tuple[int, bytes]]:
    """Where each line begins and the line, the last one first."""
    rest = b""
    while position > 0:
        size = min(_PORTION, position)
        position -= size
        file.seek(position)
        data = file.read(size) + rest
        end = len(data)
        while (start := data.rfind(b"\n", 0, end - 1) + 1) > 0:
            yield position + start, data[start:end]
            end = start
        rest = data[:end]
    if rest:
        yield 0, rest


def drain(descriptor: int) -> None:
    """Read what an inotify descriptor has to say; that it had something is all that counts."""
    with suppress(BlockingIOError):
        while os.read(descriptor, 4096):
            pass


async def follow(
    path: Path,
    selection: Selection,
    tail: int | None,
    watch: Callable[[Path], int],
    ended: "asyncio.Future[int]",
) -> AsyncIterator[LogChunk]:
    """The selected records of a log that is being written, until `ended` is done."""
    descriptor = watch(path)  # before the first read: nothing written in between is missed

    async def more() -> bool:
        await either(descriptor, ended)
        drain(descriptor)
        return not ended.done()

    try:
        async for chunk in chunks(path, selection, tail, more):
            yield chunk
    finally:
        os.close(descriptor)

"""Reading the log of a container: from its beginning or its last records on, also while it grows and is rotated."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from linkspan.containers.layout import Places
from linkspan.containers.logfile import Decoder, Selection
from linkspan.containers.logfiles import LogFiles
from linkspan.containers.ports import Watch
from linkspan.containers.waiting import either
from linkspan.model.containers import LogChunk

_PORTION = 256 * 1024


async def chunks(
    files: LogFiles, selection: Selection, tail: int | None, more: Callable[[], Awaitable[bool]] | None = None
) -> AsyncIterator[LogChunk]:
    """The selected records of a log, of those that are there the last `tail` lines only.

    `more` waits until there may be more, and gives False once the log is complete; None stops at the end.
    """
    if tail is not None:
        files.to_tail(selection, tail)
    decoder = Decoder(selection)
    going_on = True
    while (file := files.current) is not None:
        finished = files.more  # before the last read of this one: what is written until then is in it
        while not decoder.complete and (data := file.read(_PORTION)):
            for chunk in decoder.feed(data):
                yield chunk
            await asyncio.sleep(0)  # a client that is fast enough would keep everybody else, and the rotation, waiting
        if decoder.complete:
            return
        if finished:
            files.step()
            decoder.next_file()
        elif not files.more:
            if more is None or not going_on:
                return
            going_on = await more()


@contextmanager
def following(
    watch: Watch, places: Places, readers: list[LogFiles], ended: "asyncio.Future[int]"
) -> Iterator[tuple[LogFiles, Callable[[], Awaitable[bool]]]]:
    """The files of a log that is being written, and what waits for more, which gives False once `ended` is done.

    While it is in use the files are among `readers`: whoever rotates the log adds those that are begun.
    """

    async def more() -> bool:
        await either(watch.descriptor, ended)
        watch.told()
        return not ended.done()

    try:
        watch.add(places.data)  # before the first read: nothing written in between is missed
        with LogFiles(places) as files:
            readers.append(files)
            try:
                yield files, more
            finally:
                readers.remove(files)
    finally:
        watch.close()

"""Between coroutines and code that reads or writes a file object: a pipe, and a thread for each transfer.

A transfer may last as long as a client likes, so it has no place in the pool that everybody shares. Memory stays flat:
a pipe holds no more than its size, and whoever is faster waits.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, TypeVar

from linkspan.containers.waiting import readable

Result = TypeVar("Result")

CHUNK = 1 << 16
_PIPE_SIZE = 1 << 18


async def produced(work: Callable[[BinaryIO], None]) -> AsyncGenerator[bytes, None]:
    """What `work` writes. Its error is raised once what it wrote before has been given out."""
    near, far = _pipe()
    os.set_blocking(near, False)

    def run() -> None:
        with os.fdopen(far, "wb", buffering=CHUNK) as file:
            work(file)

    done = _started(run)
    try:
        while data := await _read(near):
            yield data
    except GeneratorExit:
        os.close(near)
        near = -1
        with suppress(OSError):  # it writes to nobody now
            await done
        raise
    finally:
        if near >= 0:
            os.close(near)
    await done


async def _read(near: int) -> bytes:
    while True:
        try:
            return os.read(near, CHUNK)
        except BlockingIOError:
            await readable(near)


async def consumed(chunks: AsyncIterator[bytes], work: Callable[[BinaryIO], Result]) -> Result:
    """The result of `work`, which reads what the chunks are. It need not read all of it."""
    far, near = _pipe()
    os.set_blocking(near, False)

    def run() -> Result:
        with os.fdopen(far, "rb", buffering=CHUNK) as file:
            return work(file)

    done = _started(run)
    try:
        async for chunk in chunks:
            if not await _write(near, chunk):
                break
    finally:
        os.close(near)
        if not done.done():
            with suppress(Exception):  # raised below, unless the chunks have failed, which matters more
                await asyncio.shield(done)
    return await done


async def _write(near: int, data: bytes) -> bool:
    """False when nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(near, view) :]
        except BlockingIOError:
            await _writable(near)
        except BrokenPipeError:
            return False
    return True


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def _pipe() -> tuple[int, int]:
    near, far = os.pipe()
    with suppress(OSError):  # root may always; else the usual size does
        fcntl.fcntl(far, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return near, far


def _started(work: Callable[[], Result]) -> "asyncio.Future[Result]":
    pool = ThreadPoolExecutor(1, "linkspan-transfer")
    done = asyncio.get_running_loop().run_in_executor(pool, work)
    pool.shutdown(wait=False)  # it ends with its work
    return done

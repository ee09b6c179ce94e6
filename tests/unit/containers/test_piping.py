"""Transfers between coroutines and threads: everything arrives, and nobody who stops is waited for."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

import pytest

from linkspan.containers.piping import consumed, produced
from tests.support.patience import PATIENCE

MUCH = bytes(range(256)) * 8192


def write_much(out: BinaryIO) -> None:
    out.write(MUCH)


async def gathered(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


def test_everything_that_is_written_comes_out() -> None:
    async def run() -> bytes:
        return await gathered(produced(write_much))

    assert asyncio.run(run()) == MUCH


def test_an_error_comes_after_what_was_written_before() -> None:
    def work(out: BinaryIO) -> None:
        out.write(b"begun")
        raise ValueError("broken")

    async def run() -> bytes:
        stream = produced(work)
        seen = await anext(stream)
        with pytest.raises(ValueError, match="broken"):
            await anext(stream)
        return seen

    assert asyncio.run(run()) == b"begun"


def test_who_stops_reading_ends_the_writer() -> None:
    def work(out: BinaryIO) -> None:
        while True:
            out.write(MUCH)

    async def run() -> None:
        stream = produced(work)
        assert await anext(stream)
        await stream.aclose()

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield MUCH


def test_everything_that_comes_in_can_be_read() -> None:
    assert asyncio.run(consumed(chunks(3), lambda file: file.read())) == MUCH * 3


def test_who_stops_reading_is_not_written_to() -> None:
    assert asyncio.run(asyncio.wait_for(consumed(chunks(100), lambda file: file.read(10)), PATIENCE)) == MUCH[:10]


def test_an_error_of_the_reader_comes_out() -> None:
    def work(file: BinaryIO) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(consumed(chunks(100), work))


def test_an_error_of_the_source_ends_the_reader() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(consumed(broken(), lambda file: file.read()))

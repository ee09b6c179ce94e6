import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from linkspan.dataplane import channel
from linkspan.dataplane.channel import Channel, close_all, duplicates
from linkspan.dataplane.wire import MalformedError
from tests.support.patience import PATIENCE

Talk = Callable[[Channel, Channel], Awaitable[None]]


def talk(conversation: Talk) -> None:
    """Run a conversation between two ends."""

    async def run() -> None:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs = (Channel(end) for end in ends)
        async with asyncio.timeout(PATIENCE):
            await conversation(ours, theirs)
        ours.close()
        theirs.close()

    asyncio.run(run())


@pytest.fixture
def nulls() -> Iterator[list[int]]:
    """Many descriptors of /dev/null."""
    descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(600)]
    yield descriptors
    close_all(descriptors)


def same(received: Sequence[int], sent: Sequence[int]) -> bool:
    return len(received) == len(sent) and all(map(os.path.sameopenfile, received, sent))


@pytest.mark.parametrize("size", [0, 1, 48 * 1024, 48 * 1024 + 1, 2**20])
@pytest.mark.parametrize("number", [0, 1, 253, 254, 600])
def test_a_message_of_any_size_arrives_whole(size: int, number: int, nulls: list[int]) -> None:
    data = os.urandom(size)

    async def conversation(ours: Channel, theirs: Channel) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ours.send(data, nulls[:number]))
            message = await theirs.receive()
        assert message is not None and message.whole
        assert message.data == data
        assert same(message.descriptors, nulls[:number])
        message.close()

    talk(conversation)


def test_messages_sent_at_the_same_time_do_not_mix() -> None:
    async def conversation(ours: Channel, theirs: Channel) -> None:
        async with asyncio.TaskGroup() as tasks:
            for letter in (b"a", b"b", b"c"):
                tasks.create_task(ours.send(letter * 300_000))
            arrived = [await theirs.receive() for _ in range(3)]
        assert sorted(len(set(message.data)) for message in arrived if message is not None) == [1, 1, 1]

    talk(conversation)


def test_the_end_of_the_other_side_is_none() -> None:
    async def conversation(ours: Channel, theirs: Channel) -> None:
        ours.close()
        assert await theirs.receive() is None

    talk(conversation)


def test_an_end_within_a_message_is_malformed() -> None:
    async def conversation(_: Channel, theirs: Channel) -> None:
        raw, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        other = Channel(end)
        raw.send(b"\x01half")
        raw.close()
        with pytest.raises(MalformedError):
            await other.receive()
        other.close()

    talk(conversation)


def test_a_message_without_end_is_malformed_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SIZE", 100)

    async def conversation(_: Channel, theirs: Channel) -> None:
        raw, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        other = Channel(end)
        for part in (b"\x01", b"\x01", b"\x01"):
            raw.send(part + bytes(50))
        with pytest.raises(MalformedError):
            await other.receive()
        other.close()
        raw.close()

    talk(conversation)


def test_closing_wakes_whoever_waits() -> None:
    async def conversation(ours: Channel, theirs: Channel) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(failed(ours))
            await asyncio.sleep(0)
            ours.close()
        assert waiting.result()

    async def failed(end: Channel) -> bool:
        with pytest.raises(ConnectionResetError):
            await end.receive()
        return True

    talk(conversation)


def test_a_message_that_is_given_up_half_way_is_not_mistaken_for_the_beginning_of_the_next() -> None:
    async def conversation(ours: Channel, theirs: Channel) -> None:
        sending = asyncio.create_task(ours.send(bytes(channel.SIZE)))
        await asyncio.sleep(0)  # until it waits for room
        sending.cancel()
        await asyncio.wait([sending])
        with pytest.raises(OSError):
            await ours.send(b"the next")
        with pytest.raises(MalformedError, match="ended within a message"):
            await theirs.receive()

    talk(conversation)


def test_a_message_whose_descriptors_find_no_room_is_not_whole(nulls: list[int]) -> None:
    async def conversation(ours: Channel, theirs: Channel) -> None:
        await ours.send(b"data", nulls[:10])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - numbers, not paths
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        try:
            message = await theirs.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert message is not None and not message.whole and message.data == b"data"
        message.close()

    talk(conversation)


def test_duplicates_are_all_or_none(nulls: list[int]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="Bad file descriptor"):
        duplicates([nulls[0], nulls[1], -1])
    assert len(list(Path("/proc/self/fd").iterdir())) == before

import asyncio
import socket
from ipaddress import ip_address

import pytest

from linkspan.dataplane import link, wire
from linkspan.dataplane.channel import Channel, Message
from linkspan.dataplane.link import Link, LostError
from linkspan.dataplane.wire import Answer, Counts, Done, Refused, Stats
from linkspan.model.dataplane import HostPort, NameEntry, NameZone, Record, RecordType
from linkspan.model.errors import InvalidError, UnavailableError
from linkspan.model.ports import PortRange, Protocol
from tests.support.patience import PATIENCE

NAMES = [NameEntry("n", f"s{number}", ("web",), (ip_address("10.0.0.2"),), "o") for number in range(600)]


def test_a_large_change_is_several_messages_in_order() -> None:
    changes = list(link._changes([(name, ()) for name in NAMES], [name.key for name in NAMES]))
    assert changes[0][0].drop == tuple(name.key for name in NAMES)
    assert [len(change.put) for change, _ in changes] == [0, 256, 256, 88]
    sent = [each.service for change, _ in changes for each in change.put]
    assert sent == NAMES


def test_no_message_has_more_descriptors_than_the_other_side_takes() -> None:
    ports = [HostPort(Protocol.TCP, ip_address(f"10.0.0.{n}"), PortRange(1, 40_000), "o") for n in range(3)]
    changes = list(link._changes([(port, range(40_000)) for port in ports], ()))
    assert [len(descriptors) for _, descriptors in changes] == [40_000] * 3


def test_no_message_is_larger_than_the_other_side_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PART_SIZE", 1000)
    records = (Record("web", RecordType.TXT, "x" * 400),)
    zones = [NameZone(f"n{number}", "shop", "o", records) for number in range(5)]
    changes = list(link._changes([(zone, ()) for zone in zones], ()))
    assert [len(change.put) for change, _ in changes] == [2, 2, 1]


def talk(replies: list[wire.Reply], requests: int) -> list[object]:
    """What comes of requests that are answered in the opposite order."""

    async def run() -> list[object]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked, other = Link(ours), Channel(theirs)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(asked.run())
            asking = [tasks.create_task(outcome(asked)) for _ in range(requests)]
            questions = [wire.question((await received(other)).data) for _ in range(requests)]
            for question, reply in reversed(list(zip(questions, replies, strict=False))):
                await other.send(wire.encode(Answer(question.number, reply)))
            other.close()
            await reading
        return [task.result() for task in asking]

    async def received(other: Channel) -> Message:
        message = await other.receive()
        assert message is not None
        return message

    async def outcome(asked: Link) -> object:
        try:
            return (await asked.ask(Stats(), Counts))[0]
        except (LostError, InvalidError, UnavailableError) as error:
            return type(error)

    return asyncio.run(run())


def test_answers_find_their_questions_in_any_order() -> None:
    counts: list[wire.Reply] = [Counts({"port": number}, number) for number in range(3)]
    assert talk(counts, 3) == counts


def test_a_question_that_is_never_answered_is_lost_with_the_connection() -> None:
    assert talk([Counts({}, 0)], 2) == [Counts({}, 0), LostError]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Refused("invalid", "no"), InvalidError),
        (Refused("a kind of the future", "no"), UnavailableError),
        (Done(), UnavailableError),
    ],
)
def test_what_is_refused_is_the_error_that_it_is(reply: wire.Reply, error: type[Exception]) -> None:
    assert talk([reply], 1) == [error]

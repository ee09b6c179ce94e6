import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.dataplane import wire
from linkspan.dataplane.wire import Answer, Change, Done, Hello, MalformedError, Question, WirePort
from linkspan.model.dataplane import Service, Step, Trace
from linkspan.model.ports import Protocol
from tests.support import dataplane

QUESTION = wire.encode(Question(7, Hello(1, "build")))


@given(st.lists(dataplane.services, max_size=5))
def test_what_is_sent_is_what_arrives(sent: list[Service]) -> None:
    message = wire.encode(Question(7, Change(put=tuple(wire.wired(each, 2) for each in sent), drop=(("zone", "n"),))))

    arrived = wire.question(message)

    assert isinstance(arrived.body, Change)
    assert wire.services(arrived.body.put, range(2 * len(sent))) == [
        (service, (2 * index, 2 * index + 1)) for index, service in enumerate(sent)
    ]
    assert arrived.body.drop == (("zone", "n"),)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_message_or_malformed(data: bytes) -> None:
    for read in (wire.question, wire.answer):
        try:
            read(data)
        except MalformedError:
            continue


@given(st.integers(0, len(QUESTION) - 1), st.integers(0, 255))
def test_a_message_with_a_wrong_byte_is_a_message_or_malformed(position: int, byte: int) -> None:
    data = bytearray(QUESTION)
    data[position] = byte
    try:
        wire.question(bytes(data))
    except MalformedError:
        return


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedError):
        wire.question(b"\x91" * 100_000)


def test_text_that_is_no_text_is_malformed() -> None:
    with pytest.raises(MalformedError):
        wire.question(QUESTION.replace(b"build", b"b\xff\xfeld"))


def test_only_the_address_of_both_families_is_of_both_families() -> None:
    port = WirePort(Protocol.TCP, "::1", (80, 80), "o", both=True)
    with pytest.raises(MalformedError):
        wire.services([port], [])


def test_a_field_that_an_older_side_does_not_know_is_ignored() -> None:
    message = msgspec.msgpack.encode([1, {"type": "hello", "protocol": 1, "build": "b", "colour": "blue"}])
    assert wire.question(message) == Question(1, Hello(1, "b"))


def read(message: bytes) -> None:
    arrived = wire.question(message)
    assert isinstance(arrived.body, Change)
    wire.services(arrived.body.put, ())


@pytest.mark.parametrize(
    "change",
    [
        {"address": "somewhere"},
        {"ports": (2, 1)},
        {"ports": (0, 1)},
        {"ports": (1, 65_536)},
        {"relay": ("10.0.0.2", (1, 3))},
        {"relay": ("10.0.0", (1, 2))},
        {"protocol": "icmp"},
        {"sockets": -1},
    ],
    ids=str,
)
def test_a_service_that_cannot_be_is_malformed(change: dict[str, object]) -> None:
    port = {"type": "port", "protocol": "tcp", "address": "127.0.0.1", "ports": (1, 2), "owner": "o"}
    message = msgspec.msgpack.encode([1, {"type": "change", "put": [port | change]}])

    with pytest.raises(MalformedError):
        read(message)


@pytest.mark.parametrize("number", [1, 3])
def test_descriptors_that_are_too_few_or_too_many_are_malformed(number: int) -> None:
    with pytest.raises(MalformedError):
        wire.services([WirePort(Protocol.TCP, "127.0.0.1", (1, 2), "o", sockets=2)], range(number))


def test_a_trace_arrives_as_it_was() -> None:
    trace = Trace("NOERROR", ("web. 600 IN A 10.0.0.2",), (Step("zone shop", "answered", 0.25),))
    arrived = wire.answer(wire.encode(Answer(1, wire.traced(trace))))
    assert isinstance(arrived.body, wire.Traced) and arrived.body.trace == trace


def test_an_answer_is_known_by_its_number() -> None:
    assert wire.answer(wire.encode(Answer(9, Done()))) == Answer(9, Done())

"""Reading and writing DNS messages, with dnspython as the judge."""

import random
import struct
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.reversename
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.dataplane.names.labels import labels, reversed_address, text
from linkspan.dataplane.names.messages import (
    Answer,
    Query,
    Rcode,
    Type,
    adapted,
    answers_to,
    lifetime,
    read,
    refusal,
    reply,
    request,
)

LABELS = st.binary(min_size=1, max_size=63)
NAMES = st.lists(LABELS, max_size=6).filter(lambda parts: sum(map(len, parts)) + len(parts) <= 254)


def asked(name: str = "web", kind: str = "A", **settings: Any) -> bytes:
    return dns.message.make_query(name, kind, **settings).to_wire()


def query(name: str = "web", kind: str = "A", **settings: Any) -> Query:
    found = read(asked(name, kind, **settings))
    assert isinstance(found, Query)
    return found


@given(NAMES, st.integers(0, 65535), st.integers(0, 65535), st.booleans(), st.integers(0, 65535))
def test_questions_are_read_as_dnspython_reads_them(
    parts: list[bytes], kind: int, identity: int, with_edns: bool, size: int
) -> None:
    name = dns.name.Name([*parts, b""])
    settings = {"use_edns": 0, "payload": size, "want_dnssec": True} if with_edns else {}
    message = dns.message.make_query(name, kind, id=identity, **settings)  # type: ignore[arg-type]
    found = read(message.to_wire())
    assert isinstance(found, Query)
    assert (found.id, found.name + b"\0", found.type, found.cls) == (identity, name.to_wire(), kind, 1)
    assert (found.edns is not None, found.edns and (found.edns.size, found.edns.do)) == (
        with_edns,
        (size, True) if with_edns else None,
    )


def test_what_is_no_question_gets_the_code_that_says_why() -> None:
    whole = asked()
    two = whole[:4] + b"\0\2" + whole[6:] + whole[12:]
    assert read(whole[:11]) is None
    assert read(whole[:2] + b"\x80" + whole[3:]) is None, "an answer must never be answered"
    assert read(whole[:2] + b"\x28" + whole[3:]) is Rcode.NOTIMP
    assert read(two) is Rcode.FORMERR
    assert read(whole + b"\0") is Rcode.FORMERR
    assert read(whole[:-1]) is Rcode.FORMERR
    assert read(whole[:12] + b"\xc0\x0c" + whole[-4:]) is Rcode.FORMERR


def test_a_refusal_keeps_id_and_opcode() -> None:
    answer = dns.message.from_wire(refusal(asked()[:2] + b"\x29\0" + asked()[4:], Rcode.NOTIMP))
    assert (answer.opcode(), answer.rcode(), bool(answer.flags & dns.flags.QR)) == (5, 4, True)


def test_an_answer_has_dockers_flags_and_echoes_the_question_as_it_was_asked() -> None:
    data = reply(query("wEb"), Rcode.NOERROR, 512, [Answer(Type.A, 600, bytes((10, 0, 0, 1))).wire()])
    answer = dns.message.from_wire(data)
    assert dns.flags.to_text(answer.flags) == "QR RD RA"
    assert answer.question[0].name.to_text() == "wEb."
    assert answer.answer[0].to_text() == "wEb. 600 IN A 10.0.0.1"
    assert answer.edns == -1


def test_opt_is_answered_with_opt() -> None:
    answer = dns.message.from_wire(reply(query(want_dnssec=True), Rcode.NOERROR, 1232))
    assert (answer.edns, bool(answer.ednsflags & dns.flags.DO)) == (0, True)


@pytest.mark.parametrize(("settings", "size"), [({}, 512), ({"use_edns": 0, "payload": 1232}, 1232)])
def test_what_does_not_fit_is_left_out_and_said(settings: dict[str, Any], size: int) -> None:
    records = [Answer(Type.A, 600, bytes((10, 0, 0, number))).wire() for number in range(200)]
    question = query(**settings)
    data = reply(question, Rcode.NOERROR, question.datagram, records)
    answer = dns.message.from_wire(data)
    assert answer.flags & dns.flags.TC
    assert size - 16 < len(data) <= size
    whole = dns.message.from_wire(reply(question, Rcode.NOERROR, 65535, records))
    assert len(whole.answer[0]) == 200 and not whole.flags & dns.flags.TC


def test_a_question_goes_on_without_what_concerns_neighbours_only() -> None:
    cookie = dns.edns.GenericOption(dns.edns.COOKIE, b"12345678")
    subnet = dns.edns.ECSOption("10.0.0.0", 8)
    onward = dns.message.from_wire(request(query(options=[cookie, subnet], want_dnssec=True), 7))
    assert (onward.id, [option.otype for option in onward.options]) == (7, [dns.edns.ECS])
    assert onward.ednsflags & dns.flags.DO


def test_only_the_answer_to_the_very_question_is_taken() -> None:
    message = asked("web.example")
    answer = dns.message.make_response(dns.message.from_wire(message)).to_wire()
    assert answers_to(message, answer)
    assert answers_to(message, answer.replace(b"web", b"WEB"))
    assert not answers_to(message, answer.replace(b"web", b"wab"))
    assert not answers_to(message, bytes((answer[0] ^ 1,)) + answer[1:])
    assert not answers_to(message, message)
    for code, taken in ((0, False), (1, True), (3, False)):
        assert answers_to(message, message[:2] + bytes((0x80, code)) + bytes(8)) is taken, "an error may lack it"


def answer_of(*records: str, negative: str = "") -> bytes:
    response = dns.message.make_response(dns.message.from_wire(asked("web.example", use_edns=0)))
    response.answer += [rrset(record) for record in records]
    response.authority += [rrset(negative)] if negative else []
    return response.to_wire()


def rrset(record: str) -> dns.rrset.RRset:
    name, ttl, cls, kind, data = record.split(maxsplit=4)
    return dns.rrset.from_text(name, int(ttl), cls, kind, data)


def test_the_shortest_ttl_is_that_of_a_message() -> None:
    life = lifetime(answer_of("web.example. 300 IN CNAME a.example.", "a.example. 60 IN A 10.0.0.1"))
    assert life is not None
    assert (life.seconds, sorted(ttl for _, ttl in life.places)) == (60, [60, 300])


def test_a_negative_answer_lives_as_long_as_its_soa_says() -> None:
    soa = "example. 900 IN SOA ns.example. me.example. 1 2 3 4 120"
    life = lifetime(answer_of(negative=soa))
    assert life is not None and life.seconds == 120
    without = lifetime(answer_of())
    assert without is not None and without.seconds == 0


@given(st.binary(max_size=60))
def test_any_bytes_have_a_lifetime_or_none(data: bytes) -> None:
    lifetime(answer_of("web.example. 300 IN A 10.0.0.1")[:12] + data)


def test_an_answer_is_adapted_to_who_asks() -> None:
    message = answer_of("web.example. 300 IN A 10.0.0.1")
    mine = dns.message.from_wire(adapted(query("WEB.example", id=99), message, 512))
    names = [mine.question[0].name.to_text(), mine.answer[0].name.to_text()]
    assert (mine.id, names) == (99, ["WEB.example."] * 2)


def test_an_answer_that_is_too_long_for_a_datagram_is_to_be_asked_for_by_tcp() -> None:
    message = answer_of(*(f"web.example. 300 IN A 10.0.0.{number}" for number in range(60)))
    mine = dns.message.from_wire(adapted(query("web.example"), message, 512))
    assert mine.flags & dns.flags.TC and not mine.answer


@pytest.mark.parametrize("name", ["web", "a.b.c", "x" * 63])
def test_names_are_written_and_read_alike(name: str) -> None:
    wire = labels(name)
    assert wire is not None and wire + b"\0" == dns.name.from_text(name).to_wire() and text(wire) == name


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_dns_cannot_carry_every_name(name: str) -> None:
    assert labels(name) is None


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1:2"])
def test_reverse_names_are_read(address: str) -> None:
    name = (dns.reversename.from_address(address).to_wire() or b"")[:-1]
    assert str(reversed_address(name)) == address
    assert reversed_address(name[2:]) is None


@pytest.mark.parametrize("digits", ["+" + "1" * 31, "1_" + "1" * 30, " " + "1" * 31])
def test_what_only_python_takes_for_a_number_is_no_address(digits: str) -> None:
    name = labels(".".join(reversed(digits)) + ".ip6.arpa")
    assert name is not None and reversed_address(name) is None


def test_reading_agrees_with_dnspython_on_mutated_questions() -> None:
    """Whatever we take for a question is one for dnspython too, and the same."""
    randomly, taken = random.Random(4), 0
    for number in range(800):
        data = bytearray(asked("web.example", use_edns=0 if number % 2 else False))
        for _ in range(randomly.randrange(1, 4)):
            data[randomly.randrange(len(data))] = randomly.choice((0, 1, 63, 64, 0xC0, 255, randomly.randrange(256)))
        found = read(bytes(data))
        try:
            judged = dns.message.from_wire(bytes(data))
        except (dns.exception.DNSException, ValueError, struct.error):
            continue
        if isinstance(found, Query) and judged.question:
            taken += 1
            (question,) = judged.question
            assert found.name + b"\0" == question.name.to_wire()
            assert (found.type, found.id) == (question.rdtype, judged.id)
    assert taken > 200

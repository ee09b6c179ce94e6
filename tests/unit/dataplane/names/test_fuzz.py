"""Any bytes whatever: answered, refused or dropped, and never more than that."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.rrset
import pytest

from linkspan.dataplane.names.core import Names
from linkspan.dataplane.names.messages import Query, adapted, lifetime, read
from linkspan.dataplane.names.responder import Question
from linkspan.dataplane.names.table import SIZE
from linkspan.model.dataplane import Record, RecordType
from tests.fakes.resolvers import Internet
from tests.support.nameservers import Port, entry, looped, resolver, serving_names

SEEDS = [
    dns.message.make_query("web", "A").to_wire(),
    dns.message.make_query("many.shop", "AAAA", want_dnssec=True).to_wire(),
    dns.message.make_query(
        "x.star", "ANY", use_edns=0, options=[dns.edns.GenericOption(dns.edns.COOKIE, b"12345678")]
    ).to_wire(),
    dns.message.make_query("2.0.1.10.in-addr.arpa", "PTR").to_wire(),
    dns.message.make_query("_http._tcp", "SRV", use_edns=0).to_wire(),
    dns.message.make_query("c", "A", id=0xFFFF).to_wire(),
    bytes.fromhex("0001 0100 0001 0000 0000 0000 c00c 0001 0001"),  # a name that points to itself
    bytes.fromhex("0001 0100 0001 0000 0000 0000 3f00 0001 0001"),  # a label beyond the end
    bytes.fromhex("0001 0100 ffff ffff ffff ffff 00 0001 0001"),  # more records than bytes
    bytes.fromhex("0001 0100 0001 0000 0000 0001 0000 0100 0100 0029 ffff 0000 0000 ffff"),  # OPT beyond the end
]
"""Messages that once were of interest; the mutations begin with them."""
ROUNDS = 100_000
INTERESTING = (0, 1, 0x29, 0x3F, 0x40, 0x80, 0xC0, 0xFF)


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Random bytes, and messages with bytes changed, removed, doubled or joined."""
    chance = random.Random(seed)
    for number in range(count):
        if number % 10 == 0:
            yield chance.randbytes(chance.randrange(80))
            continue
        data = bytearray(chance.choice(SEEDS))
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(data) + 1)
            match chance.randrange(6):
                case 0:
                    del data[place:]
                case 1:
                    data[place:place] = chance.randbytes(chance.randrange(4))
                case 2:
                    data += chance.choice(SEEDS)[place:]
                case _ if place < len(data):
                    data[place] = chance.choice((*INTERESTING, chance.randrange(256)))
        yield bytes(data)


@pytest.mark.slow
@looped
async def test_a_hundred_thousand_malformed_datagrams_change_nothing(resolv_conf: Path) -> None:
    extra = (
        Record("c", RecordType.CNAME, "www.example."),
        Record("_http._tcp", RecordType.SRV, "1 2 80 web."),
        Record("long", RecordType.TXT, " ".join(['"' + "x" * 255 + '"'] * 20)),
    )
    async with serving_names(resolv_conf, Internet(), *extra) as names:
        fill(names)
        port = Port(names, resolver())
        counts = dict.fromkeys(("dropped", "asked", "answered"), 0)
        for number, data in enumerate(mutations(4, ROUNDS)):
            answer = port.served.responder.datagram(data)
            if answer is None:
                counts["dropped"] += 1
                assert len(data) < 12 or data[2] & 0x80
            elif isinstance(answer, Question):
                counts["asked"] += 1
            else:
                counts["answered"] += 1
                check(data, answer, deeply=number % 20 == 0)
        assert min(counts.values()) > ROUNDS // 50, counts
        assert len(port.served.responder.table.rows) <= SIZE


def fill(names: Names) -> None:
    names.put(entry("s2", "many *.star", *(f"10.1.1.{number}" for number in range(60)), "fd00::2"))


def check(data: bytes, answer: bytes, *, deeply: bool) -> None:
    """What is sent is an answer to what came, of the size its client reads, and one that others can read."""
    assert answer[:2] == data[:2] and answer[2] & 0x80
    query = read(data)
    assert len(answer) <= (query.datagram if isinstance(query, Query) else 12)
    if deeply:
        read_again = dns.message.from_wire(answer)
        if isinstance(query, Query):
            assert read_again.question[0].name.to_wire() == query.name + b"\0"


@pytest.mark.slow
def test_mutated_answers_of_other_servers_are_passed_on_or_over() -> None:
    chance = random.Random(4)
    question = dns.message.make_query("www.example", "A", use_edns=0)
    response = dns.message.make_response(question)
    response.answer.append(dns.rrset.from_text("www.example.", 300, "IN", "CNAME", "a.example."))
    response.answer.append(dns.rrset.from_text("a.example.", 60, "IN", "A", "192.0.2.1"))
    whole, query = response.to_wire(), read(question.to_wire())
    assert isinstance(query, Query)
    sound = 0
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(12 + len(query.question), len(data))] = chance.choice(
                (*INTERESTING, chance.randrange(256))
            )
        if lifetime(bytes(data)) is not None:
            sound += 1
            assert adapted(query, bytes(data), 512)[12:][: len(query.question)] == query.question
    assert 1000 < sound < 19_000


@pytest.mark.slow
@looped
async def test_malformed_datagrams_and_streams_leave_a_real_socket_working(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver(forward=False))
        whole = dns.message.make_query("web", "A").to_wire()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port.number)
        )
        for number, data in enumerate(mutations(5, 3000)):
            transport.sendto(data)
            if number % 50 == 0:
                assert await port.send(whole)
            if number % 100 == 0:
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                writer.write(len(data).to_bytes(2, "big") + data + b"\0\1")
                writer.write_eof()
                await reader.read()
                writer.close()
        transport.close()
        assert dns.message.from_wire(await port.send(whole)).answer

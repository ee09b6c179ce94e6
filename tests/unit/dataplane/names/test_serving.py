"""Names of networks, answered at real sockets."""

import asyncio
import os
import socket
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from linkspan.dataplane.names import serving
from linkspan.model.dataplane import HostResolver, NameEntry, Record, RecordType, Resolver
from tests.fakes.resolvers import Internet, records
from tests.support.nameservers import Port, code, entry, looped, resolver, serving_names, shown

WORLD = "www.example. 300 IN A 192.0.2.80"


@looped
async def test_names_are_answered_by_datagram_and_stream(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        for tcp in (False, True):
            assert shown(await port.ask("web", tcp=tcp)) == ["web. 600 IN A 10.1.0.2"]


@looped
async def test_a_change_is_seen_by_the_next_question(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port, host = Port(names, resolver(forward=False)), Port(names, HostResolver(ip_address("127.0.0.1"), "me"))
        for number in range(3, 6):
            names.put(entry("s1", "web", f"10.1.0.{number}"))
            assert shown(await port.ask("web")) == [f"web. 600 IN A 10.1.0.{number}"]
            assert shown(await host.ask("web.shop.linkspan")) == [f"web.shop.linkspan. 600 IN A 10.1.0.{number}"]
        names.drop(entry("s1", "web").key)
        assert (code(await port.ask("web")), code(await host.ask("web.shop.linkspan"))) == ("NXDOMAIN", "NXDOMAIN")


@looped
async def test_a_resolver_changes_what_it_sees_and_keeps_its_sockets(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        names.put(NameEntry("2" * 64, "s2", ("db",), (ip_address("10.2.0.2"),), "me"))
        port = Port(names, resolver(forward=False))
        assert code(await port.ask("db")) == "NXDOMAIN"
        port.served.replace(Resolver("box", ("2" * 64,), "me", forward=False))
        assert shown(await port.ask("db")) == ["db. 600 IN A 10.2.0.2"]
        assert code(await port.ask("web")) == "NXDOMAIN"
        names.put(NameEntry("2" * 64, "s2", ("db",), (ip_address("10.2.0.9"),), "me"))
        assert shown(await port.ask("db")) == ["db. 600 IN A 10.2.0.9"]


@looped
async def test_the_table_says_what_the_usual_path_says(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet(), Record("c", RecordType.CNAME, "web")) as names:
        port = Port(names, resolver(forward=False))
        names.put(entry("s2", "many", *(f"10.1.1.{number}" for number in range(30))))
        for name, kind in (
            ("web", "A"),
            ("web", "AAAA"),
            ("web.shop", "ANY"),
            ("c", "A"),
            ("2.0.1.10.in-addr.arpa", "PTR"),
        ):
            for settings in ({}, {"use_edns": 0}, {"want_dnssec": True}):
                data = dns.message.make_query(name, kind, id=7, **settings).to_wire()
                first, second = await port.send(data), await port.send(data)
                assert data[2:] in port.served.responder.table.rows
                assert first == second
                other = await port.send(data.replace(name[:1].encode(), name[:1].upper().encode(), 1))
                assert other.lower() == first.lower()


@pytest.mark.parametrize("count", [2, 3, 5, 30])
@looped
async def test_every_address_comes_first_now_and_then(resolv_conf: Path, count: int) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        names.random.seed(4)
        addresses = {f"10.1.1.{number}" for number in range(count)}
        names.put(entry("s2", "many", *addresses))
        data = dns.message.make_query("many", "A").to_wire()
        firsts = set()
        for _ in range(8 * count):
            answer = await port.send(data)
            first = answer[len(data) + 12 :][:4]
            firsts.add(socket.inet_ntoa(first))
        assert firsts == addresses


@looped
async def test_what_is_truncated_is_whole_by_stream(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        names.put(entry("s2", "many", *(f"10.1.1.{number}" for number in range(100))))
        short, whole = await port.ask("many"), await port.ask("many", tcp=True)
        assert short.flags & dns.flags.TC and len(short.answer[0]) < 32
        assert not whole.flags & dns.flags.TC and len(whole.answer[0]) == 100


@looped
async def test_a_stream_carries_many_questions(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for number in range(50):
            data = dns.message.make_query("web", "A", id=number).to_wire()
            writer.write(len(data).to_bytes(2, "big") + data)
        for number in range(50):
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            assert dns.message.from_wire(answer).id == number
        writer.close()


@pytest.mark.parametrize("sent", [b"\xff\xff" + bytes(100), b"\0\1x", b"\0\0"])
@looped
async def test_a_stream_of_something_else_is_ended(resolv_conf: Path, sent: bytes) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        reader, writer = await asyncio.open_connection("127.0.0.1", Port(names, resolver()).number)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


@looped
async def test_an_idle_stream_is_ended(resolv_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_SECONDS", 0.01)
    async with serving_names(resolv_conf, Internet()) as names:
        reader, writer = await asyncio.open_connection("127.0.0.1", Port(names, resolver()).number)
        assert await reader.read() == b""
        writer.close()


@looped
async def test_more_streams_than_are_served_are_closed_at_once(
    resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS", 1)
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        _, kept = await asyncio.open_connection("127.0.0.1", port.number)
        reader, refused = await asyncio.open_connection("127.0.0.1", port.number)
        assert await reader.read() == b""
        kept.close()
        refused.close()


@looped
async def test_class_version_opcode_and_transfers_are_refused_as_the_rfcs_say(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        port = Port(names, resolver())
        message = dns.message.make_query("web", "A", rdclass="CH")
        assert code(dns.message.from_wire(await port.send(message.to_wire()))) == "REFUSED"
        assert (
            code(dns.message.from_wire(await port.send(dns.message.make_query("web", "AXFR").to_wire()))) == "REFUSED"
        )
        version = dns.message.make_query("web", "A", use_edns=1).to_wire()
        assert code(dns.message.from_wire(await port.send(version))) == "BADVERS"


@looped
async def test_a_closed_server_answers_no_more_and_its_port_is_free(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        namespace, writing = os.pipe()
        port = Port(names, resolver(), namespace)
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        await port.ask("web", tcp=True)
        port.served.close()
        port.served.close()
        assert await reader.read() == b""
        writer.close()
        await names.drained()
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", port.number))
        with pytest.raises(BrokenPipeError):
            os.write(writing, b"x")
        os.close(writing)


@looped
async def test_the_host_is_answered_for_its_domain_and_for_nothing_else(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)), serving_names(resolv_conf, internet) as names:
        port = Port(names, HostResolver(ip_address("127.0.0.1"), "me"))
        assert shown(await port.ask("2.0.1.10.in-addr.arpa", "PTR")) == [
            "2.0.1.10.in-addr.arpa. 600 IN PTR web.shop.linkspan."
        ]
        assert code(await port.ask("www.example")) == "REFUSED"
        assert internet.sockets == 0


@looped
async def test_a_listener_that_fails_is_tried_again_later_and_datagrams_are_answered(
    resolv_conf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raised = list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["message"]))
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    address = udp.getsockname()
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    with tcp.dup() as failing, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        async with serving_names(resolv_conf, Internet()) as names:
            names.serve(resolver(), udp.detach(), tcp.detach(), None)
            failing.shutdown(socket.SHUT_RDWR)  # no longer listens: accept gives EINVAL from now on
            client.setblocking(False)
            client.connect(address)
            for _ in range(5):
                client.send(dns.message.make_query("web", "A").to_wire())
                assert await loop.sock_recv(client, 512)
    assert raised == []
    times = [record.message for record in caplog.records].count(
        "name server: cannot accept a connection: Invalid argument; trying again in 0.5 s"
    )
    assert 1 <= times <= 1 + (loop.time() - began) / 0.5

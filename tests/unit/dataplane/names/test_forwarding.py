"""Names that are asked of other servers, in an Internet made for the test."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from linkspan.dataplane.names import forward, responder
from linkspan.dataplane.names.host import servers
from linkspan.model.dataplane import Record, RecordType
from tests.fakes.resolvers import Internet, failing, records, silent, truncating
from tests.support.nameservers import Port, code, list_servers, looped, resolver, serving_names, shown
from tests.support.patience import PATIENCE

WORLD = "www.example. 300 IN A 192.0.2.80"


@looped
async def test_other_names_are_asked_of_the_hosts_servers_once_while_they_live(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)) as server, serving_names(resolv_conf, internet) as names:
        one, two = Port(names, resolver(), os.open("/dev/null", os.O_RDONLY)), Port(names, resolver())
        for port in (one, two, one):
            assert shown(await port.ask("WWW.example"))[0].endswith("IN A 192.0.2.80")
        assert (len(server.asked), server.namespaces) == (1, [None])


@looped
async def test_servers_of_a_sandbox_are_asked_from_inside_and_their_answers_are_its_own(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("192.0.2.53", records(WORLD)) as server, serving_names(resolv_conf, internet) as names:
        inside = os.open("/dev/null", os.O_RDONLY)
        port, other = Port(names, resolver("192.0.2.53"), inside), Port(names, resolver("192.0.2.53"))
        assert shown(await port.ask("www.example")) == shown(await other.ask("www.example")) == [WORLD]
        assert server.namespaces == [inside, None]


@looped
async def test_a_sandbox_without_a_way_out_never_asks(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)), serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver(forward=False))
        answer = await port.ask("www.example")
        assert (code(answer), answer.authority) == ("NXDOMAIN", [])
        assert internet.sockets == 0


@looped
async def test_known_names_and_single_labels_under_ndots_are_never_asked(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)), serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver(ndots=True))
        for name, kind in (("web", "AAAA"), ("web", "MX"), ("web", "HTTPS"), ("unknown", "A"), ("unknown", "AAAA")):
            answer = await port.ask(name, kind)
            assert (code(answer), answer.answer) == ("NOERROR", [])
        assert internet.sockets == 0


@pytest.mark.parametrize("first", [silent, failing(dns.rcode.SERVFAIL), failing(dns.rcode.REFUSED), None])
@looped
async def test_another_server_answers_when_the_first_does_not(resolv_conf: Path, first: Any) -> None:
    internet = Internet()
    list_servers(resolv_conf, "198.51.100.1", "198.51.100.2")
    async with internet.server("198.51.100.2", records(WORLD)), serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver())
        if first is None:
            assert shown(await port.ask("www.example")) == [WORLD]
            return
        async with internet.server("198.51.100.1", first):
            assert shown(await port.ask("www.example")) == [WORLD]


@looped
async def test_a_lost_datagram_is_sent_again(resolv_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "TOTAL_SECONDS", PATIENCE)
    monkeypatch.setattr(forward, "ROUNDS", (0.02, PATIENCE))
    internet = Internet()
    async with internet.server("198.51.100.1", silent) as server, serving_names(resolv_conf, internet) as names:

        def second(question: dns.message.Message, by_tcp: bool) -> dns.message.Message | bytes | None:
            return records(WORLD)(question, by_tcp) if len(server.asked) > 1 else None

        server.answer = second
        assert shown(await Port(names, resolver()).ask("www.example")) == [WORLD]
        assert len({question.id for question in server.asked}) == 2


@pytest.mark.parametrize("all_of_them", [failing(dns.rcode.SERVFAIL), silent])
@looped
async def test_the_failure_of_all_is_said(resolv_conf: Path, all_of_them: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "ROUNDS", (0.01, 0.01))
    internet = Internet()
    async with internet.server("198.51.100.1", all_of_them), serving_names(resolv_conf, internet) as names:
        assert code(await Port(names, resolver()).ask("www.example")) == "SERVFAIL"


@looped
async def test_answers_to_other_questions_are_passed_over(resolv_conf: Path) -> None:
    def confused(question: dns.message.Message, by_tcp: bool) -> bytes:
        answer = records(WORLD)(question, by_tcp)
        assert isinstance(answer, dns.message.Message)
        return bytes(2) + answer.to_wire()[2:]

    internet = Internet()
    list_servers(resolv_conf, "198.51.100.1", "198.51.100.2")
    async with (
        internet.server("198.51.100.1", confused),
        internet.server("198.51.100.2", records(WORLD)) as good,
        serving_names(resolv_conf, internet) as names,
    ):
        assert shown(await Port(names, resolver()).ask("www.example")) == [WORLD]
        assert len(good.asked) == 1


@looped
async def test_a_truncated_answer_is_fetched_by_stream(resolv_conf: Path) -> None:
    many = truncating(records(*(f"www.example. 300 IN A 192.0.2.{number}" for number in range(100))))
    internet = Internet()
    async with internet.server("198.51.100.1", many) as server, serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver())
        short, whole = await port.ask("www.example"), await port.ask("www.example", tcp=True)
        assert short.flags & dns.flags.TC and len(whole.answer[0]) == 100
        assert len(server.asked) == 2, "once by datagram, once by stream, and then it is known"


@pytest.mark.parametrize("refused", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
@looped
async def test_a_server_that_knows_no_edns_is_asked_without(resolv_conf: Path, refused: dns.rcode.Rcode) -> None:
    def old(question: dns.message.Message, by_tcp: bool) -> dns.message.Message | bytes | None:
        return (records(WORLD) if question.edns < 0 else failing(refused))(question, by_tcp)

    internet = Internet()
    async with internet.server("198.51.100.1", old) as server, serving_names(resolv_conf, internet) as names:
        answer = await Port(names, resolver()).ask("www.example", use_edns=0)
        assert (shown(answer), [question.edns for question in server.asked]) == ([WORLD], [0, -1])


@looped
async def test_the_same_question_of_many_is_asked_once(resolv_conf: Path) -> None:
    internet = Internet()
    async with (
        internet.server("198.51.100.1", records("www.example. 0 IN A 192.0.2.80")) as server,
        serving_names(resolv_conf, internet) as names,
    ):
        port = Port(names, resolver())
        async with asyncio.TaskGroup() as group:
            datas = [dns.message.make_query("www.example", "A", id=number).to_wire() for number in range(50)]
            answers = [group.create_task(port.send(data)) for data in datas]
        assert [dns.message.from_wire(each.result()).id for each in answers] == list(range(50))
        assert len(server.asked) < 5


@looped
async def test_beyond_the_limit_questions_are_refused(resolv_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MOST_AT_ONCE", 6)
    monkeypatch.setattr(forward, "ROUNDS", (0.2,))
    internet = Internet()
    async with internet.server("198.51.100.1", silent), serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver())
        datas = [dns.message.make_query(f"{number}.example", "A").to_wire() for number in range(8)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(port.send(data)) for data in datas]
        codes = [code(dns.message.from_wire(each.result())) for each in asking]
        assert (codes.count("SERVFAIL"), codes.count("REFUSED")) == (3, 5)


@looped
async def test_a_sandbox_that_asks_without_end_leaves_room_for_others(
    resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "MOST_AT_ONCE", 8)
    internet = Internet()
    async with (
        internet.server("192.0.2.53", silent),
        internet.server("198.51.100.1", records(WORLD)),
        serving_names(resolv_conf, internet) as names,
    ):
        flooding, other = Port(names, resolver("192.0.2.53")), Port(names, resolver())
        datas = [dns.message.make_query(f"{number}.example", "A").to_wire() for number in range(16)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(flooding.send(data)) for data in datas]
            while len(refused := [task.result() for task in asking if task.done()]) < 12:
                await asyncio.wait([each for each in asking if not each.done()], return_when=asyncio.FIRST_COMPLETED)
            assert {code(dns.message.from_wire(each)) for each in refused} == {"REFUSED"}
            assert shown(await other.ask("www.example")) == [WORLD]
            for task in asking:
                task.cancel()


@looped
async def test_a_burst_for_elsewhere_lets_others_have_their_turn(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", silent), serving_names(resolv_conf, internet) as names:
        bursting, other = Port(names, resolver()), Port(names, resolver())
        datas = [dns.message.make_query(f"{number}.example", "A").to_wire() for number in range(64)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(bursting.send(data)) for data in datas]
            await asyncio.sleep(0)
            await other.send(dns.message.make_query("web", "A").to_wire())
            assert names.budget.taken < len(datas) / 2
            for task in asking:
                task.cancel()


@looped
async def test_a_cname_of_a_network_is_followed_beyond_it(resolv_conf: Path) -> None:
    internet = Internet()
    out = Record("out", RecordType.CNAME, "www.example.")
    async with internet.server("198.51.100.1", records(WORLD)), serving_names(resolv_conf, internet, out) as names:
        assert shown(await Port(names, resolver()).ask("out")) == ["out. 600 IN CNAME www.example.", WORLD]
        assert shown(await Port(names, resolver(forward=False)).ask("out")) == ["out. 600 IN CNAME www.example."]


@looped
async def test_a_changed_resolv_conf_counts_within_a_second_also_for_who_waits(
    resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "TOTAL_SECONDS", PATIENCE)
    monkeypatch.setattr(forward, "ROUNDS", (PATIENCE,))
    for _ in range(3):  # on a busy machine all of us may be late, but hardly each time
        internet = Internet()
        list_servers(resolv_conf, "198.51.100.1")
        async with (
            internet.server("198.51.100.1", silent),
            internet.server("198.51.100.2", records(WORLD)),
            serving_names(resolv_conf, internet) as names,
            asyncio.TaskGroup() as group,
        ):
            waiting = group.create_task(Port(names, resolver()).ask("www.example"))
            await internet.servers["198.51.100.1"].reached.wait()
            start = asyncio.get_running_loop().time()
            list_servers(resolv_conf, "198.51.100.2")
            assert shown(await waiting) == [WORLD]
            if asyncio.get_running_loop().time() - start < 1:
                return
    pytest.fail("it never did")


@looped
async def test_questions_under_way_are_answered_after_the_end_of_a_service(
    resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "TOTAL_SECONDS", PATIENCE)
    monkeypatch.setattr(forward, "ROUNDS", (0.05, PATIENCE))
    internet = Internet()
    async with internet.server("192.0.2.53", silent) as server, serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver("192.0.2.53"), os.open("/dev/null", os.O_RDONLY))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(port.ask("www.example"))
            await server.reached.wait()
            server.answer = records(WORLD)
            port.served.close()
            assert shown(await waiting) == [WORLD]
            await names.drained()


@looped
async def test_what_has_expired_is_served_when_asking_fails_and_not_asked_again_at_once(resolv_conf: Path) -> None:
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)) as server, serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver())
        await port.ask("www.example")
        for kept in names.host.current()._cache._kept.values():
            kept.until = time.monotonic() - 1
        server.answer = failing(dns.rcode.SERVFAIL)
        for _ in range(3):
            assert shown(await port.ask("www.example")) == ["www.example. 30 IN A 192.0.2.80"]
        assert len(server.asked) == 2


@looped
async def test_a_slow_failure_does_not_keep_an_expired_answer_back(
    resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "STALE_AFTER", 0.01)
    internet = Internet()
    async with internet.server("198.51.100.1", records(WORLD)) as server, serving_names(resolv_conf, internet) as names:
        port = Port(names, resolver())
        await port.ask("www.example")
        for kept in names.host.current()._cache._kept.values():
            kept.until = time.monotonic() - 1
        server.answer = silent
        assert shown(await port.ask("www.example")) == ["www.example. 30 IN A 192.0.2.80"]


def test_servers_are_read_from_resolv_conf_as_the_library_reads_them() -> None:
    listed = "# nameserver 192.0.2.9\nnameserver 127.0.0.53\nsearch x\nnameserver nonsense\nnameserver fe80::1%eth0\n"
    assert servers(listed) == ("127.0.0.53", "fe80::1%eth0")
    assert servers("options ndots:1\n") == ("127.0.0.1",)
    assert len(servers("".join(f"nameserver 192.0.2.{number}\n" for number in range(9)))) == 3

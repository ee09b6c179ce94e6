"""The name server as programs in a sandbox see it: resolver libraries, dig and dnsperf, at 127.0.0.11 port 53."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import dns.message
import dns.rrset
import pytest

from linkspan.dataplane.local import LocalDataPlane
from linkspan.model.dataplane import NameEntry, NameZone, Resolver
from linkspan.plan.objects import KernelObject, Namespace, Redirect
from linkspan.plan.operations import Operation, Verb, diff
from tests.support.machines import LinuxMachine, linux_machine, sandbox_id

BOX = sandbox_id(1)
NET = "n" * 64
OWNER = "owner"
MANY = 2000


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[LinuxMachine]:
    with linux_machine(tmp_path) as machine:
        machine.add(Namespace(BOX))
        yield machine


def resolver(*servers: str, forward: bool = False) -> Resolver:
    return Resolver(BOX, (NET,), OWNER, servers=tuple(map(ip_address, servers)), forward=forward)


def entry(sandbox: str, names: str, *addresses: str) -> NameEntry:
    return NameEntry(NET, sandbox, tuple(names.split()), tuple(map(ip_address, addresses)), OWNER)


@asynccontextmanager
async def serving(machine: LinuxMachine, mine: Resolver, *entries: NameEntry) -> AsyncIterator[None]:
    """A sandbox on the network `shop`, with `web` on it, and what answers names."""
    web = entry("s1", "web www", "10.1.0.2", "fd00:1::2")
    wanted: list[KernelObject] = [Redirect(BOX, OWNER), NameZone(NET, "shop", OWNER), web, *entries, mine]
    async with (
        LocalDataPlane.open(machine.kernel.make_socket) as plane,
        machine.kernel.served_by(plane, outlives=False),
    ):
        await machine.kernel.apply(diff((), wanted))
        yield


def run(machine: LinuxMachine, command: str, mine: Resolver | None = None, *entries: NameEntry) -> str:
    """What a command in the sandbox prints, while names are answered."""

    async def whole() -> str:
        async with serving(machine, mine or resolver(), *entries):
            return await asyncio.to_thread(machine.run, command, BOX)

    return machine.runner.run(whole())


def library(machine: LinuxMachine, tmp_path: Path, command: str) -> str:
    """The same, for a program that reads /etc/resolv.conf."""
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.11\noptions ndots:0 timeout:30\n")
    return run(machine, f"unshare -m sh -ec 'mount --bind {file} /etc/resolv.conf; {command}'")


def test_glibc_finds_names_of_both_families_and_learns_at_once_of_those_that_are_not(
    machine: LinuxMachine, tmp_path: Path
) -> None:
    found = library(
        machine, tmp_path, "getent ahosts web; getent hosts 10.1.0.2; timeout 20 getent hosts nobody || echo ended $?"
    )
    assert set(re.findall(r"^(\S+) +STREAM", found, re.MULTILINE)) == {"10.1.0.2", "fd00:1::2"}
    assert found.endswith("ended 2\n"), "not found; 124 would be: it waited for somebody else"
    assert re.search(r"^10\.1\.0\.2 +web\.shop$", found, re.MULTILINE)


def test_busybox_finds_names_too(machine: LinuxMachine) -> None:
    assert "10.1.0.2" in run(machine, "busybox nslookup web 127.0.0.11")


@pytest.mark.parametrize(
    "how", ["", "+tcp", "+noedns", "+cookie=0123456789abcdef +dnssec", "+tcp +keepalive", "+bufsize=512"]
)
def test_dig_understands_every_answer(machine: LinuxMachine, how: str) -> None:
    printed = run(machine, f"dig +tries=1 +time=30 {how} @127.0.0.11 wWw.Shop")
    assert re.search(r"^wWw\.Shop\.\s+600\s+IN\s+A\s+10\.1\.0\.2$", printed, re.MULTILINE)
    assert "WARNING" not in printed and "malformed" not in printed.lower()


def test_dig_asks_again_by_tcp_for_what_was_too_long(machine: LinuxMachine) -> None:
    many = entry("s2", "many", *(f"10.1.1.{number}" for number in range(100)))
    assert len(run(machine, "dig +short +noedns @127.0.0.11 many", None, many).split()) == 100


@contextmanager
def server_inside(machine: LinuxMachine, address: str) -> Iterator[None]:
    """A server in the sandbox, at an address that is nowhere else, with one answer for everyone."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    machine.run(f"ip address add {address.partition('%')[0]} dev lo {'nodad' if ':' in address else ''}", BOX)
    with machine.inside(lambda: socket.socket(family, socket.SOCK_DGRAM), BOX) as server:
        server.bind(socket.getaddrinfo(address, 53, family)[0][4])

        def answer() -> None:
            data, client = server.recvfrom(512)
            response = dns.message.make_response(dns.message.from_wire(data))
            response.answer.append(dns.rrset.from_text(response.question[0].name, 60, "IN", "A", "192.0.2.80"))
            server.sendto(response.to_wire(), client)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join(10)


@pytest.mark.parametrize("address", ["10.7.0.53", "fd00:7::53", "fe80::53%lo"])
def test_servers_of_a_sandbox_are_asked_from_inside(machine: LinuxMachine, address: str) -> None:
    with server_inside(machine, address):
        assert run(machine, "dig +short @127.0.0.11 www.example", resolver(address)).split() == ["192.0.2.80"]


def test_no_question_is_lost_while_one_of_thousands_of_names_changes(machine: LinuxMachine, tmp_path: Path) -> None:
    others = (entry(f"t{number}", f"name{number}", f"10.2.{number // 250}.{number % 250}") for number in range(MANY))
    questions = tmp_path / "questions"
    questions.write_text("web A\nname17 A\n")
    command = f"dnsperf -s 127.0.0.11 -d {questions} -n 10000 -t 30 -c 4"

    async def change() -> str:
        async with serving(machine, resolver(), *others), asyncio.TaskGroup() as group:
            asking = group.create_task(asyncio.to_thread(machine.run, command, BOX))
            old, changes = entry("t17", "name17", "10.2.0.17"), 0
            while not asking.done():
                new = entry("t17", "name17", f"10.3.0.{changes % 250}")
                await machine.kernel.apply([Operation(Verb.REPLACE, new, old)])
                old, changes = new, changes + 1
        assert changes > 20
        return asking.result()

    printed = machine.runner.run(change())
    assert re.search(r"Queries completed: +20000 \(100\.00%\)", printed), printed
    assert re.search(r"NOERROR 20000 \(100\.00%\)", printed), printed

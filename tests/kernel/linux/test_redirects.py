"""What leads to a resolver inside a sandbox, and its sockets: what only Linux can show."""

import os
import socket
from collections.abc import Callable

import pytest

from linkspan.kernel.hostports import close_all
from linkspan.kernel.resolvers import Resolvers
from linkspan.model.dataplane import Resolver
from linkspan.plan.objects import Namespace, Redirect, mark
from tests.support.machines import ENGINE, LinuxMachine, open_files, sandbox_id
from tests.support.patience import PATIENCE

BOX = sandbox_id(1)
OWNER = mark(ENGINE, "sandbox", BOX)
REDIRECT = Redirect(BOX, OWNER)
RESOLVER = Resolver(BOX, ("n",), OWNER)


def sockets(machine: LinuxMachine) -> tuple[socket.socket, socket.socket]:
    """The UDP and the TCP socket of the resolver; duplicates."""
    found = machine.kernel._machine.services.get(RESOLVER.key)
    assert found is not None
    udp, tcp, _ = found[1]
    return socket.socket(fileno=os.dup(udp)), socket.socket(fileno=os.dup(tcp))


@pytest.fixture
def resolving(machine: LinuxMachine) -> LinuxMachine:
    machine.add(Namespace(BOX), REDIRECT, RESOLVER)
    return machine


def client(machine: LinuxMachine, kind: int) -> socket.socket:
    made = machine.inside(lambda: socket.socket(socket.AF_INET, kind), BOX)
    made.settimeout(PATIENCE)
    return made


def test_a_question_by_udp_arrives_and_the_answer_comes_from_where_it_was_asked(resolving: LinuxMachine) -> None:
    udp, tcp = sockets(resolving)
    with udp, tcp, client(resolving, socket.SOCK_DGRAM) as asking:
        asking.sendto(b"question", ("127.0.0.11", 53))
        question, where = udp.recvfrom(64)
        udp.sendto(b"answer", where)
        assert (question, asking.recvfrom(64)) == (b"question", (b"answer", ("127.0.0.11", 53)))


def test_a_question_by_tcp_arrives_and_is_answered(resolving: LinuxMachine) -> None:
    udp, tcp = sockets(resolving)
    with udp, tcp, client(resolving, socket.SOCK_STREAM) as asking:
        asking.connect(("127.0.0.11", 53))
        answering, _ = tcp.accept()
        with answering:
            asking.sendall(b"question")
            answering.sendall(answering.recv(64) + b" answered")
        assert asking.recv(64) == b"question answered"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_port_53_is_left_to_the_sandbox(
    resolving: LinuxMachine, kind: int, family: socket.AddressFamily, address: str
) -> None:
    with resolving.inside(lambda: socket.socket(family, kind), BOX) as own:
        own.bind((address, 53))


def test_no_connection_is_tracked(resolving: LinuxMachine) -> None:
    udp, tcp = sockets(resolving)
    with udp, tcp, client(resolving, socket.SOCK_DGRAM) as asking:
        # The kernel tracks connections from when the first rule asks for their state.
        resolving.run("nft add table ip a; nft add chain ip a c '{ type filter hook output priority 0; }'", BOX)
        resolving.run("nft add rule ip a c ct state new counter", BOX)
        asking.sendto(b"question", ("127.0.0.11", 53))
        udp.sendto(b"answer", udp.recvfrom(64)[1])
        asking.recv(64)
        assert "127.0.0.11" not in resolving.run("conntrack -L 2>/dev/null", BOX)


DAMAGE = [
    "nft flush ruleset",
    "nft delete table inet linkspan-names",
    "nft flush chain inet linkspan-names output",
    "nft delete rule inet linkspan-names output handle "
    "$(nft -a list table inet linkspan-names | sed -n 's/.*tcp sport.*handle //p')",
    "nft insert rule inet linkspan-names output accept",
    "nft flush chain inet linkspan-names output; nft delete chain inet linkspan-names output",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_done_to_the_redirect_is_seen_and_repaired(resolving: LinuxMachine, damage: str) -> None:
    wanted = (Namespace(BOX), REDIRECT, RESOLVER)
    before = resolving.run("nft list ruleset", BOX)
    resolving.run(damage, BOX)
    resolving.apply(*resolving.difference(wanted))
    assert resolving.difference(wanted) == ()
    assert resolving.run("nft list ruleset", BOX) == before


def test_a_redirect_of_another_engine_is_not_ours_and_gives_way(machine: LinuxMachine) -> None:
    machine.add(Namespace(BOX), Redirect(BOX, mark("f" * 64, "sandbox", BOX)))
    assert machine.observe(Namespace(BOX)).objects == (Namespace(BOX),)
    machine.add(REDIRECT)
    assert machine.difference((Namespace(BOX), REDIRECT)) == ()


def test_a_redirect_that_is_gone_can_be_removed(machine: LinuxMachine) -> None:
    machine.add(Namespace(BOX), REDIRECT)
    machine.run("nft flush ruleset", BOX)
    machine.remove(REDIRECT)
    assert machine.run("nft list ruleset", BOX) == ""


def test_sockets_are_given_up_with_the_resolver(machine: LinuxMachine) -> None:
    machine.add(Namespace(BOX))
    before = open_files()
    machine.add(RESOLVER)
    machine.remove(RESOLVER)
    assert open_files() == before


@pytest.fixture
def adopting(machine: LinuxMachine) -> Callable[[], Resolvers]:
    """Another process's view: it is given duplicates of the sockets."""

    def adopt() -> Resolvers:
        held = machine.kernel._machine.services.get(RESOLVER.key)
        assert held is not None
        other = Resolvers(machine.kernel._machine.namespaces, close_all)
        other.adopt(RESOLVER, [os.dup(fd) for fd in held[1]])
        return other

    return adopt


def test_the_sockets_of_the_namespace_that_is_there_are_taken_over(
    resolving: LinuxMachine, adopting: Callable[[], Resolvers]
) -> None:
    assert RESOLVER.key in adopting().held


def test_the_sockets_of_a_namespace_that_was_replaced_are_not(
    resolving: LinuxMachine, adopting: Callable[[], Resolvers]
) -> None:
    resolving.remove(Namespace(BOX))
    resolving.add(Namespace(BOX))
    before = open_files()
    assert not adopting().held
    assert open_files() == before

"""Held host ports, from the outside."""

import errno
import socket
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from linkspan.kernel import native
from linkspan.kernel.hostports import HostPorts
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HostPort
from linkspan.plan.operations import Operation, OperationFailedError, Verb
from tests.support.machines import LinuxMachine, open_files

FAMILIES = {"0.0.0.0": socket.AF_INET, "127.0.0.1": socket.AF_INET, "::": socket.AF_INET6, "::1": socket.AF_INET6}


def port(number: int, address: str = "0.0.0.0", protocol: Protocol = Protocol.TCP, last: int = 0) -> HostPort:
    return HostPort(protocol, ip_address(address), PortRange(number, last or number), "owner")


def test_a_published_tcp_port_is_shown_as_listening(machine: LinuxMachine) -> None:
    machine.add(port(8080))
    assert "0.0.0.0:8080" in machine.run("ss --no-header --listening --tcp --numeric")


@pytest.mark.parametrize("option", [0, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
@pytest.mark.parametrize("address", FAMILIES)
def test_no_process_can_take_a_held_port(machine: LinuxMachine, address: str, option: int) -> None:
    machine.add(port(8080), port(8080, "::"))
    with machine.inside(lambda: socket.socket(FAMILIES[address])) as other:
        if FAMILIES[address] == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if option:
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind((address, 8080))


def test_a_connection_to_a_held_ipv4_port_is_never_accepted(machine: LinuxMachine) -> None:
    machine.add(port(8080))
    with machine.inside(lambda: socket.socket(socket.AF_INET)) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.connect(("127.0.0.1", 8080))


def test_a_connection_to_a_held_ipv6_port_is_refused_at_once(machine: LinuxMachine) -> None:
    machine.add(port(8080, "::"))
    with machine.inside(lambda: socket.socket(socket.AF_INET6)) as client, pytest.raises(ConnectionRefusedError):
        client.connect(("::1", 8080))


def test_datagrams_to_a_held_port_do_not_pile_up(machine: LinuxMachine) -> None:
    machine.add(port(53, protocol=Protocol.UDP))
    with machine.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        for _ in range(100):
            client.sendto(b"x" * 1000, ("127.0.0.1", 53))
    waiting = machine.run("ss --no-header --udp --all --numeric 'sport = :53'").split()[1]
    assert waiting == "0"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_with_connections_in_time_wait_can_be_held(machine: LinuxMachine, address: str) -> None:
    family = FAMILIES[address]
    with (
        machine.inside(lambda: socket.create_server((address, 8080), family=family)) as server,
        machine.inside(lambda: socket.create_connection((address, 8080))) as client,
    ):
        accepted, _ = server.accept()
        accepted.close()
        assert client.recv(1) == b""
    assert machine.run("ss --no-header --tcp --numeric state time-wait 'sport = :8080'")
    machine.add(port(8080, "0.0.0.0" if family == socket.AF_INET else "::"))


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_of_any_protocol_is_given_to_the_relay_and_taken_from_it(
    machine: LinuxMachine, address: str, protocol: Protocol
) -> None:
    held = port(8080, address, protocol)
    relayed = replace(held, relay=(ip_address("172.17.0.2"), held.ports))
    machine.add(held)
    machine.apply(Operation(Verb.REPLACE, relayed, held))
    machine.apply(Operation(Verb.REPLACE, held, relayed))


def test_an_address_the_host_does_not_have_is_refused(machine: LinuxMachine) -> None:
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(port(8080, "192.0.2.1"))
    assert refusal.value.errno == errno.EADDRNOTAVAIL


def test_a_refused_range_names_the_port_and_leaves_no_socket(machine: LinuxMachine) -> None:
    machine.occupy(Protocol.TCP, ip_address("0.0.0.0"), 8004)
    before = open_files()
    with pytest.raises(OperationFailedError, match="port 8004: Address already in use"):
        machine.add(port(8000, last=8009))
    assert open_files() == before


@pytest.fixture(params=["0", "1"])
def bindv6only(machine: LinuxMachine, request: pytest.FixtureRequest) -> str:
    machine.inside(lambda: Path("/proc/sys/net/ipv6/bindv6only").write_text(request.param))
    return str(request.param)


@pytest.mark.usefixtures("bindv6only")
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_a_range_of_both_families_is_bound_in_both_whatever_the_host_prefers(
    machine: LinuxMachine, protocol: Protocol
) -> None:
    ports = PortRange(8000, 8002)
    machine.add(HostPort(protocol, ip_address("::"), ports, "owner", (ip_address("10.0.0.2"), ports), both=True))
    shown = machine.run("ss --no-header --listening --tcp --udp --numeric").split()
    assert sorted(each for each in shown if each.startswith("*:8")) == ["*:8000", "*:8001", "*:8002"]


@pytest.mark.usefixtures("bindv6only")
def test_a_range_of_one_family_leaves_the_other_alone_whatever_the_host_prefers(machine: LinuxMachine) -> None:
    machine.add(port(8000, "::", last=8002), port(8000, "0.0.0.0", last=8002))
    relayed = HostPort(
        Protocol.TCP, ip_address("::"), PortRange(9000, 9001), "o", (ip_address("::1"), PortRange(9000, 9001))
    )
    machine.add(relayed, port(9000, "0.0.0.0", last=9001))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_range_of_both_families_with_connections_in_time_wait_can_be_held(
    machine: LinuxMachine, address: str
) -> None:
    family = FAMILIES[address]
    with (
        machine.inside(lambda: socket.create_server((address, 8001), family=family)) as server,
        machine.inside(lambda: socket.create_connection((address, 8001))) as client,
    ):
        accepted, _ = server.accept()
        accepted.close()
        assert client.recv(1) == b""
    assert machine.run("ss --no-header --tcp --numeric state time-wait 'sport = :8001'")
    ports = PortRange(8000, 8002)
    machine.add(HostPort(Protocol.TCP, ip_address("::"), ports, "o", (ip_address("10.0.0.2"), ports), both=True))


def test_kernels_without_bpf_get_a_classic_filter(machine: LinuxMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> int:
        raise OSError(errno.ENOSYS, "no bpf")

    monkeypatch.setattr(native, "load_drop_filter", missing)
    ports = machine.inside(HostPorts)
    operation = Operation(Verb.ADD, port(8080))
    (outcome,) = machine.inside(lambda: ports.perform([operation], tolerant=False))
    assert outcome.error is None
    with machine.inside(lambda: socket.socket(socket.AF_INET)) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.connect(("127.0.0.1", 8080))
    ports.close()

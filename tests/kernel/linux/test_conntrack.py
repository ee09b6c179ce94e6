"""Which flows are forgotten with an address or a port, and which are not."""

import socket
from ipaddress import ip_address, ip_interface

import pytest

from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HOST, Address, HostPort, KernelObject
from linkspan.plan.operations import Operation, Verb, diff
from tests.support.machines import LinuxMachine, sandbox_id

UDP = Protocol.UDP
ONE = sandbox_id(1)
RANGE = PortRange(5350, 5359)
BOTH = HostPort(UDP, ip_address("::"), RANGE, "owner", (ip_address("10.0.0.9"), RANGE), both=True)
"""A range of both families, whose relay leads nowhere."""


@pytest.fixture
def tracked(machine: LinuxMachine) -> LinuxMachine:
    """Flows between addresses of one machine, and NAT of udp/5353 to 10.0.0.2."""
    machine.run(
        "for a in 10.0.0.1 10.0.0.2 10.0.0.3 fd00::1 fd00::2; do ip address add $a dev lo; done;"
        "nft 'add table ip t; add chain ip t c { type nat hook output priority -100; };"
        " add rule ip t c ip daddr 10.0.0.1 udp dport 5353 dnat to 10.0.0.2:53;"
        " add table ip6 t; add chain ip6 t c { type filter hook output priority 0; }; add rule ip6 t c ct state new'"
    )
    return machine


def send(machine: LinuxMachine, source: str, destination: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with machine.inside(lambda: socket.socket(family, socket.SOCK_DGRAM)) as client:
        client.bind((source, 0))
        client.sendto(b"x", (destination, port))


def flows(machine: LinuxMachine) -> set[str]:
    lines = machine.run("conntrack -L -p udp 2>&-; conntrack -L -p udp -f ipv6 2>&-").splitlines()
    words = [dict(word.split("=") for word in reversed(line.split()) if "=" in word) for line in lines]
    return {f"{flow['src']} {flow['dst']} {flow['dport']}" for flow in words}


def forget(machine: LinuxMachine, item: KernelObject, *, verb: Verb = Verb.REMOVE) -> None:
    machine.apply(Operation(verb, item, implied=verb is Verb.REMOVE and isinstance(item, Address)))


def test_the_flows_of_an_address_go_with_it(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.2", "10.0.0.3", 1000)
    send(tracked, "10.0.0.3", "10.0.0.2", 1001)
    send(tracked, "10.0.0.1", "10.0.0.1", 5353)
    send(tracked, "10.0.0.1", "10.0.0.3", 1002)
    forget(tracked, Address(ONE, "eth0", ip_interface("10.0.0.2/24")))
    assert flows(tracked) == {"10.0.0.1 10.0.0.3 1002"}


def test_ipv6_flows_go_too(tracked: LinuxMachine) -> None:
    send(tracked, "fd00::1", "fd00::2", 1000)
    forget(tracked, Address(ONE, "eth0", ip_interface("fd00::2/64")))
    assert flows(tracked) == set()


def test_addresses_of_the_host_are_not_asked_about(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.1", "10.0.0.3", 1000)
    forget(tracked, Address(HOST, "docker0", ip_interface("10.0.0.1/24")))
    assert flows(tracked) == {"10.0.0.1 10.0.0.3 1000"}


def test_the_flows_of_a_published_port_go_with_it_and_those_of_other_hosts_stay(tracked: LinuxMachine) -> None:
    tracked.run("ip link add br0 type bridge && ip link set br0 up && ip address add 192.0.2.1/24 dev br0")
    send(tracked, "10.0.0.1", "10.0.0.1", 5353)
    send(tracked, "127.0.0.1", "127.0.0.1", 5353)
    send(tracked, "192.0.2.1", "192.0.2.9", 5353)
    send(tracked, "10.0.0.1", "10.0.0.1", 5354)
    forget(tracked, HostPort(UDP, ip_address("0.0.0.0"), PortRange(5353, 5353), "owner"))
    assert flows(tracked) == {"192.0.2.1 192.0.2.9 5353", "10.0.0.1 10.0.0.1 5354"}


def test_the_flows_of_a_range_go_with_it_in_both_families(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.1", "10.0.0.1", 5353)
    send(tracked, "fd00::1", "fd00::2", 5353)
    forget(tracked, BOTH)
    assert flows(tracked) == set()


@pytest.mark.parametrize(("owner", "left"), [("owner", {"10.0.0.1 10.0.0.1 5353"}), ("another", set())])
def test_flows_stay_with_a_sandbox_that_has_the_ports_by_other_sockets(
    tracked: LinuxMachine, owner: str, left: set[str]
) -> None:
    four = HostPort(UDP, ip_address("0.0.0.0"), BOTH.ports, owner)
    tracked.add(BOTH)
    send(tracked, "10.0.0.1", "10.0.0.1", 5353)
    send(tracked, "fd00::1", "fd00::2", 5353)
    tracked.apply(*diff([BOTH], [four]))
    assert flows(tracked) == left


def test_a_port_on_one_address_is_forgotten_there_only(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.3", "10.0.0.1", 80)
    send(tracked, "10.0.0.3", "10.0.0.2", 80)
    forget(tracked, HostPort(UDP, ip_address("10.0.0.1"), PortRange(80, 80), "owner"))
    assert flows(tracked) == {"10.0.0.3 10.0.0.2 80"}


def test_a_range_is_forgotten_whole(tracked: LinuxMachine) -> None:
    for port in (79, 80, 85, 90, 91):
        send(tracked, "10.0.0.3", "10.0.0.1", port)
    forget(tracked, HostPort(UDP, ip_address("0.0.0.0"), PortRange(80, 90), "owner"))
    assert flows(tracked) == {"10.0.0.3 10.0.0.1 79", "10.0.0.3 10.0.0.1 91"}


def test_a_new_udp_port_takes_over_clients_that_never_pause(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.3", "10.0.0.1", 80)
    forget(tracked, HostPort(UDP, ip_address("0.0.0.0"), PortRange(80, 80), "owner"), verb=Verb.ADD)
    assert flows(tracked) == set()


def test_a_new_tcp_port_forgets_nothing(tracked: LinuxMachine) -> None:
    send(tracked, "10.0.0.3", "10.0.0.1", 80)
    forget(tracked, HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(80, 80), "owner"), verb=Verb.ADD)
    assert flows(tracked) == {"10.0.0.3 10.0.0.1 80"}

"""Conntrack entries and the questions asked about them, as values."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.kernel.conntrack import Flow, OfAddress, OfPort, parse_flow, questions
from linkspan.kernel.netlink import NetlinkFormatError, attribute, nested, u8
from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.plan.firewall import Firewall, Published
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import HOST, Address, HostPort
from linkspan.plan.operations import Operation, Verb

SOURCE, GATE, TARGET = (ip_address(f"10.0.0.{n}").packed for n in (1, 2, 3))


def tuple_(source: bytes, destination: bytes, port: int) -> bytes:
    addresses = nested(1, attribute(1, source), attribute(2, destination))
    return addresses + nested(2, u8(1, 17), attribute(2, b"\x10\0"), attribute(3, port.to_bytes(2, "big")))


ENTRY = (
    b"\x02\0\0\0"
    + nested(1, tuple_(SOURCE, GATE, 53))
    + nested(2, tuple_(TARGET, SOURCE, 4096))
    + attribute(12, b"name")
)


def test_an_entry_is_read_with_what_names_it() -> None:
    name = attribute(1, tuple_(SOURCE, GATE, 53)) + attribute(12, b"name")
    assert parse_flow(ENTRY) == Flow(4, SOURCE, GATE, 17, 53, TARGET, name)


def test_other_families_are_passed_over() -> None:
    assert parse_flow(b"\x07\0\0\0") is None
    assert parse_flow(b"") is None


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda tail: b"\x02\0\0\0" + tail)))
def test_any_bytes_are_a_flow_or_nothing_or_one_typed_error(body: bytes) -> None:
    with suppress(NetlinkFormatError):
        parse_flow(body)


def port(protocol: Protocol) -> HostPort:
    return HostPort(protocol, ip_address("0.0.0.0"), PortRange(80, 89), "owner")


def test_what_is_removed_or_replaced_is_asked_about_and_what_is_new_only_for_udp() -> None:
    address = Address("one", "eth0", ip_interface("10.0.0.3/24"))
    tcp, udp = port(Protocol.TCP), port(Protocol.UDP)
    of_udp = OfPort(Protocol.UDP, udp.address, udp.ports)
    of_tcp = OfPort(Protocol.TCP, tcp.address, tcp.ports)
    of_address = OfAddress(address.interface.ip)
    assert questions([Operation(Verb.ADD, address), Operation(Verb.ADD, tcp)]) == []
    assert questions([Operation(Verb.ADD, udp)]) == [replace(of_udp, stale=True)]
    assert questions([Operation(Verb.REMOVE, address, implied=True), Operation(Verb.REMOVE, tcp)]) == [
        of_address,
        of_tcp,
    ]
    assert questions([Operation(Verb.REPLACE, tcp, tcp)]) == [of_tcp]
    assert questions([Operation(Verb.REMOVE, Address(HOST, "docker0", address.interface))]) == []


@pytest.mark.parametrize("backend", [Nftables(), Iptables(userland_proxy=True), Iptables(userland_proxy=False)])
@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])
@pytest.mark.parametrize("target", [80, 8000])
@pytest.mark.parametrize("protocol", Protocol)
def test_a_translation_that_goes_without_its_socket_is_asked_about(
    backend: Firewall, address: str, target: int, protocol: Protocol
) -> None:
    host = ip_address(address)
    binding = PortBinding(protocol, host, PortRange(8000, 8002), PortRange(target, target + 2))
    objects = list(
        backend.published(Published(binding, ip_address("10.0.0.3" if host.version == 4 else "fd05::3"), "br0", "o"))
    )
    removals = [Operation(Verb.REMOVE, item) for item in objects]
    asked = [question for question in questions(removals) if isinstance(question, OfPort)]
    assert {port for question in asked for port in range(question.ports.first, question.ports.last + 1)} == {
        8000,
        8001,
        8002,
    }
    assert {(question.protocol, question.address) for question in asked} == {(protocol, host)}
    held = HostPort(protocol, host, binding.host, "o")
    additions = [Operation(Verb.ADD, item) for item in objects]
    assert questions([*removals, *additions]) == []
    assert questions([*removals, Operation(Verb.REMOVE, held)]) == [OfPort(protocol, host, binding.host)]


def test_a_published_port_is_one_of_this_host() -> None:
    flow = parse_flow(ENTRY)
    assert flow is not None
    question = OfPort(Protocol.UDP, ip_address("0.0.0.0"), PortRange(50, 60))
    assert question.matches(flow, {GATE})
    assert not question.matches(flow, set())
    assert not OfPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(50, 60)).matches(flow, {GATE})
    assert not OfPort(Protocol.UDP, ip_address("0.0.0.0"), PortRange(54, 60)).matches(flow, {GATE})
    assert not OfPort(Protocol.UDP, ip_address("::"), PortRange(50, 60)).matches(flow, {GATE})


def test_a_new_port_ends_the_flows_that_nothing_translates_and_no_others() -> None:
    translated = parse_flow(ENTRY)
    assert translated is not None
    question = OfPort(Protocol.UDP, ip_address("0.0.0.0"), PortRange(50, 60), stale=True)
    assert not question.matches(translated, {GATE})
    assert question.matches(replace(translated, reply_source=GATE), {GATE})

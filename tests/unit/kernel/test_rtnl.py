"""rtnetlink bodies: total on any bytes, and exact about what is sent and shown."""

import struct
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.kernel import rtnl
from linkspan.kernel.netlink import NetlinkFormatError, attribute, attributes, nested, text, u8, u32
from linkspan.kernel.rtnl import Link, LinkAddress, LinkRoute
from linkspan.model.addressing import IPInterface

INTERFACES = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(IPv4Interface),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(IPv6Interface),
)
BODIES = st.one_of(
    st.binary(max_size=64),
    # Bodies that get past the header: a family, then attributes that may be anything.
    st.builds(
        lambda family, head, kinds: bytes([family]) + head + b"".join(attribute(k, v) for k, v in kinds.items()),
        st.sampled_from([0, 2, 10, 7]),
        st.one_of([st.binary(min_size=n, max_size=n) for n in (3, 7, 11, 15)]),
        st.dictionaries(st.integers(0, 45), st.binary(max_size=20), max_size=5),
    ),
)


@pytest.mark.parametrize("parse", [rtnl.parse_link, rtnl.parse_address, rtnl.parse_route, rtnl.parse_nsid])
@given(body=BODIES)
def test_any_bytes_are_a_value_or_one_typed_error(parse: Callable[[bytes], object], body: bytes) -> None:
    with suppress(NetlinkFormatError):
        parse(body)


@given(INTERFACES, st.integers(1, 2**31 - 1))
def test_an_address_is_read_as_it_was_sent(interface: IPInterface, index: int) -> None:
    assert rtnl.parse_address(rtnl.new_address(index, interface).body) == LinkAddress(index, interface, 76)


@given(INTERFACES, INTERFACES, st.integers(1, 2**31 - 1))
def test_a_route_is_read_as_it_was_sent(left: IPInterface, right: IPInterface, index: int) -> None:
    if left.version == right.version:
        request = rtnl.new_route(left.network, right.ip, index)
        assert rtnl.parse_route(request.body) == LinkRoute(left.network, right.ip, index, 76, 0, on_link=False)


def test_what_is_asked_of_an_ipv4_address() -> None:
    found = attributes(rtnl.new_address(7, ip_interface("172.17.0.1/16")).body, 8)
    assert found[rtnl.IFA_BROADCAST] == ip_address("172.17.255.255").packed
    assert rtnl.IFA_FLAGS not in found


def test_point_to_point_prefixes_have_no_broadcast_address() -> None:
    assert rtnl.IFA_BROADCAST not in attributes(rtnl.new_address(7, ip_interface("10.0.0.0/31")).body, 8)


def test_ipv6_addresses_are_usable_at_once() -> None:
    found = attributes(rtnl.new_address(7, ip_interface("fd00::1/64")).body, 8)
    assert found[rtnl.IFA_FLAGS] == b"\x02\0\0\0"  # IFA_F_NODAD
    assert rtnl.IFA_BROADCAST not in found


def test_adding_refuses_what_exists_and_replacing_does_not() -> None:
    network, gateway = ip_network("0.0.0.0/0"), ip_address("172.17.0.1")
    assert rtnl.new_route(network, gateway, 1).flags == 0x600
    assert rtnl.new_route(network, gateway, 1, replace=True).flags == 0x500


def test_golden_bytes_of_a_pair() -> None:
    """As `ip link add veth0 mtu 1500 master 5 type veth peer name eth0 address 02:… mtu 1500 netns FD` asks for it."""
    request = rtnl.new_veth("veth0", 5, 1500, peer="eth0", peer_mac="02:00:00:00:00:01", peer_namespace=9)
    assert (request.type, request.flags) == (16, 0x600)
    assert request.body.hex(" ", 4) == (
        "00000000 00000000 00000000 00000000 "
        "0a000300 76657468 30000000 08000400 dc050000 08000a00 05000000 "
        "50001280 09000100 76657468 00000000 40000280 3c000100 "
        "00000000 00000000 00000000 00000000 "
        "09000300 65746830 00000000 0a000100 02000000 00010000 08000400 dc050000 08001c00 09000000"
    )


def link(*found: bytes, index: int = 3, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 1, index, flags, 0) + b"".join(found)


def test_a_bridge_port_is_read_whole() -> None:
    port = nested(
        rtnl.IFLA_LINKINFO,
        text(rtnl.IFLA_INFO_KIND, "veth"),
        text(rtnl.IFLA_INFO_SLAVE_KIND, "bridge"),
        nested(
            rtnl.IFLA_INFO_SLAVE_DATA,
            u8(rtnl.IFLA_BRPORT_STATE, rtnl.BR_STATE_FORWARDING),
            u8(rtnl.IFLA_BRPORT_MODE, 1),
            u8(rtnl.IFLA_BRPORT_ISOLATED, 1),
        ),
    )
    body = link(
        text(rtnl.IFLA_IFNAME, "veth0"),
        u32(rtnl.IFLA_MTU, 1400),
        attribute(rtnl.IFLA_ADDRESS, bytes.fromhex("020000000001")),
        u32(rtnl.IFLA_MASTER, 5),
        u32(rtnl.IFLA_LINK, 2),
        u32(rtnl.IFLA_LINK_NETNSID, 0),
        text(rtnl.IFLA_IFALIAS, "linkspan:e:endpoint:1"),
        port,
        flags=rtnl.IFF_UP | rtnl.IFF_RUNNING,
    )
    assert rtnl.parse_link(body) == Link(
        ifindex=3,
        name="veth0",
        up=True,
        mac="02:00:00:00:00:01",
        mtu=1400,
        kind="veth",
        alias="linkspan:e:endpoint:1",
        master=5,
        peer=2,
        peer_nsid=0,
        hairpin=True,
        isolated=True,
        forwarding=True,
        running=True,
    )


def test_settings_of_ports_of_other_kinds_are_not_taken_for_a_bridges() -> None:
    data = nested(rtnl.IFLA_INFO_SLAVE_DATA, u8(rtnl.IFLA_BRPORT_MODE, 1))
    body = link(nested(rtnl.IFLA_LINKINFO, text(rtnl.IFLA_INFO_SLAVE_KIND, "bond"), data))
    assert not rtnl.parse_link(body).hairpin


def test_a_pair_within_one_namespace_has_no_number() -> None:
    assert rtnl.parse_link(link(u32(rtnl.IFLA_LINK, 2))).peer_nsid is None


@pytest.mark.parametrize(("value", "number"), [(-1, None), (0, 0), (7, 7)])
def test_minus_one_is_no_namespace_number(value: int, number: int | None) -> None:
    assert rtnl.parse_nsid(bytes(4) + attribute(rtnl.NETNSA_NSID, struct.pack("=i", value))) == number


def route(*found: bytes, table: int = 254, kind: int = 1, flags: int = 0, scope: int = 253) -> bytes:
    return struct.pack("=BBBBBBBBI", 2, 16, 0, 0, table, 2, scope, kind, flags) + b"".join(found)


def test_an_on_link_route_has_no_gateway() -> None:
    body = route(attribute(rtnl.RTA_DST, ip_address("10.1.0.0").packed), u32(rtnl.RTA_OIF, 4))
    assert rtnl.parse_route(body) == LinkRoute(ip_network("10.1.0.0/16"), None, 4, 2, 0, on_link=True)


@pytest.mark.parametrize(
    "body", [route(table=255), route(kind=2), route(flags=0x200), route(u32(rtnl.RTA_TABLE, 1000))]
)
def test_only_unicast_routes_of_the_main_table_are_routes(body: bytes) -> None:
    assert rtnl.parse_route(body) is None

"""rtnetlink: requests for links, addresses and routes, and what the kernel's listings say. Pure functions.

Attribute numbers are those of linux/if_link.h, if_addr.h, rtnetlink.h and net_namespace.h.
"""

import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import NamedTuple

from linkspan.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkFormatError,
    Request,
    attribute,
    attributes,
    nested,
    number,
    string,
    text,
    u8,
    u32,
)
from linkspan.model.addressing import IPAddress, IPInterface, IPNetwork, Version
from linkspan.plan.objects import PROTOCOL

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_GETNSID = 90

IFF_UP = 1
IFF_RUNNING = 0x40

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD = 18, 20, 26, 27, 28
IFLA_EXT_MASK, IFLA_LINK_NETNSID = 29, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE = 1, 5
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 1, 4, 33
BR_STATE_FORWARDING = 3
IFLA_INET6_ADDR_GEN_MODE = 8
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_PROTO = 1, 2, 4, 8, 11
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
NETNSA_NSID, NETNSA_FD = 1, 3

_RTEXT_FILTER_SKIP_STATS = 1 << 3
_IN6_ADDR_GEN_MODE_NONE = 1
_IFA_F_NODAD = 0x02
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTM_F_CLONED = 0x200

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")

FAMILY: dict[Version, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_ADDRESS_SIZE: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 16}
_NETWORKS: dict[int, type[IPv4Network] | type[IPv6Network]] = {
    socket.AF_INET: IPv4Network,
    socket.AF_INET6: IPv6Network,
}
"""By name, and not by trial: thrice as fast, and there may be many routes."""
DEFAULT_METRIC: dict[Version, int] = {4: 0, 6: 1024}
"""The metric a route gets when the request names none; only routes with equal metrics collide."""


class Link(NamedTuple):
    """One link of a listing. `peer` is the index of the other end, in the namespace `peer_nsid` (None: the same).

    A link that is `up` as it was told to be is also `running` when it has a carrier; a bridge has that of its ports.
    """

    ifindex: int
    name: str
    up: bool
    mac: str
    mtu: int
    kind: str
    alias: str
    master: int
    peer: int
    peer_nsid: int | None
    hairpin: bool
    isolated: bool
    forwarding: bool
    running: bool


class LinkAddress(NamedTuple):
    """One address of a listing."""

    ifindex: int
    interface: IPInterface
    protocol: int


@dataclass(frozen=True, slots=True)
class LinkRoute:
    """One unicast route of the main table. `gateway` None is an on-link route; `ifindex` 0 has several next hops."""

    destination: IPNetwork
    gateway: IPAddress | None
    ifindex: int
    protocol: int
    metric: int
    on_link: bool


def _link_header(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    return _LINK.pack(family, 0, index, flags, change)


def _mac(address: str) -> bytes:
    return attribute(IFLA_ADDRESS, bytes.fromhex(address.replace(":", "")))


def new_bridge(name: str, mac: str, mtu: int) -> Request:
    """Create a bridge, STP off and without the delay before a new port forwards."""
    settings = nested(IFLA_INFO_DATA, u32(IFLA_BR_FORWARD_DELAY, 0), u32(IFLA_BR_STP_STATE, 0))
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), settings)
    body = _link_header() + text(IFLA_IFNAME, name) + _mac(mac) + u32(IFLA_MTU, mtu) + info
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def new_veth(name: str, master: int, mtu: int, *, peer: str, peer_mac: str, peer_namespace: int) -> Request:
    """Create a veth pair: one end a port of the bridge `master`, the other in the namespace behind a descriptor."""
    other = _link_header() + text(IFLA_IFNAME, peer) + _mac(peer_mac) + u32(IFLA_MTU, mtu)
    other += u32(IFLA_NET_NS_FD, peer_namespace)
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)))
    body = _link_header() + text(IFLA_IFNAME, name) + u32(IFLA_MTU, mtu) + u32(IFLA_MASTER, master) + info
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_link(name: str, *settings: bytes, up: bool | None = None) -> Request:
    """Change a link by name. As RTM_NEWLINK, which unlike RTM_SETLINK takes bridge port settings too."""
    change = 0 if up is None else IFF_UP
    body = _link_header(flags=IFF_UP if up else 0, change=change) + text(IFLA_IFNAME, name) + b"".join(settings)
    return Request(RTM_NEWLINK, 0, body)


def alias(value: str) -> bytes:
    """Setting: the text that `ip link` shows as alias. The kernel ignores it in the request that creates the link."""
    return attribute(IFLA_IFALIAS, value.encode())


def mtu(value: int) -> bytes:
    """Setting: MTU."""
    return u32(IFLA_MTU, value)


def mac(value: str) -> bytes:
    """Setting: hardware address."""
    return _mac(value)


def master(index: int) -> bytes:
    """Setting: the bridge a link is a port of; 0 for none."""
    return u32(IFLA_MASTER, index)


def port(*, hairpin: bool, isolated: bool) -> bytes:
    """Setting: what a bridge does with a port. The link must be one already."""
    data = nested(IFLA_INFO_SLAVE_DATA, u8(IFLA_BRPORT_MODE, hairpin), u8(IFLA_BRPORT_ISOLATED, isolated))
    return nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), data)


def no_automatic_address() -> bytes:
    """Setting: no link-local address, hence no router solicitations either. Refused on links without IPv6."""
    inet6 = nested(socket.AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE))
    return nested(IFLA_AF_SPEC, inet6)


def group(value: int) -> bytes:
    """Setting: the group a link belongs to."""
    return u32(IFLA_GROUP, value)


def get_link(name: str) -> Request:
    """Look one link up by name."""
    body = _link_header() + text(IFLA_IFNAME, name) + u32(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    return Request(RTM_GETLINK, 0, body)


def del_link(name: str) -> Request:
    """Delete one link by name."""
    return Request(RTM_DELLINK, 0, _link_header() + text(IFLA_IFNAME, name))


def set_group(index: int, value: int) -> Request:
    """Put a link into a group."""
    return Request(RTM_SETLINK, 0, _link_header(index) + group(value))


def del_group(value: int) -> Request:
    """Delete all links of a group, in one grace period of the kernel."""
    return Request(RTM_DELLINK, 0, _link_header() + group(value))


def new_address(index: int, address: IPInterface) -> Request:
    """Add an address, usable at once and marked as ours."""
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, _address(index, address, complete=True))


def del_address(index: int, address: IPInterface) -> Request:
    """Remove an address."""
    return Request(RTM_DELADDR, 0, _address(index, address))


def _address(index: int, address: IPInterface, *, complete: bool = False) -> bytes:
    prefixlen, packed = address.network.prefixlen, address.ip.packed
    body = _ADDRESS.pack(FAMILY[address.version], prefixlen, 0, _RT_SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if complete:
        body += u8(IFA_PROTO, PROTOCOL)  # Linux 5.18; ignored before
        if address.version == 6:
            body += u32(IFA_FLAGS, _IFA_F_NODAD)
        elif prefixlen < 31:
            body += attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    return body


def new_route(destination: IPNetwork, gateway: IPAddress, index: int, *, replace: bool = False) -> Request:
    """Add a route through a gateway, marked as ours, or put it in the place of one to the same destination."""
    flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return Request(RTM_NEWROUTE, flags, _route(destination, gateway, index))


def del_route(destination: IPNetwork, gateway: IPAddress, index: int) -> Request:
    """Remove a route of ours."""
    return Request(RTM_DELROUTE, 0, _route(destination, gateway, index))


def _route(destination: IPNetwork, gateway: IPAddress, index: int) -> bytes:
    body = _ROUTE.pack(
        FAMILY[destination.version],
        destination.prefixlen,
        0,
        0,
        _RT_TABLE_MAIN,
        PROTOCOL,
        _RT_SCOPE_UNIVERSE,
        _RTN_UNICAST,
        0,
    )
    if destination.prefixlen:
        body += attribute(RTA_DST, destination.network_address.packed)
    return body + attribute(RTA_GATEWAY, gateway.packed) + u32(RTA_OIF, index)


def list_links(kind: str = "") -> Request:
    """For `dump`: all links, or those of one kind, without counters."""
    body = _link_header() + u32(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    return Request(RTM_GETLINK, 0, body + (nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind)) if kind else b""))


def list_addresses() -> Request:
    """For `dump`: the addresses of both families."""
    return Request(RTM_GETADDR, 0, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))


def list_routes(version: Version, protocol: int = 0) -> Request:
    """For `dump`: the main table, or with `protocol` only those routes (since Linux 4.20; all of them before)."""
    return Request(RTM_GETROUTE, 0, _ROUTE.pack(FAMILY[version], 0, 0, 0, _RT_TABLE_MAIN, protocol, 0, 0, 0))


def get_nsid(namespace: int) -> Request:
    """Ask by which number this namespace knows the one behind a descriptor."""
    return Request(RTM_GETNSID, 0, b"\0\0\0\0" + u32(NETNSA_FD, namespace))


def parse_nsid(body: bytes) -> int | None:
    """The answer to `get_nsid`; None when there is no number, that is, no link leads there."""
    value = int.from_bytes(attributes(body, 4).get(NETNSA_NSID, b"\xff"), sys.byteorder, signed=True)
    return None if value < 0 else value


def parse_link(body: bytes) -> Link:
    """One message of a link listing."""
    _, _, index, flags, _ = _unpack(_LINK, body)
    found = attributes(body, _LINK.size)
    info = attributes(found.get(IFLA_LINKINFO, b""))
    is_port = info.get(IFLA_INFO_SLAVE_KIND, b"").rstrip(b"\0") == b"bridge"
    port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")) if is_port else {}
    nsid = found.get(IFLA_LINK_NETNSID)
    return Link(
        ifindex=index,
        name=string(found.get(IFLA_IFNAME, b"")),
        up=bool(flags & IFF_UP),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=number(found.get(IFLA_MTU, b"")),
        kind=string(info.get(IFLA_INFO_KIND, b"")),
        alias=string(found.get(IFLA_IFALIAS, b"")),
        master=number(found.get(IFLA_MASTER, b"")),
        peer=number(found.get(IFLA_LINK, b"")),
        peer_nsid=None if nsid is None else number(nsid),
        hairpin=bool(number(port.get(IFLA_BRPORT_MODE, b""))),
        isolated=bool(number(port.get(IFLA_BRPORT_ISOLATED, b""))),
        forwarding=number(port.get(IFLA_BRPORT_STATE, b"")) == BR_STATE_FORWARDING,
        running=bool(flags & IFF_RUNNING),
    )


def parse_address(body: bytes) -> LinkAddress:
    """One message of an address listing."""
    family, prefixlen, _, _, index = _unpack(_ADDRESS, body)
    found = attributes(body, _ADDRESS.size)
    # IFA_LOCAL is the address itself; IFA_ADDRESS is the far end on point-to-point links, and IPv6 has only that.
    address = _ip(family, found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b""))
    try:
        return LinkAddress(index, ip_interface(f"{address}/{prefixlen}"), number(found.get(IFA_PROTO, b"")))
    except ValueError as error:
        raise NetlinkFormatError(str(error)) from error


def parse_route(body: bytes) -> LinkRoute | None:
    """One message of a route listing; None for what is not a unicast route of the main table."""
    family, prefixlen, _, _, table, protocol, scope, kind, flags = _unpack(_ROUTE, body)
    found = attributes(body, _ROUTE.size)
    table = number(found[RTA_TABLE]) if RTA_TABLE in found else table
    if kind != _RTN_UNICAST or table != _RT_TABLE_MAIN or flags & _RTM_F_CLONED or family not in _ADDRESS_SIZE:
        return None
    destination = _ip(family, found.get(RTA_DST) or bytes(_ADDRESS_SIZE[family]))
    gateway = found.get(RTA_GATEWAY)
    try:
        network = _NETWORKS[family]((int(destination), prefixlen), strict=False)
    except ValueError as error:
        raise NetlinkFormatError(str(error)) from error
    return LinkRoute(
        destination=network,
        gateway=None if gateway is None else _ip(family, gateway),
        ifindex=number(found.get(RTA_OIF, b"")),
        protocol=protocol,
        metric=number(found.get(RTA_PRIORITY, b"")),
        on_link=scope == _RT_SCOPE_LINK,
    )


def _unpack(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise NetlinkFormatError(f"message of {len(body)} bytes, expected at least {layout.size}")
    return layout.unpack_from(body)


def _ip(family: int, packed: bytes) -> IPAddress:
    if len(packed) != _ADDRESS_SIZE.get(family):
        raise NetlinkFormatError(f"address of {len(packed)} bytes in family {family}")
    return ip_address(packed)

"""What decisions about addresses and ports have to respect on this host."""

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

from linkspan.kernel import files, rtnl
from linkspan.kernel.forwarding import Forwarding
from linkspan.kernel.links import ipv6_exists
from linkspan.kernel.netlink import Socket
from linkspan.model.addressing import IPAddress, IPNetwork
from linkspan.model.ports import PortRange
from linkspan.plan.objects import mark_engine
from linkspan.plan.observation import HostFacts

_RESOLV_CONF = Path("/etc/resolv.conf")
_RESOLVED_CONF = Path("/run/systemd/resolve/resolv.conf")
_STUB = IPv4Address("127.0.0.53")
_PORTS = "/proc/sys/net/ipv4"
_BRIDGE_NETFILTER = [Path("/proc/sys/net/bridge", f"bridge-nf-call-{tool}") for tool in ("iptables", "ip6tables")]
"""Absent as long as br_netfilter is not loaded."""
_IPPROTO_SCTP = 132


def host_facts(netlink: Socket, engine: str, forwarding: Forwarding) -> HostFacts:
    """The host as it is now. Called on the kernel thread: /proc/sys shows the namespace of its reader."""
    first, last = (int(number) for number in files.read(f"{_PORTS}/ip_local_port_range").split())
    return HostFacts(
        occupied=occupied(netlink, _bridges(netlink, engine)),
        ephemeral=PortRange(first, last),
        reserved=parse_port_list(files.read(f"{_PORTS}/ip_local_reserved_ports")),
        bridge_netfilter=all(_read(path).strip() == "1" for path in _BRIDGE_NETFILTER),
        br_netfilter=_BRIDGE_NETFILTER[0].exists(),
        forwards=forwarding.on(),
        forwards_by_us=forwarding.by_us(),
        has_ipv6=ipv6_exists(),
        ipv6=_listens_on_ipv6(),
        sctp=_has_sctp(),
    )


def _listens_on_ipv6() -> bool:
    """Whether [::1] can be listened on (Docker's `IsV6Listenable`)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def _bridges(netlink: Socket, engine: str) -> set[int]:
    """The engine's own, by index."""
    bridges = (rtnl.parse_link(body) for body in netlink.dump(rtnl.list_links(kind="bridge")))
    return {bridge.ifindex for bridge in bridges if mark_engine(bridge.alias) == engine}


def occupied(netlink: Socket, besides: Collection[int] = ()) -> tuple[IPNetwork, ...]:
    """IPv4 on-link prefixes of the main table, but for those of the links `besides`, and the name servers."""
    routes = (rtnl.parse_route(body) for body in netlink.dump(rtnl.list_routes(4)))
    on_link = (route for route in routes if route and route.on_link and route.destination.prefixlen)
    prefixes = [route.destination for route in on_link if route.ifindex not in besides]
    return tuple(dict.fromkeys([*prefixes, *map(ip_network, _resolvers())]))


def _resolvers() -> tuple[IPAddress, ...]:
    """The name servers; behind systemd-resolved's stub, those it forwards to (as Docker reads them)."""
    found = parse_resolvers(_read(_RESOLV_CONF))
    if found == (_STUB,):
        found = parse_resolvers(_read(_RESOLVED_CONF)) or found
    return found


def _read(path: Path) -> str:
    try:
        return files.read(path)
    except OSError:
        return ""


def parse_resolvers(text: str) -> tuple[IPAddress, ...]:
    """The `nameserver` lines of a resolv.conf; what is not an address is left out, as resolvers do."""
    found: list[IPAddress] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(ip_address(words[1].partition("%")[0]))
            except ValueError:
                continue
    return tuple(found)


def parse_port_list(text: str) -> tuple[PortRange, ...]:
    """`ip_local_reserved_ports`: `8080,9000-9010`, or nothing."""
    ranges = (part.partition("-") for part in text.strip().split(",") if part)
    return tuple(PortRange(int(first), int(last or first)) for first, _, last in ranges)

"""What Hypothesis draws: addresses, prefixes, kernel objects, and histories of requests."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import product
from typing import Any

from hypothesis import strategies as st

from linkspan.model.addressing import UNSPECIFIED, VERSIONS, IPAddress, IPNetwork, interface
from linkspan.model.dataplane import Record, RecordType
from linkspan.model.ports import PortRange, Protocol
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    Publish,
    RecordRequest,
    RemoveNetwork,
    RemoveSandbox,
    RenameSandbox,
    Request,
    SetRecords,
    Unpublish,
)
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    IptablesChain,
    IptablesRule,
    KernelObject,
    NameEntry,
    Namespace,
    NameZone,
    NftChain,
    NftElement,
    NftRule,
    NftSet,
    NftTable,
    Redirect,
    Resolver,
    Route,
    Sysctl,
    Up,
    Veth,
)


def addresses() -> st.SearchStrategy[IPAddress]:
    """Addresses of both families."""
    return st.one_of(
        st.builds(IPv4Address, st.integers(0, 2**32 - 1)), st.builds(IPv6Address, st.integers(0, 2**128 - 1))
    )


@st.composite
def prefixes(draw: st.DrawFn) -> IPNetwork:
    """Prefixes of both families and every length."""
    if draw(st.booleans()):
        length = draw(st.integers(0, 32))
        number4 = draw(st.integers(0, 2**32 - 1)) >> (32 - length) << (32 - length)
        return IPv4Network((number4, length))
    length = draw(st.integers(0, 128))
    number6 = draw(st.integers(0, 2**128 - 1)) >> (128 - length) << (128 - length)
    return IPv6Network((number6, length))


@st.composite
def subprefixes(draw: st.DrawFn, base: IPNetwork, longest: int) -> IPNetwork:
    """Prefixes inside `base`, at most `longest` long."""
    length = draw(st.integers(base.prefixlen, longest))
    index = draw(st.integers(0, 2 ** (length - base.prefixlen) - 1))
    number = int(base.network_address) + (index << (base.max_prefixlen - length))
    return IPv4Network((number, length)) if base.version == 4 else IPv6Network((number, length))


_SPACES = ("s1", "s2")
_OWNERS = ("linkspan:e:network:1", "linkspan:e:network:2")
_HOSTS: tuple[IPAddress, ...] = (IPv4Address("10.0.0.1"), IPv6Address("fd00::1"))
_LINKS = [(HOST, name) for name in ("br1", "br2", "veth1", "veth2")] + [
    (s, e) for s in _SPACES for e in ("eth0", "eth1")
]
_DEFAULTS: tuple[IPNetwork, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_AB = ("a", "b")


def _world() -> Iterator[KernelObject]:
    """A world small enough that two drawn plans often share keys, and often differ in what is behind one."""
    yield from map(Namespace, _SPACES)
    yield from (Bridge(f"br{n}", "02:00:00:00:00:01", mtu, _OWNERS[0]) for n in (1, 2) for mtu in (1500, 9000))
    for name, bridge, space in product(("veth1", "veth2"), ("br1", "br2"), _SPACES):
        yield Veth(name, bridge, space, "eth0", "02:00:00:00:00:02", 1500, False, _OWNERS[0])
    for where, link in _LINKS:
        yield Up(where, link)
        yield from (Address(where, link, interface(address, length)) for address in _HOSTS for length in (24, 32))
        yield from (Sysctl(where, f"net.ipv4.conf.{link}.route_localnet", value, link) for value in "01")
    for space, link, way in product(_SPACES, ("eth0", "eth1"), (0, 1)):
        yield Route(space, _DEFAULTS[way], _HOSTS[way], link)
    yield from (Sysctl(HOST, "net.ipv4.ip_forward", value) for value in "01")
    for ports, address, owner in product((PortRange(80, 80), PortRange(8000, 8001)), _HOSTS, _OWNERS):
        yield HostPort(Protocol.TCP, address, ports, owner)
    target = (_HOSTS[0], PortRange(8000, 8001))
    yield from (HostPort(Protocol.TCP, any_, target[1], _OWNERS[0]) for any_ in UNSPECIFIED.values())
    yield HostPort(Protocol.TCP, UNSPECIFIED[6], target[1], _OWNERS[0], target, both=True)
    relay = (_HOSTS[0], PortRange(80, 80))
    yield HostPort(Protocol.TCP, _HOSTS[0], PortRange(80, 80), _OWNERS[0], relay, proxy_protocol=True)
    yield from (Redirect(space, owner) for space, owner in product(_SPACES, _OWNERS))
    yield from (Resolver(space, networks, _OWNERS[0]) for space, networks in product(_SPACES, (_AB, _AB[:1])))
    record = Record("t", RecordType.TXT, "it's one")
    yield from (NameZone(network, name, "o", (record,)) for network, name in product(_AB, _AB))
    yield from (NameEntry(n, space, names, _HOSTS, "o") for n, space, names in product(_AB, _SPACES, (_AB, _AB[:1])))
    yield from (HostResolver(address, owner) for address, owner in product(_HOSTS, _OWNERS))
    yield from map(NftTable, _OWNERS)
    yield from (NftSet(name, kind) for name in _AB for kind in ("ifname", "inet_service"))
    yield from (NftChain(name, "", rules) for name in _AB for rules in ((), (NftRule("accept", "all"),)))
    yield from (NftElement(name, item, value, _OWNERS[0]) for name, item, value in product(_AB, _AB, _AB))
    yield from (IptablesChain(version, "nat", name) for version in VERSIONS for name in _AB)
    yield from (IptablesRule(v, "nat", c, s, i) for v, c, s, i in product(VERSIONS, _AB, _AB, (False, True)))


_WORLD = tuple(_world())


def plans() -> st.SearchStrategy[list[KernelObject]]:
    """Sets of kernel objects, one per key."""
    return st.lists(st.sampled_from(_WORLD), max_size=16, unique_by=lambda item: item.key)


_NETWORKS = st.sampled_from(["a", "b", "c", "bridge", "none"])
_SANDBOXES = st.sampled_from(["x", "y"])
_SPECS = ("8080:80", "127.0.0.1:8080:80", "8000-8002:80-82", "80", "53:53/udp", "[::]:8080:80", "8001:1", "9-10:9")
_PUBLISH = st.lists(st.sampled_from(_SPECS), max_size=2)
_ICC_OFF = {"com.docker.network.bridge.enable_icc": "false"}
_ENDPOINTS = st.builds(
    EndpointRequest,
    _NETWORKS,
    ipv4_address=st.sampled_from(["", "", "172.18.0.9", "172.19.0.2"]),
    ifname=st.sampled_from(["", "", "eth1", "lan0"]),
    gw_priority=st.integers(-1, 1),
    aliases=st.sampled_from([(), (), ("www", "*.web"), ("x",)]),
    links=st.sampled_from([(), (), ("y:db",), ("x",)]),
)
_RECORDS = (
    RecordRequest("db", "A", "10.0.0.9"),
    RecordRequest("t", "TXT", "a b", 5),
    RecordRequest("db", "CNAME", "x"),
)


def requests() -> st.SearchStrategy[Request[Any]]:
    """Any request about a handful of names; many are refused, many succeed."""
    families = st.sampled_from([(True, False), (True, True), (False, True)])
    networks = st.builds(
        lambda name, family, internal, options: CreateNetwork(
            name, ipv4=family[0], ipv6=family[1], internal=internal, options=options
        ),
        _NETWORKS,
        families,
        st.booleans(),
        st.sampled_from([{}, {"com.docker.network.bridge.name": "br9"}, _ICC_OFF]),
    )
    sandboxes = st.builds(
        CreateSandbox,
        _SANDBOXES,
        mode=st.sampled_from(["", "", "", "host", "none", "container:x"]),
        networks=st.lists(_ENDPOINTS, max_size=2),
        publish=_PUBLISH,
        hostname=st.sampled_from(["", "box"]),
        dns=st.sampled_from([(), ("192.0.2.53", "2001:db8::53")]),
        proxy_protocol=st.sampled_from([(), (), (), ("80",), ("80-82/tcp",)]),
    )
    return st.one_of(
        networks,
        sandboxes,
        st.builds(RemoveNetwork, _NETWORKS),
        st.builds(RemoveSandbox, _SANDBOXES),
        st.builds(Connect, _SANDBOXES, _ENDPOINTS),
        st.builds(Disconnect, _SANDBOXES, _NETWORKS),
        st.builds(Publish, _SANDBOXES, _PUBLISH),
        st.builds(RenameSandbox, _SANDBOXES, st.sampled_from(["x", "y", "z"])),
        st.builds(SetRecords, _NETWORKS, st.lists(st.sampled_from(_RECORDS), max_size=2)),
        st.builds(Unpublish, _SANDBOXES, st.sampled_from([["8080"], ["53/udp"], ["8000-8002"], ["32768"]])),
    )


def histories() -> st.SearchStrategy[list[Request[Any]]]:
    """Requests in a row, beginning with some that make the rest meaningful."""
    opening: list[Request[Any]] = [
        CreateNetwork("a"),
        CreateNetwork("b", ipv6=True),
        CreateSandbox("x", networks=["a", "b"], publish=["8080:80"]),
    ]
    return st.lists(requests(), min_size=10, max_size=16).map(lambda rest: opening + rest)

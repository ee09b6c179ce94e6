"""Operations as the lines a person would type, each of which a shell executes as it stands."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from shlex import quote
from types import MappingProxyType

from linkspan.model.addressing import VERSIONS, Version, bracketed
from linkspan.plan.objects import (
    HOST,
    PROTOCOL,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    IptablesChain,
    IptablesRule,
    NameEntry,
    Namespace,
    NameZone,
    NftChain,
    NftElement,
    NftSet,
    NftTable,
    Redirect,
    Resolver,
    Route,
    Service,
    Sysctl,
    Up,
    Veth,
)
from linkspan.plan.operations import Operation, Verb
from linkspan.plan.redirect import ADDRESS as RESOLVER
from linkspan.plan.redirect import PORT as RESOLVER_PORT
from linkspan.plan.redirect import statements as redirect_statements
from linkspan.plan.ruleset import iptables_commands, nft_statements, without_contents

NAMESPACE_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "net.ipv4.conf.default.arp_notify": "1",
        "net.ipv6.conf.default.ndisc_notify": "1",
        "net.ipv6.conf.default.accept_ra": "0",
        "net.ipv6.conf.default.disable_ipv6": "1",
    }
)
"""What a namespace is born with, for the interfaces to come; the kernel room's `namespaces.py` does the same."""

_SERVING = {Verb.ADD: "serve", Verb.REPLACE: "serve from now on", Verb.REMOVE: "stop serving"}
_PROGRAM: dict[Version, str] = {4: "iptables", 6: "ip6tables"}


def render(operations: Iterable[Operation], namespaces: Mapping[str, str] | None = None) -> list[str]:
    """The `ip`, `bridge`, `nft`, `iptables` and `sysctl` lines for `operations`, in order.

    `namespaces` names sandboxes by id; the others are shown by the first 12 digits. Removals that the kernel performs
    by itself are left out.
    """
    writer = _Writer(namespaces or {})
    lines: list[str] = []
    needed = (op for op in without_contents(operations) if not op.implied)
    for is_iptables, group in groupby(needed, _is_iptables):
        if is_iptables:
            run = list(group)
            lines += (line for version in VERSIONS for line in _iptables(run, version))
        else:
            lines += (line for operation in group for line in writer.lines(operation))
    return lines


def _is_iptables(operation: Operation) -> bool:
    return isinstance(operation.object, IptablesChain | IptablesRule)


def _iptables(operations: list[Operation], version: Version) -> Iterator[str]:
    for command in iptables_commands(operations, version):
        table = "" if command.table == "filter" else f"-t {command.table} "
        yield f"{_PROGRAM[version]} {table}{command.text}"


class _Writer:
    """Everything but iptables, whose rules depend on their neighbours."""

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces

    def _name(self, where: str) -> str:
        return quote(self._namespaces.get(where, where[:12]))

    def _ip(self, where: str) -> str:
        return "ip" if where == HOST else f"ip -n {self._name(where)}"

    def lines(self, operation: Operation) -> Iterator[str]:
        """One operation."""
        match operation.object:
            case HostPort() | HostResolver() | NameZone() | NameEntry() | Resolver() as service:
                yield from self._service(service, operation.verb)
            case NftTable() | NftSet() | NftChain() | NftElement():
                yield from (f"nft {quote(statement)}" for statement in nft_statements(operation))
            case Namespace(id=id):
                yield from self._namespace(id, operation.verb)
            case Bridge() as bridge:
                yield from _bridge(bridge, operation.verb)
            case Veth() as veth:
                yield from self._veth(veth, operation)
            case _:
                yield from self._in_namespace(operation)

    def _in_namespace(self, operation: Operation) -> Iterator[str]:
        """What belongs to a link, or to a namespace."""
        match operation.object:
            case Address() as address:
                yield from self._address(address, operation)
            case Up(where=where, link=link):
                yield f"{self._ip(where)} link set {link} {'down' if operation.verb is Verb.REMOVE else 'up'}"
            case Route() as route:
                yield self._route(route, operation.verb)
            case Sysctl() as setting if operation.verb is not Verb.REMOVE:
                yield self._sysctl(setting)
            case Redirect() as redirect:
                inside = f"ip netns exec {self._name(redirect.where)} nft"
                yield from (f"{inside} {quote(line)}" for line in redirect_statements(redirect, operation.verb))

    def _service(self, service: Service, verb: Verb) -> Iterator[str]:
        """What a person would start a program for."""
        match service:
            case HostPort():
                yield _host_port(service, verb)
            case HostResolver(address=address):
                yield _remark(verb, f"names of sandboxes for the host at {address}:53")
            case NameZone(name=name, records=records):
                yield _remark(verb, f"names of network {name}")
                if verb is not Verb.REMOVE:
                    yield from (f"#   {r.name} {r.ttl} {r.type} {quote(r.value)}" for r in records)
            case NameEntry(names=names, addresses=addresses):
                shown = ", ".join(str(address) for address in addresses)
                yield _remark(verb, f"names {' '.join(names)}: {shown}")
            case Resolver(sandbox=sandbox):
                yield _remark(verb, f"resolver in {self._name(sandbox)} at {RESOLVER}:{RESOLVER_PORT}")

    def _namespace(self, id: str, verb: Verb) -> Iterator[str]:
        name = self._name(id)
        if verb is Verb.REMOVE:
            yield f"ip netns delete {name}"
            return
        yield f"ip netns add {name}"
        settings = " ".join(f"{setting}={value}" for setting, value in NAMESPACE_SETTINGS.items())
        yield f"ip netns exec {name} sysctl -qw {settings}"
        yield f"ip -n {name} link set lo up"

    def _veth(self, veth: Veth, operation: Operation) -> Iterator[str]:
        previous = operation.previous
        if operation.verb is Verb.REMOVE:
            yield f"ip link delete {veth.name}"
            return
        moved = isinstance(previous, Veth) and (previous.where, previous.peer) != (veth.where, veth.peer)
        if moved:
            yield f"ip link delete {veth.name}"
        if operation.verb is Verb.ADD or moved:
            peer = f"name {veth.peer} netns {self._name(veth.where)} address {veth.mac} mtu {veth.mtu}"
            yield f"ip link add {veth.name} mtu {veth.mtu} type veth peer {peer}"
            yield f"ip link set {veth.name} addrgenmode none"
        elif isinstance(previous, Veth) and (previous.mac, previous.mtu) != (veth.mac, veth.mtu):
            yield f"{self._ip(veth.where)} link set {veth.peer} address {veth.mac} mtu {veth.mtu}"
        yield f"ip link set {veth.name} mtu {veth.mtu} master {veth.bridge} alias {quote(veth.owner)}"
        yield f"bridge link set dev {veth.name} hairpin {_switch(veth.hairpin)} isolated {_switch(veth.isolated)}"

    def _address(self, address: Address, operation: Operation) -> Iterator[str]:
        ip = self._ip(address.where)
        if isinstance(operation.previous, Address):
            yield f"{ip} address delete {operation.previous.interface} dev {address.link}"
        if operation.verb is Verb.REMOVE:
            yield f"{ip} address delete {address.interface} dev {address.link}"
            return
        if address.interface.version == 6:
            extra = " nodad"
        else:
            extra = " broadcast +" if address.interface.network.prefixlen < 31 else ""
        # iproute2 before 6.3 does not know `proto` of addresses, so it is only a remark.
        yield f"{ip} address add {address.interface} dev {address.link}{extra}  # proto {PROTOCOL}"

    def _route(self, route: Route, verb: Verb) -> str:
        destination = str(route.destination) if route.destination.prefixlen else "default"
        word = {Verb.ADD: "add", Verb.REMOVE: "delete", Verb.REPLACE: "replace"}[verb]
        # Without -6, `default` means IPv4 when a route is deleted.
        family = " -6" if route.destination.version == 6 else ""
        way = f"via {route.gateway} dev {route.link} proto {PROTOCOL}"
        return f"{self._ip(route.where)}{family} route {word} {destination} {way}"

    def _sysctl(self, setting: Sysctl) -> str:
        prefix = "" if setting.where == HOST else f"ip netns exec {self._name(setting.where)} "
        return f"{prefix}sysctl -qw {_setting(setting)}={setting.value}"


def _remark(verb: Verb, text: str) -> str:
    return f"# {_SERVING[verb]} {text}"


def _host_port(port: HostPort, verb: Verb) -> str:
    text = " and ".join(f"{bracketed(address)}:{port.ports}/{port.protocol}" for address in port.addresses)
    if verb is Verb.REMOVE:
        return f"# release {text}"
    if port.relay is None:
        return f"# reserve {text} (bound socket)"
    address, ports = port.relay
    held = "bound socket of both families" if port.both else "bound socket"
    told = ", saying who the client is (PROXY protocol)" if port.proxy_protocol else ""
    return f"# reserve {text} ({held}), and relay what NAT leaves to {bracketed(address)}:{ports}{told}"


def _bridge(bridge: Bridge, verb: Verb) -> Iterator[str]:
    if verb is Verb.REMOVE:
        yield f"ip link delete {bridge.name}"
        return
    if verb is Verb.ADD:
        yield f"ip link add {bridge.name} address {bridge.mac} type bridge stp_state 0 forward_delay 0"
    settings = f"address {bridge.mac} " if verb is Verb.REPLACE else ""
    yield f"ip link set {bridge.name} {settings}mtu {bridge.mtu} alias {quote(bridge.owner)}"


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _setting(setting: Sysctl) -> str:
    """With slashes when the interface's name has a dot, which `sysctl` would take for a slash."""
    if "." not in setting.link:
        return setting.name
    before, _, after = setting.name.partition(f".{setting.link}.")
    return f"{before.replace('.', '/')}/{setting.link}/{after}"

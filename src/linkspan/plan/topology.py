"""From nouns to kernel objects: one fragment per network and per sandbox, and the base that exists once.

A fragment depends only on its own noun and, for a sandbox, on its networks, which never change while it uses them. So
the whole plan is the union of the fragments, and a change touches the fragments of what it changes and no others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from linkspan.model.addressing import (
    IPV6_MIN_MTU,
    LOOPBACK_6,
    VERSIONS,
    IPAddress,
    IPInterface,
    IPNetwork,
    Version,
    interface,
)
from linkspan.model.config import Config
from linkspan.model.networks import BridgeSettings, Network
from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.model.sandboxes import Endpoint, Mode, Sandbox
from linkspan.model.state import Change, State
from linkspan.plan.firewall import Firewall, Guard, Published, Transit, Zone
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    KernelObject,
    Namespace,
    Route,
    Sysctl,
    Up,
    Veth,
    mark,
)
from linkspan.plan.observation import HostFacts
from linkspan.plan.operations import Operation, diff
from linkspan.plan.resolving import host_resolver, names, resolver, zone

DEFAULT_ROUTE: dict[Version, IPNetwork] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
DEFAULT_MTU = 1500


def gateway_endpoint(sandbox: Sandbox, networks: Mapping[str, Network], version: Version) -> Endpoint | None:
    """The endpoint that gives the default route of one family, and whose address published ports lead to.

    Docker's order: higher priority, then dual stack before single, then the network's name; internal networks offer
    none.
    """
    offers = [e for e in sandbox.endpoints if e.address(version) and not networks[e.network].internal]
    return min(offers, key=lambda e: (-e.priority, -len(e.addresses), networks[e.network].name), default=None)


def active_bindings(
    sandbox: Sandbox, networks: Mapping[str, Network], *, across: bool = True
) -> Iterator[tuple[PortBinding, Endpoint, IPInterface]]:
    """The bindings that are in force, each with the endpoint and the address that serve it.

    `across` allows an address of the other family where the sandbox has none of the binding's own.
    """
    for binding in sandbox.ports:
        other: Version = 4 if binding.version == 6 else 6
        for version in (binding.version, other) if across else (binding.version,):
            endpoint = gateway_endpoint(sandbox, networks, version)
            if endpoint is not None and (target := endpoint.address(version)) is not None:
                yield binding, endpoint, target
                break


@dataclass(frozen=True, slots=True)
class _Served:
    """A port, and what of the sandbox it stands for, which the relay need not know."""

    port: HostPort
    target: IPAddress
    targets: PortRange


def _host_ports(served: Iterable[_Served]) -> Iterator[HostPort]:
    """The ports, with those that can share their sockets made one."""
    left: dict[tuple[Protocol, PortRange], _Served] = {}
    for each in served:
        port = each.port
        if len(port.ports) == 1 or not port.address.is_unspecified:
            yield port
        elif (other := left.pop((port.protocol, port.ports), None)) is None:
            left[port.protocol, port.ports] = each
        elif (shared := _shared(each, other) or _shared(other, each)) is not None:
            yield shared
        else:
            yield from (other.port, port)
    yield from (each.port for each in left.values())


def _shared(four: _Served, six: _Served) -> HostPort | None:
    """What has the sockets of 0.0.0.0 and `::` at once; None where it cannot be.

    One port keeps its two, which `ss -l` shows as Docker's. For the rest, half of the sockets is half of the time that
    publishing takes. All of `::` is left to the relay in part, so the relay has to have it anyway; what it carries, of
    either family, goes to the IPv4 address. With the PROXY protocol it carries everything, and must not move it.
    """
    one, other = four.port, six.port
    if (one.address.version, other.address.version) != (4, 6) or other.relay is None or four.targets != six.targets:
        return None
    if one.protocol is Protocol.SCTP or one.proxy_protocol != other.proxy_protocol:
        return None
    if one.proxy_protocol and one.relay != other.relay:
        return None
    return replace(other, relay=(four.target, four.targets), both=True)


@dataclass(frozen=True, slots=True)
class Planner:
    """Turns desired state into kernel objects, for one engine with one firewall backend.

    `bridge_netfilter` is the host's setting when the engine opened. With it, what a bridge forwards is judged by the
    firewall, published ports included. Without it the firewall never sees that traffic, and ports of a network without
    icc are kept apart by isolation; isolated ports would also refuse what NAT turns back to a bridge with it.

    `forwards` are the families that the host forwards: for the others NAT leads nowhere, and the relay carries
    everything. `sctp` says whether it can carry SCTP. `has_ipv6` says whether the kernel has IPv6 at all.
    """

    engine: str
    config: Config
    firewall: Firewall
    bridge_netfilter: bool = False
    forwards: tuple[Version, ...] = VERSIONS
    sctp: bool = False
    has_ipv6: bool = True

    def on(self, facts: HostFacts) -> "Planner":
        """The planner for a host as it is."""
        return replace(
            self,
            firewall=self.firewall.on(self._transit(facts)),
            bridge_netfilter=facts.bridge_netfilter,
            forwards=VERSIONS if self.config.ip_forward else facts.forwards,
            sctp=facts.sctp,
            has_ipv6=facts.has_ipv6,
        )

    def _transit(self, facts: HostFacts) -> Transit:
        """Dropped where it was us who made, or will make, the host forward."""
        if self.config.ip_forward_no_drop:
            return Transit()
        off = [version for version in VERSIONS if version not in facts.forwards]
        switched = (*facts.forwards_by_us, *(off if self.config.ip_forward else ()))
        return Transit(tuple(version for version in VERSIONS if version in switched), facts.br_netfilter)

    def base(self) -> Iterator[KernelObject]:
        """What exists whatever networks there are."""
        yield from self.firewall.base(mark(self.engine, "engine", self.engine))
        if self.config.ip_forward:
            yield Sysctl(HOST, "net.ipv4.ip_forward", "1")
        if self.config.host_resolver is not None:
            yield host_resolver(self.engine, self.config.host_resolver)

    def network(self, network: Network) -> Iterator[KernelObject]:
        """The bridge of a network, its addresses and its zone in the firewall; nothing for host and none."""
        if (bridge := network.bridge) is None:
            return
        owner = mark(self.engine, "network", network.id)
        yield Bridge(bridge.name, bridge.mac, bridge.mtu or DEFAULT_MTU, owner)
        yield Up(HOST, bridge.name)
        for subnet in network.subnets:
            yield Address(HOST, bridge.name, interface(subnet.gateway, subnet.prefix.prefixlen))
        yield from self._settings(network, bridge)
        prefixes = tuple(subnet.prefix for subnet in network.subnets)
        yield from self.firewall.zone(
            Zone(bridge.name, prefixes, network.internal, bridge.icc, bridge.masquerade, owner)
        )
        if self.config.names and network.answers_names:
            yield zone(network, self.config.host_gateway, owner)

    def _settings(self, network: Network, bridge: BridgeSettings) -> Iterator[KernelObject]:
        link = bridge.name
        if network.subnet(4) and not network.internal and self.firewall.hairpin:
            # 127.0.0.1:PORT of the host is routed out of the bridge only with this; the firewall keeps 127/8 from
            # coming in by it.
            yield Sysctl(HOST, f"net.ipv4.conf.{link}.route_localnet", "1", link)
        if self.has_ipv6 and (bridge.mtu or DEFAULT_MTU) >= IPV6_MIN_MTU:
            # On IPv4 networks too: a router advertisement that a sandbox forges would give the host an address, and a
            # default route to the sandbox (CVE-2020-13401).
            yield Sysctl(HOST, f"net.ipv6.conf.{link}.accept_ra", "0", link)
        if network.subnet(6):
            yield Sysctl(HOST, f"net.ipv6.conf.{link}.disable_ipv6", "0", link)
            # The bridge asks for neighbours from its link-local address; while that is tentative (up to 2 s measured
            # after the first port comes up), the first packets towards sandboxes wait.
            yield Sysctl(HOST, f"net.ipv6.conf.{link}.accept_dad", "0", link)
            if self.config.ip_forward:
                # IPv6 has no per-interface switch before Linux 6.17: the decision reads `all`.
                yield Sysctl(HOST, "net.ipv6.conf.all.forwarding", "1")

    def sandbox(self, sandbox: Sandbox, networks: Mapping[str, Network]) -> Iterator[KernelObject]:
        """The namespace of a sandbox and everything in it; nothing for modes that use another's namespace."""
        if sandbox.mode not in (Mode.BRIDGE, Mode.NONE):
            return
        yield Namespace(sandbox.id)
        for endpoint in sandbox.endpoints:
            yield from self._endpoint(sandbox, endpoint, networks[endpoint.network])
        for version in VERSIONS:
            if (way_out := gateway_endpoint(sandbox, networks, version)) is not None:
                subnet = networks[way_out.network].subnet(version)
                assert subnet is not None
                yield Route(sandbox.id, DEFAULT_ROUTE[version], subnet.gateway, way_out.ifname)
        if self.config.names:
            yield from names(sandbox, networks, mark(self.engine, "sandbox", sandbox.id))
            yield from resolver(sandbox, networks, mark(self.engine, "sandbox", sandbox.id))
        yield from self._ports(sandbox, networks)

    def _ports(self, sandbox: Sandbox, networks: Mapping[str, Network]) -> Iterator[KernelObject]:
        owner = mark(self.engine, "sandbox", sandbox.id)
        served: list[_Served] = []
        for binding, endpoint, target in active_bindings(sandbox, networks, across=self.config.userland_proxy):
            bridge = networks[endpoint.network].bridge
            assert bridge is not None
            nat = self._is_translated(binding, target)
            relay = (target.ip, binding.target) if self._is_relayed(binding, nat=nat) else None
            port = HostPort(binding.protocol, binding.address, binding.host, owner, relay, binding.proxy_protocol)
            served.append(_Served(port, target.ip, binding.target))
            if nat:
                yield from self.firewall.published(Published(binding, target.ip, bridge.name, owner))
        yield from _host_ports(served)

    def _is_translated(self, binding: PortBinding, target: IPInterface) -> bool:
        """Whether NAT leads to the sandbox whatever can be led there."""
        return (
            binding.version == target.version
            and binding.version in self.forwards
            and binding.address != LOOPBACK_6
            and not binding.proxy_protocol
        )

    def _is_relayed(self, binding: PortBinding, *, nat: bool) -> bool:
        """Whether anything is left to the relay. Of IPv6 always: ::1 and link-local clients are never translated."""
        if not self.config.userland_proxy or (binding.protocol is Protocol.SCTP and not self.sctp):
            return False
        return not nat or not self.firewall.hairpin or binding.version == 6

    def _endpoint(self, sandbox: Sandbox, endpoint: Endpoint, network: Network) -> Iterator[KernelObject]:
        assert network.bridge is not None
        bridge, owner = network.bridge, mark(self.engine, "endpoint", endpoint.id)
        yield Veth(
            name=endpoint.host_ifname,
            bridge=bridge.name,
            where=sandbox.id,
            peer=endpoint.ifname,
            mac=endpoint.mac,
            mtu=bridge.mtu or DEFAULT_MTU,
            isolated=not bridge.icc and not self.bridge_netfilter,
            owner=owner,
        )
        yield Up(HOST, endpoint.host_ifname)
        yield Up(sandbox.id, endpoint.ifname)
        addresses = (*endpoint.addresses, *endpoint.link_local)
        yield from (Address(sandbox.id, endpoint.ifname, address) for address in addresses)
        if any(address.version == 6 for address in addresses):
            # Namespaces are made with IPv6 off by default, as Docker leaves interfaces of IPv4-only networks.
            yield Sysctl(sandbox.id, f"net.ipv6.conf.{endpoint.ifname}.disable_ipv6", "0", endpoint.ifname)
        for address in endpoint.addresses:
            if not network.internal and bridge.masquerade:
                # Without masquerading, replies from the world come to this very address.
                yield from self.firewall.guard(Guard(bridge.name, address.ip, owner))

    def whole(self, state: State) -> Iterator[KernelObject]:
        """Every object that should exist."""
        yield from self.base()
        for network in state.networks.values():
            yield from self.network(network)
        for sandbox in state.sandboxes.values():
            yield from self.sandbox(sandbox, state.networks)

    def operations(self, state: State, change: Change) -> tuple[Operation, ...]:
        """The operations of a change to `state`, from the fragments it touches alone."""
        networks = state.networks
        if change.networks:
            networks = networks | {id: network for id, network in change.networks.items() if network is not None}
        return diff(self._fragments(state.networks, state.inverse(change)), self._fragments(networks, change))

    def _fragments(self, networks: Mapping[str, Network], change: Change) -> Iterator[KernelObject]:
        for network in change.networks.values():
            if network is not None:
                yield from self.network(network)
        for sandbox in change.sandboxes.values():
            if sandbox is not None:
                yield from self.sandbox(sandbox, networks)

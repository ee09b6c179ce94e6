"""The iptables backend: Docker's own chains, which people read and other tools hook into.

Theory of operation. Rules are spelled as `iptables-save` prints them, so that what is read back compares equal. The
layout is that of Docker 20.10, and an order that matters follows from two places only, since a rule can be put first
or last: what is inserted stands above what is appended, whenever either happened. `FIRST` names the rules that must
stand above all others of ours; whoever inserts a rule into such a chain puts these back on top in the same step.

Where we differ from Docker, and why:

* A published port is reachable from other networks by NAT. Docker's isolation drops such packets after DNAT and its
  relay takes over, without the client's address; a rule at the top of DOCKER-ISOLATION-STAGE-2 lets DNATed
  connections through. It only returns, so what STAGE-1 says about internal networks still holds.
* For the same reason only the default bridge has the RETURN rule at the top of nat DOCKER: in front of another
  network's DNAT rules it would hide them. DNAT rules of other networks are therefore inserted, those of the default
  bridge appended.
* Internal networks are closed by interface, not by subnet: a forged source address opens nothing, and neighbour
  discovery between their own sandboxes is left alone when br_netfilter is on.
* Docker sets the policy of FORWARD to DROP when it switches forwarding on. The policy is not ours: a chain of ours at
  the end of FORWARD drops what touches none of our bridges, after everybody else's rules were asked.
* A network without masquerading gets replies on its sandboxes' own addresses, so it is closed by the connection's
  state and has no guards in the raw table, which knows no connections. STAGE-1 is asked before all ports are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TypeAlias

from linkspan.model.addressing import UNSPECIFIED, VERSIONS, IPAddress, IPNetwork, Version, bracketed
from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.plan.firewall import NOTHING_DROPPED, Guard, Published, Transit, Zone
from linkspan.plan.objects import IptablesChain, IptablesObject, IptablesRule, mark_engine

USER = "DOCKER-USER"
STAGE_1 = "DOCKER-ISOLATION-STAGE-1"
STAGE_2 = "DOCKER-ISOLATION-STAGE-2"
TRANSIT = "LINKSPAN-TRANSIT"

_DNAT = "-m conntrack --ctstate DNAT"
_LOOPBACK: dict[Version, str] = {4: "127.0.0.0/8", 6: "::1/128"}

Place: TypeAlias = tuple[str, str]
"""A table and a chain in it."""

OURS: tuple[Place, ...] = (
    ("filter", "DOCKER"),
    ("filter", STAGE_1),
    ("filter", STAGE_2),
    ("filter", USER),
    ("filter", TRANSIT),
    ("nat", "DOCKER"),
)
"""The chains that belong to us; of these DOCKER-USER belongs to the administrator once it exists, and LINKSPAN-TRANSIT
exists only where transit is dropped.
"""

CLAIM = "LINKSPAN-"


def claim(engine: str) -> IptablesChain:
    """The empty chain that says whose Docker's chains are, since rules of this layout carry no mark.

    In the raw table, because people flush and delete chains everywhere else first.
    """
    return IptablesChain(4, "raw", f"{CLAIM}{engine[:12]}")


FIRST: Mapping[Place, tuple[str, ...]] = {
    ("filter", "FORWARD"): (f"-j {USER}", f"-j {STAGE_1}"),
    ("filter", STAGE_2): (f"{_DNAT} -j RETURN",),
}
"""The rules that stand above all others of ours in their chain, from the top."""

LAST: Mapping[Place, str] = {("filter", "FORWARD"): f"-j {TRANSIT}"}
"""The rule below all others, of strangers too: what they accept passes. It goes back there with every opening."""


class Iptables:
    """`plan.firewall.Firewall` for iptables and ip6tables.

    `bridge` is the name of the default network's bridge. `userland_proxy` leaves to a relay what Docker leaves to
    it: connections from 127.0.0.0/8, and from a sandbox's own network, to a published port.
    """

    def __init__(self, userland_proxy: bool, bridge: str = "docker0", transit: Transit = NOTHING_DROPPED) -> None:
        self._proxy = userland_proxy
        self._bridge = bridge
        self._transit = transit

    def on(self, transit: Transit) -> "Iptables":
        """The same with another end of FORWARD."""
        return Iptables(self._proxy, self._bridge, transit)

    @property
    def hairpin(self) -> bool:
        """Whether loopback and hairpin traffic to published ports is carried by NAT (else by the relay)."""
        return not self._proxy

    def base(self, owner: str) -> Iterable[IptablesObject]:
        """Docker's chains, the jumps into them, and the protection of 127.0.0.0/8."""
        if (engine := mark_engine(owner)) is not None:
            yield claim(engine)
        for version in VERSIONS:
            yield from self._base(version)
        for version in self._transit.dropped:
            yield from self._no_transit(version)
        for match in ("-d", "-s"):
            yield IptablesRule(4, "raw", "PREROUTING", f"{match} {_LOOPBACK[4]} ! -i lo -j DROP")

    def _base(self, version: Version) -> Iterator[IptablesObject]:
        for table, chain in OURS:
            if chain == TRANSIT:
                continue
            yield IptablesChain(version, table, chain, kept=chain == USER)
        for (table, chain), specs in FIRST.items():
            for spec in specs:
                yield IptablesRule(version, table, chain, spec, insert=True)
        yield IptablesRule(version, "filter", STAGE_1, "-j RETURN")
        yield IptablesRule(version, "filter", STAGE_2, "-j RETURN")
        local = "-m addrtype --dst-type LOCAL -j DOCKER"
        elsewhere = f"! -d {_LOOPBACK[version]} "
        # ::1 cannot be routed off the host, whoever is to carry hairpins.
        outside = elsewhere if self._proxy or version == 6 else ""
        yield IptablesRule(version, "nat", "PREROUTING", local)
        yield IptablesRule(version, "nat", "OUTPUT", outside + local)

    def _no_transit(self, version: Version) -> Iterator[IptablesObject]:
        """The match on bridged frames loads br_netfilter, which would bring them here in the first place."""
        yield IptablesChain(version, "filter", TRANSIT)
        routed = "-m physdev ! --physdev-is-bridged " if self._transit.br_netfilter else ""
        why = f'-m comment --comment "IPv{version} was not forwarded before us"'
        yield IptablesRule(version, "filter", TRANSIT, f"{routed}{why} -j DROP")
        yield IptablesRule(version, "filter", "FORWARD", LAST["filter", "FORWARD"])

    def zone(self, zone: Zone) -> Iterable[IptablesObject]:
        """The rules of one network, for each family it has."""
        for subnet in zone.subnets:
            if zone.internal:
                yield from _closed(subnet.version, zone)
            else:
                yield from self._filter(subnet.version, zone)
                yield from self._nat(subnet, zone)

    def _filter(self, version: Version, zone: Zone) -> Iterator[IptablesRule]:
        """Inserted one above the other: the last of these ends up first."""
        br = zone.bridge

        def rule(chain: str, spec: str, *, insert: bool = True) -> IptablesRule:
            return IptablesRule(version, "filter", chain, spec, insert)

        if not zone.icc and self.hairpin:
            yield rule("FORWARD", f"-i {br} -o {br} -m conntrack ! --ctstate DNAT -j DROP")
            yield rule("FORWARD", f"-i {br} -o {br} {_DNAT} -j ACCEPT")
        else:
            yield rule("FORWARD", f"-i {br} -o {br} -j {'ACCEPT' if zone.icc else 'DROP'}")
        yield rule("FORWARD", f"-i {br} ! -o {br} -j ACCEPT")
        yield rule("FORWARD", f"-o {br} -j DOCKER")
        yield rule("FORWARD", f"-o {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        yield rule(STAGE_1, f"-i {br} ! -o {br} -j {STAGE_2}")
        yield rule(STAGE_2, f"-o {br} -j DROP")
        if version in self._transit.dropped:
            # Only what goes to the bridge comes so far: a port that somebody else forwards is theirs to judge.
            yield rule(TRANSIT, f"-o {br} -j RETURN")
        if not zone.masquerade:
            yield rule(STAGE_1, f"! -i {br} -o {br} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP")

    def _nat(self, subnet: IPNetwork, zone: Zone) -> Iterator[IptablesRule]:
        br, version = zone.bridge, subnet.version

        def rule(chain: str, spec: str, *, insert: bool = True) -> IptablesRule:
            return IptablesRule(version, "nat", chain, spec, insert)

        if self.hairpin:
            # The reply to a client in the target's subnet would take the short way over the bridge.
            yield rule("POSTROUTING", f"-s {subnet} -d {subnet} {_DNAT} -j MASQUERADE")
            yield rule("POSTROUTING", f"-o {br} -m addrtype --src-type LOCAL -j MASQUERADE")
        elif br == self._bridge:
            yield rule("DOCKER", f"-i {br} -j RETURN", insert=False)
        if zone.masquerade:
            yield rule("POSTROUTING", f"-s {subnet} ! -o {br} -j MASQUERADE")

    def guard(self, guard: Guard) -> Iterable[IptablesObject]:
        """Turn direct routing away before connections are tracked, as Docker does."""
        spec = f"-d {_host(guard.address)} ! -i {guard.bridge} -j DROP"
        yield IptablesRule(guard.address.version, "raw", "PREROUTING", spec)

    def published(self, published: Published) -> Iterable[IptablesObject]:
        """DNAT, the hole in the filter, and the masquerade of a sandbox that calls itself by the host's address."""
        binding, target, br = published.binding, published.target, published.bridge
        if binding.version == 6 and binding.address.is_loopback:
            return
        version, host = binding.version, _host(target)
        service = _match(binding, binding.target)
        for match, destination in _translations(binding, target):
            spec = f"{self._clients(binding, br)}{match} -j DNAT --to-destination {destination}"
            yield IptablesRule(version, "nat", "DOCKER", spec, insert=self._proxy and br != self._bridge)
        yield IptablesRule(version, "nat", "POSTROUTING", f"-s {host} -d {host} {service} -j MASQUERADE")
        yield IptablesRule(version, "filter", "DOCKER", f"-d {host} ! -i {br} -o {br} {service} -j ACCEPT", insert=True)

    def _clients(self, binding: PortBinding, bridge: str) -> str:
        """Whose packets are translated, in the order of `iptables-save`: source, destination, interface."""
        source = "! -s fe80::/10 " if binding.version == 6 else ""  # link-local addresses are never forwarded
        destination = "" if binding.address.is_unspecified else f"-d {_host(binding.address)} "
        return source + destination + (f"! -i {bridge} " if self._proxy else "")


def _closed(version: Version, zone: Zone) -> Iterator[IptablesRule]:
    br = zone.bridge
    yield IptablesRule(version, "filter", "FORWARD", f"-i {br} -o {br} -j {'ACCEPT' if zone.icc else 'DROP'}", True)
    yield IptablesRule(version, "filter", STAGE_1, f"-i {br} ! -o {br} -j DROP", True)
    yield IptablesRule(version, "filter", STAGE_1, f"! -i {br} -o {br} -j DROP", True)


def _translations(binding: PortBinding, target: IPAddress) -> Iterator[tuple[str, str]]:
    """What is matched and where it goes. Without a port in `--to-destination` the port stays as it is.

    A range there (`IP:9000-9010`) would mean "any free one of these", not "port for port": a shifted range takes a
    rule for each port.
    """
    if len(binding.host) > 1 and binding.host == binding.target:
        yield _match(binding, binding.host), str(target)
        return
    for offset in range(len(binding.host)):
        port = binding.host.first + offset
        yield _match(binding, PortRange(port, port)), f"{bracketed(target)}:{binding.target.first + offset}"


_HOST_SIDE = re.compile(r"(?:.*?(?<!! )-d (\S+)/\d+ )?.*?-p (\w+) .*--dport (\d+)(?::(\d+))? -j DNAT .*")


def host_side(rule: IptablesRule) -> tuple[Protocol, IPAddress, PortRange] | None:
    """The host's side of what `published` made a DNAT rule of; None for other rules."""
    match = _HOST_SIDE.fullmatch(rule.spec) if (rule.table, rule.chain) == ("nat", "DOCKER") else None
    if match is None:
        return None
    address, protocol, first, last = match.groups()
    spelled = ip_address(address) if address else UNSPECIFIED[rule.version]
    return Protocol(protocol), spelled, PortRange(int(first), int(last or first))


def _match(binding: PortBinding, ports: PortRange) -> str:
    dport = str(ports).replace("-", ":")
    return f"-p {binding.protocol} -m {binding.protocol} --dport {dport}"


def _host(address: IPAddress) -> str:
    return f"{address}/{address.max_prefixlen}"

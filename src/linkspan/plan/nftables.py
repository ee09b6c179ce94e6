"""The nftables backend: one table whose rules never change in number.

Theory of operation. Everything that varies is an element of a set or map, so that adding a port costs the same with
ten thousand others present, and a lookup is one hash. Rules only say what membership means:

* `forward` lets in replies, neighbours on a bridge with `icc`, and what was DNATed; all else into our bridges is
  dropped, so a host that routes to a sandbox's address directly gets nowhere. It judges forwarded packets alone, hence
  neither neighbour discovery nor the host's own traffic.
* The end of `forward` drops what touches no bridge at all, in families that only we made the host forward: bridges of
  others are their virtual machines' and containers', and no rule of theirs could save what is dropped here (ADR 23).
* `published` translates the destination. It is reached for addresses of the host only (`fib daddr type local`).
* `postrouting` hides a client's address only where its reply would otherwise not come back through the host: from
  127.0.0.0/8; from the target's own subnet (the reply would take the short way over the bridge); to the world.

The last of these compares subnets, not interfaces: with br_netfilter on, a packet DNATed to its own bridge is bridged,
not routed, and reaches postrouting without an input interface.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2s
from ipaddress import IPv6Address, ip_address

from linkspan.model.addressing import VERSIONS, IPAddress, IPNetwork, Version
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.firewall import NOTHING_DROPPED, Guard, Published, Transit, Zone
from linkspan.plan.objects import NftChain, NftElement, NftObject, NftRule, NftSet, NftTable

FAMILY = "inet"
TABLE = "linkspan"

_WORD: dict[Version, str] = {4: "ip", 6: "ip6"}
_ANY: dict[Version, str] = {4: "0.0.0.0/0", 6: "::/0"}


def comment(rule: NftRule) -> str:
    """The comment a rule carries: its label, and a digest of its text by which an unchanged rule is recognised."""
    digest = blake2s(rule.text.encode(), digest_size=3).hexdigest()
    return f"{rule.label} #{digest}"


def _family_sets(version: Version) -> Iterator[NftSet]:
    address = f"ipv{version}_addr"
    target = f"{address} . inet_service"
    yield NftSet(f"hairpin{version}", f"{address} . {address}", interval=True)
    yield NftSet(f"masquerade{version}", address, interval=True)
    yield NftSet(f"ports{version}", f"{address} . inet_proto . inet_service", target)
    yield NftSet(f"anyports{version}", "inet_proto . inet_service", target)
    yield NftSet(f"ranges{version}", f"{address} . inet_proto . inet_service", address, interval=True)


def _sets() -> Iterator[NftSet]:
    yield NftSet("bridges", "ifname")
    yield NftSet("internal", "ifname")
    yield NftSet("icc", "ifname . ifname")
    for version in VERSIONS:
        yield from _family_sets(version)


_RAW = (
    NftRule('iifname != "lo" ip daddr 127.0.0.0/8 counter drop', "nobody but the host reaches its 127.0.0.0/8"),
    NftRule('iifname != "lo" ip saddr 127.0.0.0/8 counter drop', "nobody but the host sends from 127.0.0.0/8"),
)
_FORWARD = (
    NftRule("ct state established,related accept", "replies pass"),
    NftRule("iifname . oifname @icc accept", "sandboxes of one network reach each other"),
    NftRule("iifname @internal counter drop", "nothing leaves an internal network"),
    NftRule("oifname @internal counter drop", "nothing enters an internal network"),
    NftRule("oifname @bridges ct status dnat accept", "published ports are open"),
    NftRule("oifname @bridges counter drop", "all else stays out of our networks, unpublished ports included"),
)


def _transit(version: Version) -> NftRule:
    return NftRule(
        f'meta nfproto ipv{version} meta iifkind != "bridge" meta oifkind != "bridge" counter drop',
        f"IPv{version} was not forwarded before us: what touches no bridge stays apart",
    )


_LOCAL = (NftRule("fib daddr type local jump published", "what is sent to the host may be sent to a published port"),)


def _published(version: Version) -> Iterator[NftRule]:
    word = _WORD[version]
    exact, any_address = f"{word} daddr . meta l4proto . th dport", "meta l4proto . th dport"
    yield NftRule(f"dnat {word} to {exact} map @ports{version}", f"IPv{version} ports of one host address")
    yield NftRule(f"dnat {word} to {any_address} map @anyports{version}", f"IPv{version} ports of every host address")
    yield NftRule(f"dnat {word} to {exact} map @ranges{version}", f"IPv{version} ranges of ports, unshifted")


def _postrouting(version: Version) -> Iterator[NftRule]:
    word = _WORD[version]
    yield NftRule(
        f"{word} saddr . {word} daddr @hairpin{version} ct status dnat masquerade",
        f"IPv{version} clients in the subnet of a published port, which would get their reply past the host",
    )
    yield NftRule(
        f"oifname != @bridges {word} saddr @masquerade{version} masquerade",
        f"IPv{version} traffic to the world leaves with the host's address",
    )


def _chains(transit: Transit) -> Iterator[NftChain]:
    forward = (*_FORWARD, *map(_transit, transit.dropped))
    yield NftChain("raw", "type filter hook prerouting priority raw; policy accept;", _RAW)
    yield NftChain("forward", "type filter hook forward priority filter; policy accept;", forward)
    unroutable = (
        NftRule("ip6 daddr ::1 return", "::1 cannot be routed off the host"),
        NftRule("ip6 saddr fe80::/10 return", "a link-local client cannot be forwarded"),
    )
    yield NftChain("published", "", (*_published(4), *unroutable, *_published(6)))
    yield NftChain("prerouting", "type nat hook prerouting priority dstnat; policy accept;", _LOCAL)
    yield NftChain("output", "type nat hook output priority -100; policy accept;", _LOCAL)
    hidden = (
        NftRule('oifname "lo" accept', "what stays on the host keeps its address"),
        NftRule("oifname @bridges ip saddr 127.0.0.0/8 masquerade", "the host's 127.0.0.0/8 as a client of sandboxes"),
    )
    rules = (*hidden, *_postrouting(4), *_postrouting(6))
    yield NftChain("postrouting", "type nat hook postrouting priority srcnat; policy accept;", rules)


class Nftables:
    """`plan.firewall.Firewall` for nftables: Linux 5.7 or later, nft 1.0.6 or later."""

    hairpin = True

    def __init__(self, transit: Transit = NOTHING_DROPPED) -> None:
        self._transit = transit

    def on(self, transit: Transit) -> "Nftables":
        """The same with another end of `forward`."""
        return Nftables(transit)

    def base(self, owner: str) -> Iterable[NftObject]:
        """The table, its sets and its chains."""
        yield NftTable(owner)
        yield from _sets()
        yield from _chains(self._transit)

    def zone(self, zone: Zone) -> Iterable[NftObject]:
        """Memberships of the bridge and of its subnets."""
        name = f'"{zone.bridge}"'
        yield NftElement("bridges", name, "", zone.owner)
        if zone.internal:
            yield NftElement("internal", name, "", zone.owner)
        if zone.icc:
            yield NftElement("icc", f"{name} . {name}", "", zone.owner)
        for subnet in () if zone.internal else zone.subnets:
            text = _spell(subnet)
            yield NftElement(f"hairpin{subnet.version}", f"{text} . {text}", "", zone.owner)
            if zone.masquerade:
                yield NftElement(f"masquerade{subnet.version}", text, "", zone.owner)

    def guard(self, guard: Guard) -> Iterable[NftObject]:
        """Nothing: the last rule of `forward` guards every address behind our bridges."""
        return ()

    def published(self, published: Published) -> Iterable[NftObject]:
        """One element: of a port, or of a whole range that is not shifted. Shifted ranges take one for each port."""
        binding, target = published.binding, published.target
        if isinstance(binding.address, IPv6Address) and binding.address.is_loopback:
            return
        version, owner, everywhere = binding.version, published.owner, binding.address.is_unspecified
        if len(binding.host) > 1 and binding.host == binding.target:
            address = _ANY[version] if everywhere else str(binding.address)
            item = f"{address} . {binding.protocol} . {binding.host}"
            yield NftElement(f"ranges{version}", item, str(target), owner)
            return
        kind, prefix = ("anyports", "") if everywhere else ("ports", f"{binding.address} . ")
        for offset in range(len(binding.host)):
            item = f"{prefix}{binding.protocol} . {binding.host.first + offset}"
            yield NftElement(f"{kind}{version}", item, f"{target} . {binding.target.first + offset}", owner)


def host_side(element: NftElement) -> tuple[Protocol, IPAddress, PortRange] | None:
    """The host's side of what `published` made an element of; None for elements of other sets."""
    if element.set[:-1] not in ("ports", "anyports", "ranges"):
        return None
    *address, protocol, ports = element.item.split(" . ")
    first, _, last = ports.partition("-")
    spelled = address[0].removesuffix("/0") if address else _ANY[4 if element.set.endswith("4") else 6][:-2]
    return Protocol(protocol), ip_address(spelled), PortRange(int(first), int(last or first))


def _spell(subnet: IPNetwork) -> str:
    """As nft prints it: a prefix of one address has no length."""
    return str(subnet.network_address) if subnet.prefixlen == subnet.max_prefixlen else str(subnet)

"""Kernel objects as values.

A plan is a set of these. `key` is the identity the kernel knows an object by; everything else is compared, so two
objects with one key and different fields are a change. `where` is the id of the sandbox whose namespace holds the
object, or `HOST` for the engine's own namespace. `owner` is the mark that the kernel keeps for us (interface alias,
nft comment): `linkspan:<engine>:<kind>:<id>`. Addresses and routes carry the protocol number `PROTOCOL` instead.
"""

from dataclasses import dataclass
from typing import TypeAlias

from linkspan.model.addressing import IPAddress, IPInterface, IPNetwork, Version
from linkspan.model.dataplane import HostPort as HostPort
from linkspan.model.dataplane import HostResolver as HostResolver
from linkspan.model.dataplane import Key as Key
from linkspan.model.dataplane import NameEntry as NameEntry
from linkspan.model.dataplane import NameZone as NameZone
from linkspan.model.dataplane import Resolver as Resolver
from linkspan.model.dataplane import Service as Service

HOST = ""
"""The `where` of the engine's own namespace."""

PROTOCOL = 76
"""Our number in `ip address … proto` and `ip route … proto` (rtnetlink leaves 5-255 to user space). ASCII `L`."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A pinned network namespace with `lo` up."""

    id: str

    @property
    def key(self) -> Key:
        return ("namespace", self.id)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A Linux bridge in the engine's namespace, STP off."""

    name: str
    mac: str
    mtu: int
    owner: str

    @property
    def key(self) -> Key:
        return ("link", HOST, self.name)


@dataclass(frozen=True, slots=True)
class Veth:
    """A veth pair: `name` on the host, a port of `bridge`; `peer` in the namespace `where`.

    `isolated` keeps the port from talking to other isolated ports (icc off without br_netfilter); `hairpin` lets
    frames leave by the port they came from, which a published port reached from its own sandbox needs when
    br_netfilter is on. `bridge` empty means "no port of any bridge", which only an observation shows.
    """

    name: str
    bridge: str
    where: str
    peer: str
    mac: str
    mtu: int
    isolated: bool
    owner: str
    hairpin: bool = True

    @property
    def key(self) -> Key:
        return ("link", HOST, self.name)


@dataclass(frozen=True, slots=True)
class Address:
    """An address on a link, added without duplicate address detection."""

    where: str
    link: str
    interface: IPInterface

    @property
    def key(self) -> Key:
        return ("address", self.where, self.link, str(self.interface.ip))


@dataclass(frozen=True, slots=True)
class Up:
    """A link that is administratively up."""

    where: str
    link: str

    @property
    def key(self) -> Key:
        return ("up", self.where, self.link)


@dataclass(frozen=True, slots=True)
class Route:
    """A route through `gateway` out of `link`."""

    where: str
    destination: IPNetwork
    gateway: IPAddress
    link: str

    @property
    def key(self) -> Key:
        return ("route", self.where, str(self.destination))


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting. `link` names the interface a per-interface setting dies with, if any.

    Settings of the host that others may rely on (`net.ipv4.ip_forward`) have no link; they are never taken back.
    """

    where: str
    name: str
    value: str
    link: str = ""

    @property
    def key(self) -> Key:
        return ("sysctl", self.where, self.name)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The table in a sandbox's namespace that leads port 53 of 127.0.0.11 to the resolver (see `plan.redirect`)."""

    where: str
    owner: str

    @property
    def key(self) -> Key:
        return ("redirect", self.where)


@dataclass(frozen=True, slots=True)
class NftTable:
    """Our only table, `inet linkspan`; the comment holds the engine's mark."""

    owner: str

    @property
    def key(self) -> Key:
        return ("nft table",)


@dataclass(frozen=True, slots=True)
class NftSet:
    """A named set, or a map when `data` is not empty."""

    name: str
    type: str
    data: str = ""
    interval: bool = False

    @property
    def key(self) -> Key:
        return ("nft set", self.name)


@dataclass(frozen=True, slots=True)
class NftRule:
    """One rule: `text` as nft reads it, `label` the sentence shown as its comment."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class NftChain:
    """A chain with all its rules. `hook` is empty for a chain that is only jumped to."""

    name: str
    hook: str
    rules: tuple[NftRule, ...]

    @property
    def key(self) -> Key:
        return ("nft chain", self.name)


@dataclass(frozen=True, slots=True)
class NftElement:
    """An element of a set or map, spelled as nft spells it: `tcp . 8080` → `172.17.0.2 . 80`."""

    set: str
    item: str
    value: str
    owner: str

    @property
    def key(self) -> Key:
        return ("nft element", self.set, self.item)


@dataclass(frozen=True, slots=True)
class IptablesChain:
    """A chain of ours in iptables (or, version 6, ip6tables). `kept` chains are never flushed or removed."""

    version: Version
    table: str
    name: str
    kept: bool = False

    @property
    def key(self) -> Key:
        return ("iptables chain", str(self.version), self.table, self.name)


@dataclass(frozen=True, slots=True)
class IptablesRule:
    """One rule in the spelling of `iptables-save` (without `-A chain`). `insert` puts it first instead of last."""

    version: Version
    table: str
    chain: str
    spec: str
    insert: bool = False

    @property
    def key(self) -> Key:
        return ("iptables rule", str(self.version), self.table, self.chain, self.spec)


LinkObject: TypeAlias = Namespace | Bridge | Veth | Address | Up | Route | Sysctl | Redirect
NftObject: TypeAlias = NftTable | NftSet | NftChain | NftElement
IptablesObject: TypeAlias = IptablesChain | IptablesRule
FirewallObject: TypeAlias = NftObject | IptablesObject
KernelObject: TypeAlias = LinkObject | FirewallObject | Service
"""What the data plane serves is part of the plan like anything in the kernel (see `linkspan.model.dataplane`)."""


def mark(engine: str, kind: str, id: str) -> str:
    """The text that says whose an object is; ids are cut to 12 digits, which is what people see elsewhere."""
    return f"linkspan:{engine[:12]}:{kind}:{id[:12]}"


def mark_engine(text: str) -> str | None:
    """The engine part of a mark, or None when `text` is not one of ours."""
    parts = text.split(":")
    return parts[1] if len(parts) == 4 and parts[0] == "linkspan" else None

"""What the kernel room reports back: the objects found, and facts about the host that decisions need."""

from dataclasses import dataclass

from linkspan.model.addressing import VERSIONS, IPNetwork, Version
from linkspan.model.ports import PortRange
from linkspan.plan.objects import KernelObject


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something that has the name of an object of ours but not our mark. `found` is the mark or alias it carries."""

    kind: str
    name: str
    found: str


@dataclass(frozen=True, slots=True)
class Observation:
    """The kernel as it is: `objects` carry our mark, `foreign` stands where one of ours should."""

    objects: tuple[KernelObject, ...]
    foreign: tuple[Foreign, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What address and port decisions must respect.

    `occupied` are prefixes that a new network must not overlap: on-link routes of others, and the host's name servers.
    `ephemeral` is `net.ipv4.ip_local_port_range`; `reserved` is `ip_local_reserved_ports`. `bridge_netfilter` says
    whether frames that are bridged pass the IP hooks too, in both families. `br_netfilter` says whether it is loaded at
    all. `forwards` are the families that the host forwards, `forwards_by_us` those of them that we switched on since it
    was booted. `has_ipv6` says whether the kernel has IPv6 at all, `ipv6` whether sockets of the host can listen
    on IPv6 addresses, `sctp` whether the kernel has sockets for SCTP.
    """

    occupied: tuple[IPNetwork, ...] = ()
    ephemeral: PortRange = PortRange(32768, 60999)
    reserved: tuple[PortRange, ...] = ()
    bridge_netfilter: bool = False
    br_netfilter: bool = False
    forwards: tuple[Version, ...] = VERSIONS
    forwards_by_us: tuple[Version, ...] = ()
    has_ipv6: bool = True
    ipv6: bool = False
    sctp: bool = False


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain of somebody else that stops forwarded packets its rules do not let pass.

    `end` says how it stops them. `interfaces` are the names and patterns (`br-*`) that the rules around it mention.
    """

    name: str
    end: str
    versions: tuple[Version, ...]
    interfaces: frozenset[str]

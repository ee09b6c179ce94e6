"""What the firewall should do, said without any firewall's words.

Two backends turn these intents into objects: `nftables.py` (elements of maps and sets) and `iptables.py` (Docker's
chain layout). The intents are all that the rest of the plan knows of firewalls.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from linkspan.model.addressing import IPAddress, IPNetwork, Version
from linkspan.model.ports import PortBinding
from linkspan.plan.objects import FirewallObject


@dataclass(frozen=True, slots=True)
class Zone:
    """A bridge network: who may speak with whom.

    Always: from elsewhere only what was published comes in, and replies. `internal`: nothing goes out, nothing comes
    in. `icc`: ports of the bridge may speak with each other. `masquerade`: what leaves for the world takes the host's
    address.
    """

    bridge: str
    subnets: tuple[IPNetwork, ...]
    internal: bool
    icc: bool
    masquerade: bool
    owner: str


@dataclass(frozen=True, slots=True)
class Guard:
    """One endpoint address: a neighbour who routes to it directly is turned away."""

    bridge: str
    address: IPAddress
    owner: str


@dataclass(frozen=True, slots=True)
class Published:
    """A binding of the host that is forwarded to `target` on `bridge`."""

    binding: PortBinding
    target: IPAddress
    bridge: str
    owner: str


@dataclass(frozen=True, slots=True)
class Transit:
    """What is routed through the host and is not ours.

    It is dropped in the families that were not forwarded before we switched forwarding on, so that the host does not
    become a router between its other interfaces. What bridges of others pass between their own ports is let be: with
    `br_netfilter` (whether the module is loaded) the firewall sees it as forwarded from the bridge to the bridge.
    """

    dropped: tuple[Version, ...] = ()
    br_netfilter: bool = False


NOTHING_DROPPED = Transit()


class Firewall(Protocol):
    """A backend: pure functions from intents to objects."""

    @property
    def hairpin(self) -> bool:
        """Whether loopback and hairpin traffic to published ports is carried by NAT (else by the relay)."""
        ...

    def on(self, transit: Transit) -> Self:
        """The backend for a host, by what it has to do with transit there."""
        ...

    def base(self, owner: str) -> Iterable[FirewallObject]:
        """What exists once, whatever networks there are."""
        ...

    def zone(self, zone: Zone) -> Iterable[FirewallObject]:
        """The objects of one network."""
        ...

    def guard(self, guard: Guard) -> Iterable[FirewallObject]:
        """The objects of one endpoint address."""
        ...

    def published(self, published: Published) -> Iterable[FirewallObject]:
        """The objects of one published binding."""
        ...

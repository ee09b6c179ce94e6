"""The smallest firewall backend: one element per intent, so that tests of the plan need no real one."""

from collections.abc import Iterable

from linkspan.plan.firewall import Guard, Published, Transit, Zone
from linkspan.plan.objects import FirewallObject, NftElement, NftTable


class SmallFirewall:
    """Says what it was asked for, and nothing else."""

    hairpin = True

    def on(self, transit: Transit) -> "SmallFirewall":
        return self

    def base(self, owner: str) -> Iterable[FirewallObject]:
        return [NftTable(owner)]

    def zone(self, zone: Zone) -> Iterable[FirewallObject]:
        said = f"{sorted(map(str, zone.subnets))} internal={zone.internal} icc={zone.icc} nat={zone.masquerade}"
        return [NftElement("zones", zone.bridge, said, zone.owner)]

    def guard(self, guard: Guard) -> Iterable[FirewallObject]:
        return [NftElement("guards", f"{guard.bridge} . {guard.address}", "", guard.owner)]

    def published(self, published: Published) -> Iterable[FirewallObject]:
        target = f"{published.bridge} . {published.target}"
        return [NftElement("published", str(published.binding), target, published.owner)]

"""Who holds which host port. A range is one entry, so that a thousand ports cost what one costs."""

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from linkspan.model.addressing import IPAddress, Version
from linkspan.model.ports import PortBinding, PortRange, Protocol


class Held(NamedTuple):
    """A range on one host address, and the owner's id."""

    first: int
    last: int
    owner: str


@dataclass
class PortTable:
    """Held ranges by protocol and host address. On one address they never overlap, so a search looks at one entry."""

    _held: dict[tuple[Protocol, Version], dict[IPAddress, list[Held]]] = field(default_factory=dict)

    def add(self, binding: PortBinding, owner: str) -> None:
        """Enter a binding that collides with none that is held."""
        addresses = self._held.setdefault((binding.protocol, binding.version), {})
        insort(addresses.setdefault(binding.address, []), Held(binding.host.first, binding.host.last, owner))

    def remove(self, binding: PortBinding, owner: str) -> None:
        """Take a binding out."""
        kind = (binding.protocol, binding.version)
        addresses = self._held[kind]
        addresses[binding.address].remove(Held(binding.host.first, binding.host.last, owner))
        if not addresses[binding.address]:
            del addresses[binding.address]
        if not addresses:
            del self._held[kind]

    def holder(self, protocol: Protocol, address: IPAddress, ports: PortRange) -> tuple[int, str] | None:
        """The lowest port of `ports` that is taken, and whose it is.

        Two bindings collide when their addresses are the same or one of the two is unspecified.
        """
        addresses = self._held.get((protocol, address.version), {})
        rivals = (held for bound, held in addresses.items() if bound == address or _is_any(bound) or _is_any(address))
        found = [taken for held in rivals if (taken := _first_taken(held, ports)) is not None]
        return min(found, default=None)


def _is_any(address: IPAddress) -> bool:
    return int(address) == 0


def _first_taken(held: list[Held], ports: PortRange) -> tuple[int, str] | None:
    """The lowest port of `ports` in a sorted list of ranges that do not overlap."""
    place = bisect_right(held, ports.first, key=lambda entry: entry.first)
    if place and held[place - 1].last >= ports.first:
        return ports.first, held[place - 1].owner
    if place < len(held) and held[place].first <= ports.last:
        return held[place].first, held[place].owner
    return None

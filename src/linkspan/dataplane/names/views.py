"""What one client sees of the names: a sandbox those of its networks, the host those of all. Pure.

The order of a search is Docker's (moby, `sandbox.go` `ResolveName`): the whole name on every network, then, for
`a.b.c.d`, `a.b.c` on the network `d`, `a.b` on `c.d`, `a` on `b.c.d`; a sandbox's own links before the rest each time.
Names that stand for all below them come last, in the same order.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol as Interface

from linkspan.dataplane.names import records
from linkspan.dataplane.names.labels import boundaries, labels, reversed_address
from linkspan.dataplane.names.messages import Answer, Rcode, Type
from linkspan.dataplane.names.zones import TTL, Node, Zone, Zones
from linkspan.model.addressing import IPAddress
from linkspan.model.dataplane import Resolver

HOST_DOMAIN = "linkspan"
_HOST_SUFFIX = b"\x08linkspan"
_LONGEST_CHAIN = 8
_ADDRESSES = (Type.A, Type.AAAA)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer from zones. `onward` is the name at the end of a chain that has to be asked of another server."""

    where: str
    code: Rcode = Rcode.NOERROR
    answers: tuple[Answer, ...] = ()
    additional: tuple[Answer, ...] = ()
    onward: bytes = b""


class View(Interface):
    """What a client sees. None: the names it sees say nothing about the question."""

    def find(self, name: bytes, kind: int) -> Found | None: ...

    def searched(self) -> list[str]: ...


Place = tuple[Zone, Node]


class SandboxView:
    """The names that a sandbox sees."""

    def __init__(self, zones: Zones, resolver: Resolver) -> None:
        self._zones = zones
        self._resolver = resolver
        self._links: dict[str, dict[bytes, bytes]] = {}
        for link in resolver.links:
            alias, name = labels(link.alias.lower()), labels(link.name.lower())
            if alias is not None and name is not None:
                self._links.setdefault(link.network, {}).setdefault(alias, name)

    def find(self, name: bytes, kind: int) -> Found | None:
        """The answer to a question for `name` (labels in small letters)."""
        if kind == Type.PTR and (address := reversed_address(name)) is not None:
            return _pointer(self._zones.of(self._resolver.networks), address, "")
        found = _follow(self._places, name, kind)
        if found is None and self._resolver.ndots and kind in _ADDRESSES and len(boundaries(name)) == 1:
            return Found("ndots")
        return found

    def searched(self) -> list[str]:
        """The names of its networks."""
        return [zone.name for zone in self._zones.of(self._resolver.networks)]

    def _places(self, name: bytes) -> Iterator[Place]:
        networks = [(zone, self._links.get(network)) for network, zone in self._known()]
        for part, suffix in _splits(name):
            among = [each for each in networks if not suffix or each[0].suffix == suffix]
            for zone, links in among:
                if links and part in links and (node := zone.node(links[part])) is not None:
                    yield zone, node
            for zone, _ in among:
                if (node := zone.node(part)) is not None:
                    yield zone, node
        for part, suffix in _splits(name):
            for zone, _ in networks:
                if (not suffix or zone.suffix == suffix) and (node := zone.wild(part)) is not None:
                    yield zone, node

    def _known(self) -> Iterator[tuple[str, Zone]]:
        for network in self._resolver.networks:
            if (zone := self._zones.get(network)) is not None:
                yield network, zone


class HostView:
    """The names that the host sees: `<name>.<network>.linkspan`, and the addresses that they have. Nothing else."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    def find(self, name: bytes, kind: int) -> Found | None:
        """The answer to a question for `name` (labels in small letters)."""
        if kind == Type.PTR and (address := reversed_address(name)) is not None:
            return _pointer(self._zones.all(), address, f".{HOST_DOMAIN}")
        starts = boundaries(name)
        if not starts or name[starts[-1] :] != _HOST_SUFFIX:
            return None
        inner = name[: starts[-1]]
        return _follow(self._places, name, kind) or self._missing(inner)

    def searched(self) -> list[str]:
        """The names of all networks."""
        return [zone.name for zone in self._zones.all()]

    def _missing(self, inner: bytes) -> Found:
        """The domain itself and the names of networks exist, without records (RFC 8020)."""
        exists = not inner or any(zone.suffix.endswith(inner) for zone in self._zones.all())
        return Found(HOST_DOMAIN, Rcode.NOERROR if exists else Rcode.NXDOMAIN)

    def _places(self, name: bytes) -> Iterator[Place]:
        starts = boundaries(name)
        if not starts or name[starts[-1] :] != _HOST_SUFFIX:
            return
        splits = list(_splits(name[: starts[-1]]))[1:]
        for lookup in (Zone.node, Zone.wild):
            for part, suffix in splits:
                for zone in self._zones.all():
                    if zone.suffix == suffix and (node := lookup(zone, part)) is not None:
                        yield zone, node


def _splits(name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and no network, then every way to cut a network's name off its end, short ones first."""
    yield name, b""
    for start in reversed(boundaries(name)[1:]):
        yield name[:start], name[start:]


def _follow(places: Callable[[bytes], Iterable[Place]], name: bytes, kind: int) -> Found | None:
    """The records of a name, after those of the CNAMEs that lead there."""
    chain: list[Answer] = []
    where = ""
    while len(chain) < _LONGEST_CHAIN:
        owner = name if chain else b""
        known = list(places(name))
        if not known:
            return Found(where, answers=tuple(chain), onward=name) if chain else None
        zone, node = _best(known, kind)
        where = where or f"zone {zone.name}"
        answers = [Answer(each.type, each.ttl, each.data, owner) for each in node.answers(kind)]
        alias = node.canonical()
        if answers or alias is None:
            return Found(where, answers=(*chain, *answers), additional=_additional(places, answers))
        chain.append(Answer(alias.type, alias.ttl, alias.data, owner))
        name = records.target(alias.data)
    return Found(where, Rcode.SERVFAIL)


def _best(known: list[Place], kind: int) -> Place:
    """The first network where the name has such a record, or leads on; the first at all when none does."""
    return next((place for place in known if place[1].answers(kind) or place[1].canonical()), known[0])


def _additional(places: Callable[[bytes], Iterable[Place]], answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The addresses of the hosts in SRV records (RFC 2782), as far as they are known here."""
    found: list[Answer] = []
    for host in {records.service_target(answer.data): None for answer in answers if answer.type == Type.SRV}:
        for _, node in list(places(host))[:1]:
            for kind in _ADDRESSES:
                found += [Answer(each.type, each.ttl, each.data, host) for each in node.answers(kind)]
    return tuple(found)


def _pointer(zones: Iterable[Zone], address: IPAddress, domain: str) -> Found | None:
    """The name of an address on the first network that has it."""
    for zone in zones:
        name = zone.pointer(address)
        if name is not None and (data := labels(f"{name}.{zone.name}".strip(".") + domain)) is not None:
            return Found(f"zone {zone.name}", answers=(Answer(Type.PTR, TTL, data + b"\0"),))
    return None

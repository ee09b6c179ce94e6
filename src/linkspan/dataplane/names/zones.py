"""The names of networks: who has which name where, and what a name means. Pure.

A zone holds the names of one network. A name is a node: the addresses of the sandboxes that have it (several may: then
it stands for all of them), and extra records. Changes cost what the changed value holds, whatever else there is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from linkspan.dataplane.names import records
from linkspan.dataplane.names.labels import boundaries, labels
from linkspan.dataplane.names.messages import Answer, Type
from linkspan.model.addressing import IPAddress
from linkspan.model.dataplane import Key, NameEntry, NameZone

TTL = 600
"""Docker's, seconds."""
_WILD = b"\x01*"
_FAMILIES = {4: Type.A, 6: Type.AAAA}


@dataclass(slots=True)
class Node:
    """What one name of one network means."""

    addresses: dict[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    extra: list[Answer] = field(default_factory=list)

    def answers(self, kind: int) -> list[Answer]:
        """The records of a type; of all types for ANY."""
        found = [
            Answer(_FAMILIES[address.version], TTL, address.packed)
            for addresses in self.addresses.values()
            for address in addresses
            if kind in (_FAMILIES[address.version], Type.ANY)
        ]
        found += [answer for answer in self.extra if kind in (answer.type, Type.ANY)]
        return list(dict.fromkeys(found))

    def canonical(self) -> Answer | None:
        """Its CNAME."""
        return next((answer for answer in self.extra if answer.type == Type.CNAME), None)


class Zone:
    """One network. Names are kept in small letters; those that stand for every name below under what they end in."""

    def __init__(self) -> None:
        self.name = ""
        self.suffix = b""
        self._nodes: dict[bytes, Node] = {}
        self._wild: dict[bytes, Node] = {}
        self._entries: dict[str, NameEntry] = {}
        self._pointers: dict[IPAddress, dict[str, str]] = {}
        self._extra: list[bytes] = []

    def node(self, name: bytes) -> Node | None:
        """What a name means that is known as it is."""
        return self._nodes.get(name)

    def wild(self, name: bytes) -> Node | None:
        """What a name means by the closest `*.` above it."""
        if not self._wild:
            return None
        return next((self._wild[rest] for at in boundaries(name)[1:] if (rest := name[at:]) in self._wild), None)

    def pointer(self, address: IPAddress) -> str | None:
        """The first name of the sandbox that has an address."""
        return next(reversed(self._pointers[address].values()), None) if address in self._pointers else None

    def describe(self, zone: NameZone) -> None:
        """Take the name of the network and its extra records. Raises `InvalidError`, then nothing has changed."""
        parsed = [(records.owner(record.name.lower()), records.parse(record)) for record in zone.records]
        self.undescribe()
        self.name, self.suffix = zone.name, labels(zone.name.lower()) or b""
        for name, answer in parsed:
            self._make(name).extra.append(answer)
            self._extra.append(name)

    def undescribe(self) -> None:
        """Forget the name and the extra records."""
        for name in self._extra:
            if (node := self._find(name)) is not None:
                node.extra.clear()
                self._tidy(name)
        self.name, self.suffix, self._extra = "", b"", []

    def enter(self, entry: NameEntry) -> None:
        """Take the names of a sandbox, in place of those it had."""
        self.leave(entry.sandbox)
        self._entries[entry.sandbox] = entry
        for name in _names(entry):
            self._make(name).addresses[entry.sandbox] = entry.addresses
        first = next((name for name in entry.names if not name.startswith("*.") and labels(name)), None)
        for address in entry.addresses if first is not None else ():
            self._pointers.setdefault(address, {})[entry.sandbox] = first or ""

    def leave(self, sandbox: str) -> None:
        """Forget the names of a sandbox."""
        entry = self._entries.pop(sandbox, None)
        if entry is None:
            return
        for name in _names(entry):
            if (node := self._find(name)) is not None:
                node.addresses.pop(sandbox, None)
                self._tidy(name)
        for address in entry.addresses:
            owners = self._pointers.get(address, {})
            owners.pop(sandbox, None)
            if not owners:
                self._pointers.pop(address, None)

    @property
    def is_empty(self) -> bool:
        """Nothing is known of it any more."""
        return not self._entries and not self.name and not self._extra

    def _table(self, name: bytes) -> tuple[dict[bytes, Node], bytes]:
        return (self._wild, name[len(_WILD) :]) if name.startswith(_WILD) else (self._nodes, name)

    def _find(self, name: bytes) -> Node | None:
        table, key = self._table(name)
        return table.get(key)

    def _make(self, name: bytes) -> Node:
        table, key = self._table(name)
        return table.setdefault(key, Node())

    def _tidy(self, name: bytes) -> None:
        table, key = self._table(name)
        if key in table and not table[key].addresses and not table[key].extra:
            del table[key]


def _names(entry: NameEntry) -> Iterable[bytes]:
    """The names of a sandbox that DNS can carry: Docker allows longer ones, and nobody can ask for those."""
    return [name for name in map(labels, map(str.lower, entry.names)) if name is not None]


class Zones:
    """All networks, by id."""

    def __init__(self) -> None:
        self._zones: dict[str, Zone] = {}

    def of(self, networks: Iterable[str]) -> Iterator[Zone]:
        """Those networks of which something is known, in the order asked."""
        return (self._zones[network] for network in networks if network in self._zones)

    def all(self) -> Iterator[Zone]:
        """Every network."""
        return iter(self._zones.values())

    def get(self, network: str) -> Zone | None:
        """One network."""
        return self._zones.get(network)

    def put(self, value: NameZone | NameEntry) -> None:
        """Add or replace. Raises `InvalidError`, then nothing has changed."""
        zone = self._zones.get(value.network) or Zone()
        if isinstance(value, NameZone):
            zone.describe(value)
        else:
            zone.enter(value)
        self._zones[value.network] = zone

    def drop(self, key: Key) -> str | None:
        """Forget what has this key; returns the network it belonged to."""
        match key:
            case ("zone", network) if (zone := self._zones.get(network)) is not None:
                zone.undescribe()
            case ("name", network, sandbox) if (zone := self._zones.get(network)) is not None:
                zone.leave(sandbox)
            case _:
                return None
        if zone.is_empty:
            del self._zones[network]
        return network

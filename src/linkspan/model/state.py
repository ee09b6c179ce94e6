"""Desired state: every network and sandbox that should exist, with the look-ups decisions need.

`State` changes in one way, `apply(change)`, after the kernel and the store have the change; until then decisions only
read it. The indexes are derived: rebuilding a state from its networks and sandboxes gives the same ones.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from linkspan.model.addressing import IPAddress, Version
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.networks import Network
from linkspan.model.ports import PortRange, Protocol
from linkspan.model.porttable import PortTable
from linkspan.model.sandboxes import Sandbox

Noun = TypeVar("Noun", Network, Sandbox)


@dataclass(frozen=True, slots=True)
class Change:
    """A step from one state to the next: the new value of each object by id, None where it is removed."""

    networks: Mapping[str, Network | None] = field(default_factory=dict)
    sandboxes: Mapping[str, Sandbox | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.networks or self.sandboxes)

    def then(self, later: "Change") -> "Change":
        """This change and a later one, as one."""
        return Change({**self.networks, **later.networks}, {**self.sandboxes, **later.sandboxes})


class State:
    """Networks and sandboxes by id, with indexes by name, address and host port."""

    def __init__(self, networks: Iterable[Network] = (), sandboxes: Iterable[Sandbox] = ()) -> None:
        self.networks: dict[str, Network] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self._network_names: dict[str, str] = {}
        self._sandbox_names: dict[str, str] = {}
        self._leases: dict[tuple[str, Version], list[int]] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._sharers: dict[str, dict[str, None]] = {}
        self._host_links: set[str] = set()
        self._ports = PortTable()
        self.apply(Change({n.id: n for n in networks}, {s.id: s for s in sandboxes}))

    def apply(self, change: Change) -> None:
        """Take `change` over; the caller has checked it.

        Everything old is forgotten before anything new is learned: a name may pass from one object to another.
        """
        for id in change.sandboxes:
            if id in self.sandboxes:
                self._forget_sandbox(self.sandboxes.pop(id))
        kept = {id for id, network in change.networks.items() if network is not None and id in self.networks}
        for id in change.networks:
            if id in self.networks and id not in kept:
                self._forget_network(self.networks.pop(id))
        for network in change.networks.values():
            if network is not None and network.id in kept:
                self._renew_network(network)
            elif network is not None:
                self._learn_network(network)
        for sandbox in change.sandboxes.values():
            if sandbox is not None:
                self._learn_sandbox(sandbox)

    def inverse(self, change: Change) -> Change:
        """What takes `change` back: the values that the same ids have now."""
        return Change(
            {id: self.networks.get(id) for id in change.networks},
            {id: self.sandboxes.get(id) for id in change.sandboxes},
        )

    def _learn_network(self, network: Network) -> None:
        self.networks[network.id] = network
        self._network_names[network.name] = network.id
        self._members[network.id] = {}
        for subnet in network.subnets:
            self._leases[network.id, subnet.version] = subnet.reserved()

    def _renew_network(self, network: Network) -> None:
        """What can change of a network that may have members: not its addresses."""
        old = self.networks[network.id]
        assert network.subnets == old.subnets
        self.networks[network.id] = network
        del self._network_names[old.name]
        self._network_names[network.name] = network.id

    def _forget_network(self, network: Network) -> None:
        del self._network_names[network.name]
        del self._members[network.id]
        for subnet in network.subnets:
            del self._leases[network.id, subnet.version]

    def _learn_sandbox(self, sandbox: Sandbox) -> None:
        self.sandboxes[sandbox.id] = sandbox
        self._sandbox_names[sandbox.name] = sandbox.id
        if sandbox.shares is not None:
            self._sharers.setdefault(sandbox.shares, {})[sandbox.id] = None
        for endpoint in sandbox.endpoints:
            self._members[endpoint.network][sandbox.id] = None
            self._host_links.add(endpoint.host_ifname)
            for address in endpoint.addresses:
                insort(self._leases[endpoint.network, address.version], int(address.ip))
        for binding in sandbox.ports:
            self._ports.add(binding, sandbox.id)

    def _forget_sandbox(self, sandbox: Sandbox) -> None:
        del self._sandbox_names[sandbox.name]
        if sandbox.shares is not None:
            del self._sharers[sandbox.shares][sandbox.id]
            if not self._sharers[sandbox.shares]:
                del self._sharers[sandbox.shares]
        for endpoint in sandbox.endpoints:
            self._members[endpoint.network].pop(sandbox.id, None)
            self._host_links.discard(endpoint.host_ifname)
            for address in endpoint.addresses:
                leases = self._leases[endpoint.network, address.version]
                del leases[bisect_left(leases, int(address.ip))]
        for binding in sandbox.ports:
            self._ports.remove(binding, sandbox.id)

    def leases(self, network: str, version: Version) -> list[int]:
        """Addresses of a network that are reserved or in use, sorted; do not modify."""
        return self._leases[network, version]

    def members(self, network: str) -> list[Sandbox]:
        """The sandboxes with an endpoint on the network."""
        return [self.sandboxes[id] for id in self._members[network]]

    def member_count(self, network: str) -> int:
        """How many endpoints the network has."""
        return len(self._members[network])

    def holder(self, network: str, address: IPAddress) -> Sandbox | None:
        """The sandbox that has `address` on the network."""
        leases = self._leases[network, address.version]
        place = bisect_left(leases, int(address))
        if place == len(leases) or leases[place] != int(address):
            return None
        owners = (s for s in self.members(network) for e in s.endpoints if any(a.ip == address for a in e.addresses))
        return next(owners, None)

    def has_host_link(self, name: str) -> bool:
        """Whether an endpoint's host end has that interface name."""
        return name in self._host_links

    def port_holder(self, protocol: Protocol, address: IPAddress, ports: PortRange) -> tuple[int, str] | None:
        """The lowest port of `ports` that a binding holds, and the sandbox (id) whose it is."""
        return self._ports.holder(protocol, address, ports)

    def sharers(self, sandbox: str) -> list[Sandbox]:
        """The sandboxes that live in the namespace of this one."""
        return [self.sandboxes[id] for id in self._sharers.get(sandbox, ())]

    def network(self, reference: str) -> Network:
        """Look up by full id, then name, then unique prefix of an id (Docker's order)."""
        found = self.networks.get(reference) or self.networks.get(self._network_names.get(reference, ""))
        return found or _by_prefix("network", self.networks, reference)

    def sandbox(self, reference: str) -> Sandbox:
        """Look up by full id, then name, then unique prefix of an id."""
        found = self.sandboxes.get(reference) or self.sandboxes.get(self._sandbox_names.get(reference, ""))
        return found or _by_prefix("sandbox", self.sandboxes, reference)

    def check_names(self, *, network: str | None = None, sandbox: str | None = None) -> None:
        """`ConflictError` when the name is taken."""
        if network is not None and network in self._network_names:
            raise ConflictError(f"network with name {network} already exists", field="name", value=network)
        if sandbox is not None and sandbox in self._sandbox_names:
            holder = self._sandbox_names[sandbox]
            raise ConflictError(
                f"the sandbox name {sandbox!r} is already in use by sandbox {holder[:12]}",
                field="name",
                value=sandbox,
                hint="remove that sandbox, or choose another name",
            )


def _by_prefix(kind: str, objects: Mapping[str, Noun], reference: str) -> Noun:
    matches = [id for id in objects if id.startswith(reference)] if reference else []
    if len(matches) == 1:
        return objects[matches[0]]
    if matches:
        text = f"{kind} {reference} is ambiguous ({len(matches)} matches found on id prefix)"
        raise InvalidError(text, field=kind, value=reference)
    raise NotFoundError(f"{kind} {reference} not found", field=kind, value=reference)

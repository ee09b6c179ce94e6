"""What the data plane serves, with the sockets it needs: the kernel room's half of `linkspan.model.dataplane`.

Sockets are opened here, in the namespaces they belong to, and stay open here as well as in the data plane: so a data
plane that died can be given them again, and a daemon that comes again takes them from there. Those that are no longer
needed are closed only by `dispose`, once the data plane knows: until then it may have to be given them.
"""

from collections.abc import Iterable, Mapping, Sequence
from errno import EEXIST
from typing import TypeAlias

from linkspan.kernel.hostports import HostPorts, close_all
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.outcome import Outcome, failure
from linkspan.kernel.resolvers import Resolvers
from linkspan.model.dataplane import HostPort, HostResolver, Key, NameEntry, NameZone, Resolver, Service
from linkspan.plan.operations import Operation, Verb

Held: TypeAlias = Mapping[Key, tuple[Service, tuple[int, ...]]]
"""Services and the descriptors of their sockets, in the order that `linkspan.model.dataplane` gives for each kind."""

Found: TypeAlias = Mapping[Key, tuple[Service, tuple[int, ...]] | None]
"""Services with their sockets, or None for what there is not."""


class Services:
    """Host ports, resolvers and names of one engine. Made and used on the kernel thread."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._retired: list[int] = []
        self._ports = HostPorts(self._retired.extend)
        self._resolvers = Resolvers(namespaces, self._retired.extend)
        self._names: dict[Key, NameZone | NameEntry] = {}

    @property
    def held(self) -> tuple[Service, ...]:
        """Everything there is now."""
        return (*self._ports.held.values(), *self._resolvers.held.values(), *self._names.values())

    def get(self, key: Key) -> tuple[Service, tuple[int, ...]] | None:
        """A service with its sockets, which stay ours. None when there is none, or one without the sockets it needs."""
        if (port := self._ports.held.get(key)) is not None:
            descriptors = self._ports.descriptors(key)
            return (port, descriptors) if descriptors else None  # SCTP, on a kernel that has no sockets for it
        if (resolver := self._resolvers.held.get(key)) is not None:
            return resolver, self._resolvers.descriptors(key)
        name = self._names.get(key)
        return None if name is None else (name, ())

    def find(self, keys: Iterable[Key]) -> Found:
        """The services with these keys, each as `get` gives it."""
        return {key: self.get(key) for key in keys}

    def adopt(self, held: Held) -> Held:
        """Take over what the data plane holds, and the descriptors; returns what of it is ours from now on."""
        for service, descriptors in held.values():
            match service:
                case HostPort():
                    self._ports.adopt(service, descriptors)
                case Resolver() | HostResolver():
                    self._resolvers.adopt(service, descriptors)
                case NameZone() | NameEntry():
                    self._names[service.key] = service
                    close_all(descriptors)
        return {key: found for key in held if (found := self.get(key)) is not None}

    def reserve(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Perform operations on host ports."""
        return self._ports.perform(operations, tolerant=tolerant)

    def resolve(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Perform operations on resolvers."""
        return self._resolvers.perform(operations, tolerant=tolerant)

    def name(self, operations: Iterable[Operation]) -> list[Outcome]:
        """Perform operations on names, which are kept and handed on, and nothing else."""
        return [Outcome(operation, self._name(operation)) for operation in operations]

    def _name(self, operation: Operation) -> OSError | None:
        item = operation.object
        assert isinstance(item, NameZone | NameEntry)
        if operation.verb is Verb.REMOVE:
            self._names.pop(item.key, None)
        elif operation.verb is Verb.ADD and item.key in self._names:
            return failure(EEXIST)
        else:
            self._names[item.key] = item
        return None

    @property
    def retired(self) -> bool:
        """Whether there are sockets to dispose of."""
        return bool(self._retired)

    def dispose(self) -> None:
        """Close the sockets that are no longer needed."""
        close_all(self._retired)
        self._retired.clear()

    def close(self) -> None:
        """Let go of all sockets."""
        self._ports.close()
        self._resolvers.close()
        self.dispose()

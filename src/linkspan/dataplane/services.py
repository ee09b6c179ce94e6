"""The table of what the data plane serves, by key, with the sockets of each.

The sockets of a service are held here for as long as it is wanted, and whoever serves it gets duplicates. So a service
can be given to another server (a port that leads elsewhere now) or to another process (a newer helper, the next
daemon) without a moment at which the socket is closed: connections and datagrams wait in its queue.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from linkspan.dataplane.channel import close_all, duplicates
from linkspan.dataplane.ports import Answering, Held, Names, Relay, Relaying
from linkspan.model.dataplane import HostPort, HostResolver, Key, NameEntry, NameZone, Resolver, Service, Trace
from linkspan.model.errors import InvalidError

Serving = TypeVar("Serving")


@dataclass(frozen=True, slots=True)
class _Entry:
    service: Service
    descriptors: tuple[int, ...]
    relaying: Relaying | None = None
    answering: Answering | None = None


class Services:
    """What is served, by a relay and a name server."""

    def __init__(self, relay: Relay, names: Names) -> None:
        self._relay = relay
        self._names = names
        self._entries: dict[Key, _Entry] = {}

    @property
    def held(self) -> Held:
        """Every service with its descriptors, which stay ours."""
        return {key: (entry.service, entry.descriptors) for key, entry in self._entries.items()}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many there are of each kind."""
        return Counter(key[0] for key in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, service: Service, descriptors: Sequence[int]) -> None:
        """Add a service or replace the one with its key; the descriptors are taken over, also when it is refused.

        No descriptors, or others of the same sockets: the sockets of the key stay, and nothing that waits in them is
        lost. Raises `InvalidError` for the wrong number of sockets, `UnavailableError` for what cannot be served,
        OSError (EMFILE); then nothing has changed.
        """
        old = self._entries.get(service.key)
        keeps = old is not None and (not descriptors or _same_sockets(old.descriptors, descriptors))
        if keeps:
            assert old is not None
            close_all(descriptors)
            if old.service != service:
                self._entries[service.key] = self._replace(old, service)
            return
        taken = tuple(descriptors)
        try:
            _require_sockets(service, len(taken))
            entry = self._serve(service, taken)
        except BaseException:
            close_all(taken)
            raise
        self._entries[service.key] = entry
        if old is not None:
            _end(old)

    def _replace(self, old: _Entry, service: Service) -> _Entry:
        """The same sockets, served in another way."""
        match service:
            case HostPort(relay=None):
                _stop(old)
                return _Entry(service, old.descriptors)
            case HostPort() if old.relaying is not None:
                old.relaying.retarget(service)
            case Resolver() | HostResolver() if old.answering is not None:
                old.answering.replace(service)
            case _:
                return self._serve(service, old.descriptors)
        return replace(old, service=service)

    def _serve(self, service: Service, descriptors: tuple[int, ...]) -> _Entry:
        match service:
            case HostPort(relay=None):
                return _Entry(service, descriptors)  # held, and never read: NAT carries everything
            case HostPort():
                return _Entry(service, descriptors, relaying=_lend(descriptors, partial(self._relay.serve, service)))
            case Resolver() | HostResolver():
                return _Entry(service, descriptors, answering=_lend(descriptors, partial(self._answer, service)))
            case NameZone() | NameEntry():
                self._names.put(service)
                return _Entry(service, descriptors)

    def _answer(self, resolver: Resolver | HostResolver, lent: Sequence[int]) -> Answering:
        udp, tcp, *namespace = lent
        return self._names.serve(resolver, udp, tcp, *namespace or (None,))

    def drop(self, key: Key) -> None:
        """End a service and let go of its sockets, if there is one with this key."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        if isinstance(entry.service, NameZone | NameEntry):
            self._names.drop(key)
        _end(entry)

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How a question would be answered. Raises `NotFoundError`, `InvalidError`."""
        return await self._names.trace(sandbox, name, type)

    def let_go(self) -> None:
        """End all services, as `drop` does."""
        for key in tuple(self._entries):
            self.drop(key)

    def retire(self) -> None:
        """Serve nothing new, since another process has the same sockets; what is under way goes on."""
        for entry in self._entries.values():
            if entry.relaying is not None:
                entry.relaying.retire()
            if entry.answering is not None:
                entry.answering.close()
            close_all(entry.descriptors)
        self._entries.clear()

    async def drained(self) -> None:
        """Wait until nothing is under way."""
        await self._relay.drained()
        await self._names.drained()


def _lend(descriptors: Sequence[int], serve: Callable[[Sequence[int]], Serving]) -> Serving:
    """What serves duplicates of the descriptors."""
    lent = duplicates(descriptors)
    try:
        return serve(lent)
    except BaseException:
        close_all(lent)
        raise


def _end(entry: _Entry) -> None:
    _stop(entry)
    close_all(entry.descriptors)


def _stop(entry: _Entry) -> None:
    for served in (entry.relaying, entry.answering):
        if served is not None:
            served.close()


def _same_sockets(ours: Sequence[int], theirs: Sequence[int]) -> bool:
    """Whether descriptors stand for the same sockets: each has an inode of its own, as has a namespace."""
    return len(ours) == len(theirs) and all(
        os.path.sameopenfile(our, their) for our, their in zip(ours, theirs, strict=True)
    )


def _require_sockets(service: Service, number: int) -> None:
    if number not in (allowed := _sockets(service)):
        raise InvalidError(f"{' '.join(service.key)} came with {number} sockets, not {allowed[0]}")


def _sockets(service: Service) -> tuple[int, ...]:
    """How many sockets a service may have, what is usual first."""
    match service:
        case HostPort(ports=ports):
            return (len(ports), 0)  # none: SCTP that the kernel does not have
        case Resolver():
            return (3,)
        case HostResolver():
            return (2,)
        case NameZone() | NameEntry():
            return (0,)

"""The data plane in this process, for an engine without a daemon: it ends with the process."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from linkspan.dataplane.channel import close_all, duplicates
from linkspan.dataplane.names.core import Names
from linkspan.dataplane.ports import Held, MakeSocket
from linkspan.dataplane.relay import Relay
from linkspan.dataplane.services import Services
from linkspan.model.dataplane import Key, Load, Service, Trace
from linkspan.model.errors import LinkspanError, UnavailableError

_SLICE = 128
"""Descriptors duplicated before others get their turn: this is the event loop of whoever asked for a range."""


class LocalDataPlane:
    """What a `RemoteDataPlane` is, in the running event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @classmethod
    @asynccontextmanager
    async def open(cls, make_socket: MakeSocket) -> AsyncIterator["LocalDataPlane"]:
        """Serve until the block ends. `make_socket` is called in the event loop; None is the host's namespace."""
        async with Relay(make_socket) as relay, Names(make_socket) as names:
            services = Services(relay, names)
            try:
                yield cls(services)
            finally:
                services.let_go()

    async def take(self) -> Held:
        """Everything that is held, with descriptors that are the caller's from now on."""
        return {key: (service, duplicates(sockets)) for key, (service, sockets) in self._services.held.items()}

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        """Drop, then add or replace by key, all of it whatever fails; the caller keeps its descriptors.

        No descriptors for a key that is held: its sockets stay, its value changes. Raises the first failure.
        """
        failures: list[LinkspanError] = []
        for key in drop:
            self._services.drop(key)
        for service, descriptors in put:
            try:
                self._services.put(service, await _duplicates(descriptors))
            except LinkspanError as error:
                failures.append(error)
            except OSError as error:
                failures.append(UnavailableError(f"{' '.join(service.key)}: {error.strerror}"))
        if failures:
            raise failures[0]

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How the name server would answer a sandbox. Raises `NotFoundError`, `InvalidError`."""
        return await self._services.trace(sandbox, name, type)

    async def load(self) -> Load:
        """This process, and what it holds."""
        sockets = sum(len(descriptors) for _, descriptors in self._services.held.values())
        return Load(os.getpid(), dict(self._services.counts), sockets, remote=False)


async def _duplicates(descriptors: Sequence[int]) -> tuple[int, ...]:
    """A duplicate of each, all or none, with turns for others. Raises OSError (EMFILE)."""
    made: list[int] = []
    try:
        for start in range(0, len(descriptors), _SLICE):
            if start:
                await asyncio.sleep(0)
            made += duplicates(descriptors[start : start + _SLICE])
    except (OSError, asyncio.CancelledError):
        close_all(made)
        raise
    return tuple(made)

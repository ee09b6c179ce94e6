"""Keeping the data plane in step: what it serves is what the kernel room holds for it, and nothing else."""

import logging
from collections.abc import Sequence
from typing import Protocol

from linkspan.kernel.services import Found, Held
from linkspan.model.dataplane import Key, Load, Service, Trace
from linkspan.model.errors import LinkspanError, UnservedError

log = logging.getLogger(__name__)


class DataPlane(Protocol):
    """What serves host ports and names, in this process or in one that outlives it."""

    async def take(self) -> Held:
        """Everything that is held, with descriptors that are the caller's from now on. Called once, at open."""
        ...

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        """Add or replace, and drop, by key; the caller keeps its descriptors.

        Without descriptors for a key that is held, its sockets stay and its value changes.
        """
        ...

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How a question of a sandbox would be answered."""
        ...

    async def load(self) -> Load:
        """What it is, and how much it holds."""
        ...


class Serving:
    """What the data plane has been given, so that only differences are."""

    def __init__(self, data_plane: DataPlane, given: Held) -> None:
        self.data_plane = data_plane
        self._given = dict(given)

    @property
    def wanted(self) -> Held:
        """Everything that it should hold."""
        return dict(self._given)

    async def settle(self, found: Found, *, tolerant: bool) -> None:
        """Hand over how the services with these keys are now: what is new or different, and what is gone.

        Raises `UnservedError`, when all was done that can be. That something cannot be taken away is no error of who
        lets it go: it is logged, as anything is when tolerant, and a data plane that begins anew does not get it again.
        """
        put: list[tuple[Service, Sequence[int]]] = []
        drop: list[Key] = []
        for key, now in found.items():
            before = self._given.get(key)
            if now is None:
                if before is not None:
                    drop.append(key)
            elif before is None or before[1] != now[1]:
                put.append(now)
            elif before[0] != now[0]:
                put.append((now[0], ()))
        self._note(found)
        if put or drop:
            await self._change(put, drop, tolerant=tolerant or not put)

    def _note(self, found: Found) -> None:
        for key, now in found.items():
            if now is not None:
                self._given[key] = now
            else:
                self._given.pop(key, None)

    async def _change(
        self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key], *, tolerant: bool
    ) -> None:
        try:
            await self.data_plane.change(put, drop)
        except LinkspanError as error:
            if not tolerant:
                raise UnservedError(error.message, field=error.field, value=error.value, hint=error.hint) from error
            log.error("the data plane does not serve what it should: %s", error.message)

"""Keeping the data plane in step: what it serves is what the kernel room holds for it, and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from linkspan.kernel.services import Found, Held
from linkspan.model.dataplane import HostPort, Key, Load, Service, Trace
from linkspan.model.errors import LinkspanError, UnservedError

log = logging.getLogger(__name__)

MANY = 64
"""Sockets in one change from which on nobody waits for it: a range of 1,000 ports takes some 10 ms to hand over."""


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
    """What the data plane has been given, so that only differences are.

    Changes reach it one after the other. Nobody waits for the hand-over of a great many sockets: they listen already,
    and what arrives waits in their queues.
    """

    def __init__(self, data_plane: DataPlane, given: Held, *, outlives: bool) -> None:
        """`outlives` says whether it holds ports beyond our life; otherwise it gets only those that it relays."""
        self.data_plane = data_plane
        self._outlives = outlives
        self._given = dict(given)
        self._changes: asyncio.Queue[_Change | None] = asyncio.Queue()

    @property
    def wanted(self) -> Held:
        """Everything that it should hold."""
        return dict(self._given)

    async def run(self) -> None:
        """Make the changes that were asked for, in order, until stopped."""
        while (change := await self._changes.get()) is not None:
            try:
                await self.data_plane.change(change.put, change.drop)
            except LinkspanError as error:
                change.done.set_result(error)
            except Exception as error:
                log.exception("the data plane failed in an unexpected way")
                change.done.set_result(UnservedError(f"the data plane failed: {error}"))
            else:
                change.done.set_result(None)

    def stop(self) -> None:
        """End when everything is done that has been asked for."""
        self._changes.put_nowait(None)

    async def settle(self, found: Found, *, tolerant: bool) -> None:
        """Hand over how the services with these keys are now: what is new or different, and what is gone.

        Raises `UnservedError`, when all was done that can be. That something cannot be taken away is no error of who
        lets it go: it is logged, as anything is when tolerant, and a data plane that begins anew does not get it again.
        """
        change = self._difference(found)
        if not change.put and not change.drop:
            return
        self._changes.put_nowait(change)
        if not change.drop and sum(len(descriptors) for _, descriptors in change.put) > MANY:
            change.done.add_done_callback(_log_failure)
            return
        error = await asyncio.shield(change.done)
        if error is None:
            return
        if not tolerant and change.put:
            raise UnservedError(error.message, field=error.field, value=error.value, hint=error.hint) from error
        _log_failure(change.done)

    def _difference(self, found: Found) -> "_Change":
        """What the data plane has to be told; from now on that is what it should hold."""
        change = _Change(asyncio.get_running_loop().create_future())
        for key, there in found.items():
            now = there if there is not None and self._is_given(there[0]) else None
            before = self._given.pop(key, None)
            if now is not None:
                self._given[key] = now
            if now is None:
                if before is not None:
                    change.drop.append(key)
            elif before is None or before[1] != now[1]:
                change.put.append(now)
            elif before[0] != now[0]:
                change.put.append((now[0], ()))
        return change

    def _is_given(self, service: Service) -> bool:
        return self._outlives or not isinstance(service, HostPort) or service.relay is not None


@dataclass(eq=False, slots=True)
class _Change:
    """What is to be put and dropped; `done` gives what went wrong."""

    done: "asyncio.Future[LinkspanError | None]"
    put: list[tuple[Service, Sequence[int]]] = field(default_factory=list)
    drop: list[Key] = field(default_factory=list)


def _log_failure(done: "asyncio.Future[LinkspanError | None]") -> None:
    if not done.cancelled() and (error := done.result()) is not None:
        log.error("the data plane does not serve what it should: %s", error.message)


@asynccontextmanager
async def supervised(serving: Serving) -> AsyncIterator[None]:
    """Make changes beside the block; what was asked for is done before the block is left."""
    tasks = asyncio.TaskGroup()
    await tasks.__aenter__()  # entered by hand: what the block raises is not to come out in a group
    tasks.create_task(serving.run(), name="tell the data plane")
    try:
        yield
    finally:
        serving.stop()
        await tasks.__aexit__(None, None, None)

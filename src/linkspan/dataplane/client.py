"""The daemon's side of the data plane's process: found or started, asked, replaced when its code is not ours.

The process is expected to outlive us, and we are expected to outlive it: when it has died, another is started at once
and told everything again. The sockets are not made anew for that, since we have descriptors of all of them; what
arrived meanwhile waits in their queues.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from linkspan.dataplane import starting
from linkspan.dataplane.channel import close_all
from linkspan.dataplane.link import Link, LostError
from linkspan.dataplane.ports import Held, Spawn, Wanted
from linkspan.dataplane.starting import Place
from linkspan.dataplane.wire import PROTOCOL, Ask, Counts, Done, Hello, Lease, Retire, Stats, Traced, Welcome
from linkspan.model.dataplane import Key, Load, Service, Trace
from linkspan.model.errors import LinkspanError, UnavailableError

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds to wait for an answer, a new process included."""
GREETING = 5.0
"""Seconds in which a process says who it is; one that is connected to but does not is stuck, and ended."""
HEARTBEAT = 5.0
"""Seconds between two looks whether the process still answers, and for its answer."""
PAUSE = 0.05
"""Seconds before connecting again: should somebody else have come, nobody is to be busy with taking turns."""
RETRY = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to start a process that does not start."""

Value = TypeVar("Value")


class RemoteDataPlane:
    """The data plane in a process of its own. Made by `open`.

    `wanted` says what the data plane should hold, with descriptors of our own: all of it is put again when the process
    has died and was started anew, and the rest is dropped from one that is connected to again. None: nobody knows yet.
    To be set by whoever knows, before the first `change`.
    """

    def __init__(self, place: Place, spawn: Spawn, tasks: asyncio.TaskGroup, extra: Sequence[str]) -> None:
        self.wanted: Callable[[], Wanted | None] = lambda: None
        self._place = place
        self._spawn = spawn
        self._tasks = tasks
        self._extra = extra
        self._build = starting.build_id()  # of our own code, whatever is installed while we run
        self._links: set[Link] = set()
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._lost = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, exec_root: Path, spawn: Spawn, extra: Sequence[str] = ()) -> AsyncIterator["RemoteDataPlane"]:
        """Connect to the process of an exec root, started by `spawn` when there is none, and keep it alive until the
        block ends; it goes on afterwards. Raises `UnavailableError` when it cannot be started.

        When its code is not ours, a new process takes over its sockets, and it ends with its last connection.
        `extra` are more options for a process that is started.
        """
        tasks = asyncio.TaskGroup()
        await tasks.__aenter__()  # entered by hand: what the block raises is not to come out in a group
        plane = cls(Place(exec_root), spawn, tasks, extra)
        keeping: asyncio.Task[None] | None = None
        try:
            plane._use(await plane._first())
            keeping = tasks.create_task(plane._keep(), name="keep the data plane alive")
            yield plane
        finally:
            if keeping is not None:
                keeping.cancel()
            for link in tuple(plane._links):
                link.close()
            await tasks.__aexit__(None, None, None)

    async def take(self) -> Held:
        """Everything that is held, with descriptors that are the caller's from now on. To be called once, at open."""
        return await self._patiently(Link.take)

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        """Drop, then add or replace by key; the caller keeps its descriptors.

        No descriptors for a key that is held: its sockets stay, its value changes. All of it is done that can be, then
        the first failure is raised. Raises `InvalidError`, `UnavailableError`.
        """
        await self._patiently(lambda link: link.change(put, drop))

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How the name server would answer a sandbox. Raises `NotFoundError`, `InvalidError`, `UnavailableError`."""
        traced, _ = await self._patiently(lambda link: link.ask(Ask(sandbox, name, type), Traced))
        return traced.trace

    async def stats(self) -> Counts:
        """How much is held."""
        counts, _ = await self._patiently(lambda link: link.ask(Stats(), Counts))
        return counts

    async def load(self) -> Load:
        """The process, and what it holds. Raises `UnavailableError`."""
        counts = await self.stats()
        return Load(starting.holder(self._place) or 0, counts.services, counts.sockets, remote=True)

    async def _patiently(self, call: Callable[[Link], Awaitable[Value]]) -> Value:
        """Call with the link that there is, again when it was lost: everything we ask may be asked twice."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self._linked.wait()
                    assert self._link is not None
                    link = self._link
                    try:
                        return await call(link)
                    except LostError:
                        self._unlink(link)
        except TimeoutError as error:
            raise UnavailableError(
                "the data plane's process does not answer", hint=f"see {self._place.log} for what it says"
            ) from error

    def _use(self, link: Link) -> None:
        self._link = link
        self._lost.clear()
        self._linked.set()

    def _unlink(self, link: Link) -> None:
        if self._link is link:
            self._link = None
            self._linked.clear()
            self._lost.set()

    async def _first(self) -> Link:
        try:
            return await self._found() or await self._started()
        except (OSError, LostError) as error:  # a path that is too long for a socket, a full disk, an early end
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise UnavailableError(
                f"the data plane's process cannot be started in {self._place.exec_root}: {reason}"
            ) from error

    async def _keep(self) -> None:
        """Connect again whenever the connection is lost, and start the process again if it has ended."""
        while True:
            while not self._lost.is_set():
                await self._look()
            log.warning("the data plane's process has gone")
            await asyncio.sleep(PAUSE)
            self._use(await self._restored())
            log.info("the data plane's process serves again")

    async def _look(self) -> None:
        """Wait until the connection is lost, for a while. It is given up when nothing comes of it any more: to connect
        again will show whether the process is stuck.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT):
                await self._lost.wait()
        if (link := self._link) is None:
            return
        try:
            async with asyncio.timeout(HEARTBEAT):
                await link.ask(Stats(), Counts)
        except (TimeoutError, LostError, UnavailableError) as error:
            log.warning("the data plane's process: %s", str(error) or "no answer")
            link.close()
            self._unlink(link)

    async def _restored(self) -> Link:
        """A connection to a process that holds what is wanted, and nothing that was dropped in vain meanwhile."""
        pauses = iter(RETRY)
        while True:
            try:
                link = await self._found() or await self._started()
                held = await _held(link)
                if (wanted := self.wanted()) is not None:
                    with suppress(LinkspanError):  # what is refused was logged there, and keeps nobody waiting
                        await link.change(list(wanted.values()), [key for key in held if key not in wanted])
                return link
            except (LinkspanError, LostError, OSError) as error:
                log.error("the data plane's process cannot be started: %s", error)
            await asyncio.sleep(next(pauses, RETRY[-1]))

    async def _found(self) -> Link | None:
        """The process there is, if it is of use; of other code, it is replaced."""
        end = starting.connect(self._place)
        if end is None:
            return None
        link = self._linked_by(Link(end))
        leased: Sequence[int] = ()
        try:
            async with asyncio.timeout(GREETING):
                welcome, _ = await link.ask(Hello(PROTOCOL, self._build), Welcome)
                if (welcome.protocol, welcome.build) == (PROTOCOL, self._build):
                    return link
                log.info("the data plane's process %d is of another version: it is replaced", welcome.pid)
                _, leased = await link.ask(Lease(), Done)
                held = await link.take()
        except (TimeoutError, LostError, UnavailableError) as error:
            log.warning("the data plane's process cannot be talked to, and is ended: %s", str(error) or "no answer")
            close_all(leased)  # or the lock would be kept from its successor by ourselves
            link.close()
            return None
        try:
            return await self._succeed(link, leased[0], held)
        finally:
            close_all(leased)
            _close(held)
            link.close()

    async def _succeed(self, old: Link, lock: int, held: Held) -> Link:
        """A new process with everything that the old one holds; then the old one retires.

        For a moment both serve, so there is none at which nobody does. Should we be gone by then, the old one finds
        that its path is another's, and retires by itself.
        """
        new = await self._greeted(lock)
        with suppress(LinkspanError):
            await new.change(list(held.values()), ())
        try:
            async with asyncio.timeout(GREETING):
                await old.ask(Retire(), Done)
        except (TimeoutError, LostError, UnavailableError) as error:
            log.warning("the data plane's old process does not answer: %s", str(error) or "too late")
        return new

    async def _started(self) -> Link:
        """A new process, which holds nothing."""
        lock = await starting.take_lock(self._place)
        try:
            return await self._greeted(lock)
        finally:
            os.close(lock)

    async def _greeted(self, lock: int) -> Link:
        end = await starting.start(self._place, lock, self._build, self._spawn, self._extra)
        link = self._linked_by(Link(end))
        try:
            async with asyncio.timeout(PATIENCE):
                await link.ask(Hello(PROTOCOL, self._build), Welcome)
        except (TimeoutError, LostError) as error:
            link.close()
            raise UnavailableError(
                "the data plane's process does not start", hint=f"see {self._place.log} for what it says"
            ) from error
        return link

    def _linked_by(self, link: Link) -> Link:
        """Read what comes over a link until it ends, whatever it is used for."""

        async def read() -> None:
            await link.run()
            self._links.discard(link)
            self._unlink(link)

        self._links.add(link)
        self._tasks.create_task(read(), name="read from the data plane")
        return link


async def _held(link: Link) -> Collection[Key]:
    """What a process holds, if it can be had: with a great many sockets there may be no room for them."""
    try:
        held = await link.take()
    except LinkspanError:
        return ()
    _close(held)
    return held.keys()


def _close(held: Held) -> None:
    for _, descriptors in held.values():
        close_all(descriptors)

"""The data plane's process as seen from its socket: one daemon at a time, requests in order, an end of its own.

Whoever connects last is the daemon; the connection before is closed. The process ends when it is told to (a signal),
when it has retired and its last connection is over, or when it is of no use any more: nobody is connected, and there is
nothing to serve, or nobody could ever connect again because its socket is no longer at its path.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from linkspan.dataplane.channel import Channel, Message, close_all
from linkspan.dataplane.services import Services
from linkspan.dataplane.wire import (
    PROTOCOL,
    Answer,
    Ask,
    Change,
    Counts,
    Done,
    Hello,
    Holding,
    Lease,
    MalformedError,
    Refused,
    Reply,
    Request,
    Retire,
    Stats,
    Take,
    Welcome,
    WireService,
    encode,
    question,
    services,
    traced,
    wired,
)
from linkspan.model.errors import LinkspanError, UnavailableError

log = logging.getLogger(__name__)

PART = 256
"""Services of one answer to `Take`."""
PART_DESCRIPTORS = 4096

PAUSE = 0.1
"""Seconds without accepting when there is no room for one more descriptor."""

_NO_ROOM = Refused(UnavailableError.kind, "the data plane's process has no room for so many open files")

_Sent = tuple[Reply, Sequence[int]]


class Server:
    """Serves `services` to whoever connects to `listener`, which is bound to `path`.

    `lock` is the descriptor of the lock that says that this process has the exec root; `idle_seconds` is how long it
    waits for a daemon before it ends as useless, `grace_seconds` how long it waits for answers when it has retired.
    """

    def __init__(
        self,
        services: Services,
        listener: socket.socket,
        path: Path,
        *,
        build: str,
        lock: int,
        idle_seconds: float,
        grace_seconds: float,
    ) -> None:
        listener.setblocking(False)
        self._services = services
        self._listener = listener
        self._path = path
        self._build = build
        self._lock = lock
        self._idle_seconds = idle_seconds
        self._grace_seconds = grace_seconds
        self._at_start = _identity(path)
        self._tasks = asyncio.TaskGroup()
        self._reserve: int | None = None
        """A descriptor to give up, so that a daemon is heard however many connections there are: it would end us."""
        self._keep_reserve()
        self._daemon: Channel | None = None
        self._connections = 0
        self._retired = asyncio.Event()
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End `run` now."""
        self._ended.set()

    async def run(self) -> None:
        """Serve until the end, as above."""
        async with self._tasks as tasks:
            running = [tasks.create_task(self._end_when_useless()), tasks.create_task(self._end_when_retired())]
            self._listen()
            await self._ended.wait()
            self._stop_listening()
            for task in running:
                task.cancel()
            if self._daemon is not None:
                self._daemon.close()
            if self._reserve is not None:
                os.close(self._reserve)

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Take a connection; the one before ends."""
        if (end := self._accepted()) is None:
            return
        if self._daemon is not None:
            log.info("another daemon has come")
            self._daemon.close()
        self._daemon = Channel(end)
        self._connections += 1
        self._tasks.create_task(self._attend(self._daemon), name=f"daemon {self._connections}")

    def _accepted(self) -> socket.socket | None:
        try:
            return self._listener.accept()[0]
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:  # no room for one more descriptor
            log.warning("the connection of a daemon cannot be accepted: %s", error.strerror)
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
            return self._accepted()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        loop.call_later(PAUSE, self._listen)
        return None

    def _keep_reserve(self) -> None:
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _stop_listening(self) -> None:
        """Nobody can connect any more, and another process may have the exec root."""
        if self._listener.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        if self._reachable():
            self._path.unlink()
        os.close(self._lock)

    def _reachable(self) -> bool:
        """Whether the socket at the path is still ours."""
        return self._at_start is not None and _identity(self._path) == self._at_start

    async def _attend(self, channel: Channel) -> None:
        """Answer one connection until it ends."""
        try:
            async with asyncio.TaskGroup() as asking:
                while (message := await channel.receive()) is not None:
                    await self._answer(channel, message, asking)
                    await asyncio.sleep(0)  # a busy daemon does not keep the services waiting
        except* MalformedError as errors:
            log.warning("the connection of a daemon is closed: %s", errors.exceptions[0])
        except* OSError as errors:
            log.info("the connection of a daemon has ended: %s", errors.exceptions[0])
        finally:
            channel.close()
            self._keep_reserve()
            if self._daemon is channel:
                self._daemon = None

    async def _answer(self, channel: Channel, message: Message, asking: asyncio.TaskGroup) -> None:
        try:
            asked = question(message.data)
        except MalformedError:
            message.close()
            raise
        if isinstance(asked.body, Ask):
            message.close()
            asking.create_task(self._trace(channel, asked.number, asked.body), name=f"trace {asked.body.name}")
            return
        if message.whole:
            reply, descriptors = self._perform(asked.body, message.descriptors)
        else:
            message.close()
            reply, descriptors = _NO_ROOM, ()
        try:
            await channel.send(encode(Answer(asked.number, reply)), descriptors)
        finally:
            if isinstance(asked.body, Retire):
                self._retired.set()

    def _perform(self, request: Request, descriptors: Sequence[int]) -> _Sent:
        """Do what is asked; the descriptors are taken over. Returns the reply, with descriptors that stay ours."""
        if isinstance(request, Change):
            return self._change(request, descriptors), ()
        close_all(descriptors)
        match request:
            case Hello():
                return Welcome(PROTOCOL, self._build, os.getpid()), ()
            case Lease():
                return Done(), (self._lock,)
            case Take(start=start):
                return self._holding(start)
            case Stats():
                sockets = sum(len(held) for _, held in self._services.held.values())
                return Counts(dict(self._services.counts), sockets), ()
            case _:
                self._retire()
                return Done(), ()

    def _change(self, change: Change, descriptors: Sequence[int]) -> Reply:
        """All of it that can be done, whatever fails; the first failure is reported."""
        try:
            put = services(change.put, descriptors)
        except MalformedError:
            close_all(descriptors)
            raise
        failures: list[Refused] = []
        for key in change.drop:
            self._services.drop(key)
        for service, sockets in put:
            try:
                self._services.put(service, sockets)
            except LinkspanError as error:
                failures.append(Refused(error.kind, error.message))
            except OSError as error:
                failures.append(Refused("unavailable", f"{' '.join(service.key)}: {error.strerror}"))
            except Exception as error:  # a mistake of ours: it must not end what everyone else is served
                log.exception("a service cannot be served, in an unexpected way")
                failures.append(Refused("unavailable", f"{' '.join(service.key)}: {error!r}"))
        for failure in failures:
            log.warning("a service was refused: %s", failure.message)
        return failures[0] if failures else Done()

    def _holding(self, start: int) -> _Sent:
        """The part of what is held that begins at an index."""
        held = self._services.held
        part: list[WireService] = []
        sockets: list[int] = []
        for service, descriptors in islice(held.values(), start, start + PART):
            if part and len(sockets) + len(descriptors) > PART_DESCRIPTORS:
                break
            part.append(wired(service, len(descriptors)))
            sockets.extend(descriptors)
        return Holding(tuple(part), len(held)), sockets

    async def _trace(self, channel: Channel, number: int, ask: Ask) -> None:
        try:
            reply: Reply = traced(await self._services.trace(ask.sandbox, ask.name, ask.record))
        except LinkspanError as error:
            reply = Refused(error.kind, error.message)
        await channel.send(encode(Answer(number, reply)))

    def _retire(self) -> None:
        log.info("retiring: what is under way is finished")
        self._services.retire()
        self._stop_listening()

    async def _end_when_retired(self) -> None:
        await self._retired.wait()
        await asyncio.sleep(self._grace_seconds)
        await self._services.drained()
        log.info("retired, and the last connection is over")
        self.end()

    async def _end_when_useless(self) -> None:
        """Look now and then: an end that comes some seconds late costs nothing."""
        seen = self._connections
        while not self._retired.is_set():
            await asyncio.sleep(self._idle_seconds)
            if self._daemon is None and seen == self._connections:
                if not len(self._services):
                    log.info("nobody needs this process any more")
                    self.end()
                elif not self._reachable():
                    log.warning("%s is no longer the socket of this process", self._path)
                    self._retire()
                    self._retired.set()
            seen = self._connections


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""One connection to the data plane's process: questions with numbers, and the answers that belong to them."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import msgspec

from linkspan.dataplane.channel import Channel, Message, close_all
from linkspan.dataplane.ports import Held
from linkspan.dataplane.wire import (
    DESCRIPTORS,
    Change,
    Done,
    Holding,
    MalformedError,
    Question,
    Refused,
    Reply,
    Request,
    Take,
    WireService,
    answer,
    encode,
    services,
    wired,
)
from linkspan.model.dataplane import Key, Service
from linkspan.model.errors import InvalidError, LinkspanError, NotFoundError, UnavailableError

_KINDS = {error.kind: error for error in (InvalidError, NotFoundError, UnavailableError)}

PART = 256
"""Services of one `Change`: the process serves others between two messages."""
PART_SIZE = 4 * 2**20
"""Bytes, about, of one `Change`."""
PART_KEYS = 4096

Body = TypeVar("Body", bound=Reply)


class LostError(Exception):
    """The connection ended before the answer came."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, and the descriptors that came with it."""

    body: Reply
    descriptors: tuple[int, ...]


class Link:
    """A connection whose `run` reads the answers."""

    def __init__(self, end: socket.socket) -> None:
        self._channel = Channel(end)
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Received]] = {}
        self._lost: str | None = None

    async def run(self) -> str:
        """Read answers until the connection ends; returns why it did."""
        why = "it has closed the connection"
        try:
            while (message := await self._channel.receive()) is not None:
                self._answered(message)
        except (OSError, MalformedError) as error:
            why = str(error)
        finally:
            self._lost = why
            self._channel.close()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(LostError(why))
        return why

    def _answered(self, message: Message) -> None:
        try:
            received = answer(message.data)
        except MalformedError:
            message.close()
            raise
        waiting = self._asked.pop(received.number, None)
        if waiting is None or waiting.done():
            message.close()  # whoever asked has given up
        elif not message.whole:
            message.close()
            waiting.set_exception(UnavailableError("this process has no room for so many open files"))
        else:
            waiting.set_result(Received(received.body, message.descriptors))

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    async def ask(
        self, request: Request, kind: type[Body], descriptors: Sequence[int] = ()
    ) -> tuple[Body, tuple[int, ...]]:
        """The answer to a request, and the descriptors that came with it.

        Raises `LostError`; what the other side refused, as the error that it is; `UnavailableError` for an answer of
        another kind.
        """
        if self._lost is not None:
            raise LostError(self._lost)
        number = next(self._numbers)
        waiting: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._asked[number] = waiting
        try:
            await self._channel.send(encode(Question(number, request)), descriptors)
            received = await waiting
        except OSError as error:
            raise LostError(str(error)) from error
        finally:
            self._asked.pop(number, None)
        if isinstance(received.body, kind):
            return received.body, received.descriptors
        close_all(received.descriptors)
        if isinstance(received.body, Refused):
            raise _KINDS.get(received.body.kind, UnavailableError)(received.body.message)
        raise UnavailableError(f"the data plane's process answers {type(request).__name__} wrongly")

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        """Drop, then add or replace, in as many messages as it takes; all of them, then the first failure is raised."""
        failures: list[LinkspanError] = []
        for change, descriptors in _changes(put, drop):
            try:
                await self.ask(change, Done, descriptors)
            except LinkspanError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def take(self) -> Held:
        """All that is held; the descriptors are the caller's."""
        held: dict[Key, tuple[Service, tuple[int, ...]]] = {}
        try:
            while True:
                part, descriptors = await self.ask(Take(len(held)), Holding)
                held |= {service.key: (service, sockets) for service, sockets in _services(part, descriptors)}
                if not part.services or len(held) >= part.total:
                    return held
        except BaseException:
            for _, sockets in held.values():
                close_all(sockets)
            raise


def _services(part: Holding, descriptors: Sequence[int]) -> Sequence[tuple[Service, tuple[int, ...]]]:
    try:
        return services(part.services, descriptors)
    except MalformedError as error:
        close_all(descriptors)
        raise UnavailableError(f"the data plane's process holds what this daemon does not know: {error}") from error


def _changes(
    put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]
) -> Iterator[tuple[Change, Sequence[int]]]:
    """Messages that are together this change, each within the bounds."""
    for start in range(0, len(drop), PART_KEYS):
        yield Change(drop=tuple(drop[start : start + PART_KEYS])), ()
    part: list[WireService] = []
    sockets: list[int] = []
    size = 0
    for service, descriptors in put:
        each = wired(service, len(descriptors))
        bytes_of_it = len(msgspec.msgpack.encode(each))
        full = len(part) >= PART or size + bytes_of_it > PART_SIZE or len(sockets) + len(descriptors) > DESCRIPTORS
        if part and full:
            yield Change(put=tuple(part)), sockets
            part, sockets, size = [], [], 0
        part.append(each)
        sockets.extend(descriptors)
        size += bytes_of_it
    if part:
        yield Change(put=tuple(part)), sockets

"""The sockets of one name server: datagrams, and streams of questions."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random

from linkspan.dataplane.names.messages import OUR_SIZE, STREAM_SIZE
from linkspan.dataplane.names.responder import Question, Responder
from linkspan.dataplane.names.tasks import Tasks

log = logging.getLogger(__name__)

BATCH = 64
"""Datagrams answered in one go, before others have their turn."""
FORWARDED = 8
"""Those of them that are asked elsewhere, each of which costs the time of some 50 others."""
IDLE_SECONDS = 10.0
"""How long a connection may take for its next question, or for taking an answer."""
CONNECTIONS = 64
"""Of one name server at a time; more are closed at once."""
LONGEST_QUESTION = 4096
_RECEIVE_BUFFER = 1 << 20
_PAUSE = 0.5
Client = tuple[str, int]


class Sockets:
    """The two of one name server, which are taken over: what arrives is answered until they are closed."""

    def __init__(
        self, responder: Responder, udp: socket.socket, tcp: socket.socket, tasks: Tasks, random: Random
    ) -> None:
        self._responder = responder
        self._udp, self._tcp = udp, tcp
        self._tasks = tasks
        self._random = random.random
        self._rows = responder.table.rows
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        self._asking = 0
        self._at_end: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        for each in (udp, tcp):
            each.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._loop.add_reader(udp, self._datagrams)
        self._loop.add_reader(tcp, self._accept)

    def close(self, at_end: Callable[[], None]) -> None:
        """Take no more questions. Those that wait for another server are still answered, then `at_end` is called.

        They end within seconds. Where sockets are shared with another process that serves on, no question is lost.
        """
        self._at_end = at_end
        self._loop.remove_reader(self._udp)
        self._loop.remove_reader(self._tcp)
        self._tcp.close()
        for connection in self._idle:
            connection.cancel()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._at_end is not None and not self._asking and not self._connections:
            self._udp.close()
            self._at_end()
            self._at_end = None

    def _asked(self, _: object) -> None:
        self._asking -= 1
        self._end_if_done()

    def _datagrams(self) -> None:
        """Answer what has arrived. Everything here is done for every question: the table decides within microseconds.

        An answer that the socket does not take is lost, as datagrams may be; its client asks again.
        """
        receive, send, row, random = self._udp.recvfrom, self._udp.sendto, self._rows.get, self._random
        most = self._asking + FORWARDED
        try:
            for _ in range(BATCH):
                data, client = receive(OUR_SIZE)
                if (replies := row(data[2:])) is None:
                    self._other(data, client)
                    if self._asking >= most:
                        return
                    continue
                reply = replies[0] if len(replies) == 1 else replies[int(random() * len(replies))]
                send(data[:2] + reply, client)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                log.debug("name server: %s", error.strerror)

    def _other(self, data: bytes, client: Client) -> None:
        answer = self._responder.datagram(data)
        if isinstance(answer, Question):
            self._asking += 1
            task = self._tasks.start(partial(self._ask, answer, client), "name server forwards")
            task.add_done_callback(self._asked)
        elif answer is not None:
            self._send(answer, client)

    async def _ask(self, question: Question, client: Client) -> None:
        self._send(await self._responder.ask(question), client)

    def _send(self, answer: bytes, client: Client) -> None:
        try:
            self._udp.sendto(answer, client)
        except OSError as error:
            log.debug("name server: %s", error.strerror)

    def _accept(self) -> None:
        try:
            connection, _ = self._tcp.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            log.warning("name server: cannot accept a connection: %s; trying again in %g s", error.strerror, _PAUSE)
            self._loop.remove_reader(self._tcp)
            self._loop.call_later(_PAUSE, self._resume)
            return
        if len(self._connections) >= CONNECTIONS:
            connection.close()
            return
        connection.setblocking(False)
        task = self._tasks.start(partial(self._serve, connection), "name server connection")
        self._connections.add(task)
        task.add_done_callback(partial(self._disconnected, connection))

    def _disconnected(self, connection: socket.socket, task: "asyncio.Task[None]") -> None:
        connection.close()  # nothing to do, unless its task never began
        self._connections.discard(task)
        self._end_if_done()

    def _resume(self) -> None:
        if self._tcp.fileno() >= 0:
            self._loop.add_reader(self._tcp, self._accept)

    async def _serve(self, connection: socket.socket) -> None:
        """Answer questions in their order until the client has no more."""
        reader, writer = await asyncio.open_connection(sock=connection)
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            try:
                await self._converse(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self._udp.fileno() >= 0 and self._at_end is None:
            data = await self._next(reader)
            answer = self._responder.message(data, STREAM_SIZE)
            if isinstance(answer, Question):
                answer = await self._responder.ask(answer)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(2, "big") + answer)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        """The next question; empty, which deserves no answer, when it is too long to be one."""
        task = asyncio.current_task()
        assert task is not None
        self._idle.add(task)
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(2), "big")
                return b"" if length > LONGEST_QUESTION else await reader.readexactly(length)
        finally:
            self._idle.discard(task)

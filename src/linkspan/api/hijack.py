"""Connections that stop being HTTP: attach and exec.

The client asks for an upgrade, the answer is `101 UPGRADED`, and from then on the connection is a raw stream in both
directions, of which each side may close its half. aiohttp closes the whole connection when the client closes its half,
so the transport is handed over to a protocol of our own. What a client sends before it has the head is lost in the
parser of aiohttp, which keeps it for WebSockets only; Docker's clients wait for the head.
"""

import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_LIMIT = 256 * 1024
_CHUNK = 64 * 1024
_HEAD_PAUSE = 0.001
_HEAD_LOOKS = 100
_END_PATIENCE = 1.0
"""Seconds that a client has to close its half once the stream has ended."""


class Hijacked(web.StreamResponse):
    """Stands for an answer that was given by hand: aiohttp writes nothing of it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing: it is written."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the stream has ended already."""
        self._eof_sent = True


class _Takeover(asyncio.StreamReaderProtocol):
    """Reads the stream, and tells aiohttp's protocol when the connection is gone."""

    def __init__(self, reader: asyncio.StreamReader, before: RequestHandler) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._before.connection_lost(error)


class RawStream:
    """A connection without HTTP. Reading gives nothing once the client has closed its half."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._head_is_read = False

    async def read(self) -> bytes:
        """The next bytes from the client."""
        try:
            return await self._reader.read(_CHUNK)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Bytes to the client, as fast as it reads."""
        if not self._head_is_read:
            self._head_is_read = True
            await _head_read(self._writer.get_extra_info("socket"))
        self._writer.write(data)
        await self._writer.drain()


async def _head_read(connection: socket.socket) -> None:
    """Wait a little until the client has read everything: docker-py loses what it reads together with the head."""
    for _ in range(_HEAD_LOOKS):
        unread = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))  # the kernel's SIOCOUTQ (unix(7))
        if not any(unread):
            return
        await asyncio.sleep(_HEAD_PAUSE)


@asynccontextmanager
async def hijacked(request: web.Request, content_type: str) -> AsyncIterator[RawStream]:
    """The raw stream of a request whose body has been read; closed when the block ends."""
    protocol, transport = request.protocol, request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    reader = asyncio.StreamReader(limit=_LIMIT)
    takeover = _Takeover(reader, protocol)
    transport.set_protocol(takeover)
    takeover.connection_made(transport)
    transport.resume_reading()
    writer = asyncio.StreamWriter(transport, takeover, reader, asyncio.get_running_loop())
    try:
        with _noticing_the_end(transport):
            writer.write(_head(request, content_type))
            await writer.drain()
            yield RawStream(reader, writer)
    finally:
        try:
            await _end(reader, writer)
        finally:
            writer.close()


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the stream and let the client close: a Unix socket closed with something unread resets the other side."""
    with suppress(OSError, TimeoutError):
        writer.write_eof()
        async with asyncio.timeout(_END_PATIENCE):
            while await reader.read(_CHUNK):
                pass


@contextmanager
def _noticing_the_end(transport: asyncio.Transport) -> Iterator[None]:
    """Abort the transport when the client has closed both halves.

    Once one half is closed asyncio reads no more, and would notice the end only when it writes: never, for a process
    that says nothing. An epoll set that asks for no event still gets EPOLLHUP, and can be watched like a file itself.
    """
    loop = asyncio.get_running_loop()
    with select.epoll() as ends:
        ends.register(transport.get_extra_info("socket").fileno(), 0)

        def end() -> None:
            loop.remove_reader(ends.fileno())
            transport.abort()

        loop.add_reader(ends.fileno(), end)
        try:
            yield
        finally:
            loop.remove_reader(ends.fileno())


def _head(request: web.Request, content_type: str) -> bytes:
    """`101 UPGRADED` when the client asked for it, else `200 OK` and the stream until the end of the connection."""
    if "Upgrade" not in request.headers:
        return f"HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n\r\n".encode()
    return (
        f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
    )


HEAD = struct.Struct(">BxxxL")
"""The head of a frame: the stream, and the length of the data."""


def frame(stream: int, data: bytes) -> bytes:
    """One frame of a stream that carries both outputs: 1 or 2, three zeros, the length, the data."""
    return HEAD.pack(stream, len(data)) + data

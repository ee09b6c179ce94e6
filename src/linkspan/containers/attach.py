"""A client's hold on the streams of a process.

conmon copies what the process writes to everyone who connects to its attach socket, a packet each: the first byte is
the stream (2 for standard output, 3 for standard error), the rest is data. What is sent to the socket goes to the
standard input, and closing that half closes the input. A client may attach before the process is started; it is
connected after conmon is up and before the first instruction, so it misses nothing.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STREAMS = {2: 1, 3: 2}
_PACKET = 8192 + 1
"""The largest packet conmon sends."""
_CHUNK = 8192


class Attachment:
    """The streams of one client: iterate over `(stream, data)`, with 1 for standard output and 2 for standard error."""

    def __init__(
        self,
        *,
        stdin: bool = True,
        stdout: bool = True,
        stderr: bool = True,
        resize: Callable[[int, int], None],
        closed: Callable[["Attachment"], None] = lambda _: None,
    ) -> None:
        self._stdin = stdin
        self._wanted = {stream for stream, asked in ((1, stdout), (2, stderr)) if asked}
        self._resize = resize
        self._closed = closed
        self._socket: socket.socket | None = None
        self._connected = asyncio.Event()
        self._concluded = asyncio.Event()
        self._said: deque[tuple[int, bytes]] = deque()
        self._users = 0
        self._closing = False

    async def connect(self, bundle: Path) -> None:
        """Connect to the conmon of a bundle; a client that has gone meanwhile is not connected."""
        if self._concluded.is_set():
            return
        directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Through the descriptor, since the whole path may be longer than an address can be.
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{directory}/attach")
            except BaseException:
                connection.close()
                raise
        finally:
            os.close(directory)
        self._socket = connection
        self._connected.set()

    def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._read()

    async def _read(self) -> AsyncIterator[tuple[int, bytes]]:
        await self._connected.wait()
        try:
            while packet := await self._receive():
                stream = _STREAMS.get(packet[0])
                if stream in self._wanted and stream is not None:
                    yield stream, packet[1:]
        finally:
            self._closing = True
            self._close_unused()
        await self._concluded.wait()
        while self._said:
            yield self._said.popleft()

    async def _receive(self) -> bytes:
        with (
            self._in_use() as connection,
            suppress(OSError),
        ):  # closed on the other side with something unread, or by us
            if connection is not None:
                receive = asyncio.get_running_loop().sock_recv
                with suppress(ConnectionResetError):
                    return await receive(connection, _PACKET)
                # conmon has ended with input unread: the kernel tells that once, before what was sent ahead of it
                return await receive(connection, _PACKET)
        return b""

    @contextmanager
    def _in_use(self) -> Iterator[socket.socket | None]:
        """The socket, which is closed only when nobody waits on it: the selector would never wake who does."""
        self._users += 1
        try:
            yield self._socket
        finally:
            self._users -= 1
            self._close_unused()

    def _close_unused(self) -> None:
        if self._closing and not self._users and self._socket is not None:
            self._socket.close()
            self._socket = None

    async def write(self, data: bytes) -> None:
        """Send to the standard input; nothing happens when the process has none, or has ended."""
        await self._connected.wait()
        if not self._stdin:
            return
        with self._in_use() as connection, suppress(OSError):
            if connection is not None:
                for start in range(0, len(data), _CHUNK):
                    await asyncio.get_running_loop().sock_sendall(connection, data[start : start + _CHUNK])

    async def close_stdin(self) -> None:
        """Close the standard input; output goes on."""
        await self._connected.wait()
        if self._stdin and self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    async def resize(self, height: int, width: int) -> None:
        """Tell the terminal its size."""
        await self._connected.wait()
        self._resize(height, width)

    def conclude(self, *said: tuple[int, bytes]) -> None:
        """The process has ended, or never came to be: the stream may end, after `said`."""
        self._said.extend(said)
        self._connected.set()
        self._concluded.set()

    def cut(self) -> None:
        """Take the streams away from the client: conmon must not wait for one that does not read."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._closing = True
        self._close_unused()

    async def close(self) -> None:
        """Let go of the streams; the process goes on."""
        self.conclude()
        self.cut()
        self._closed(self)


def resize(bundle: Path, height: int, width: int) -> None:
    """Tell conmon the size of a terminal; nothing happens when it is gone."""
    tell(bundle, f"1 {height} {width}")


def tell(bundle: Path, order: str) -> bool:
    """Write a line to the control pipe of a conmon; False when nobody reads it."""
    try:
        descriptor = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(descriptor, f"{order}\n".encode()) > 0
    except OSError:
        return False
    finally:
        os.close(descriptor)

"""Messages with descriptors over a Unix socket of packets (SOCK_SEQPACKET).

A packet holds at most 253 descriptors (SCM_MAX_FD of the kernel) and as many bytes as the socket's buffer, but a range
of published ports has thousands, and a zone may be long. So a message is one or more packets: each begins with a byte
that says whether more of the message follows. Both sides bound what one message may grow to.
"""

import array
import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from linkspan.dataplane.wire import DESCRIPTORS, MalformedError

SIZE = 16 * 2**20
"""Most bytes of one message."""

_PACKET = 48 * 1024
"""Bytes of a packet: well below the 208 KiB that the kernel buffers by default."""
_PACKET_DESCRIPTORS = 253
_ANCILLARY = socket.CMSG_SPACE(_PACKET_DESCRIPTORS * array.array("i").itemsize)

_LAST, _MORE = b"\x00", b"\x01"
_FLAGS = socket.MSG_NOSIGNAL


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived. `whole` is false when this process had no room for all the descriptors."""

    data: bytes
    descriptors: tuple[int, ...]
    whole: bool = True

    def close(self) -> None:
        """Close the descriptors."""
        close_all(self.descriptors)


class Channel:
    """One end of a connection. One task receives; any may send."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._sending = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    async def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message; the descriptors stay ours. Raises OSError when the other side is gone.

        To be cancelled half-way ends the connection: what is sent next would be taken for the rest.
        """
        packets = _packets(data, descriptors)
        async with self._sending:
            for number, (packet, some) in enumerate(packets):
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", some))] if some else []
                while not self._sent(packet, rights):
                    try:
                        await self._writable()
                    except asyncio.CancelledError:
                        if number:
                            self.close()
                        raise

    async def receive(self) -> Message | None:
        """The next message, whose descriptors are the caller's; None when the other side has closed.

        Raises `MalformedError` for a message that is none or too large, OSError when the connection is broken.
        """
        data, descriptors, whole = bytearray(), array.array("i"), True
        try:
            while True:
                packet, some, complete = await self._packet()
                descriptors.extend(some)
                if not packet:
                    if data:
                        raise MalformedError("the connection ended within a message")
                    return None
                data += memoryview(packet)[1:]
                whole = whole and complete
                if len(data) > SIZE or len(descriptors) > DESCRIPTORS:
                    raise MalformedError("the message is too large")
                if packet[:1] == _LAST:
                    taken, descriptors = tuple(descriptors), array.array("i")
                    return Message(bytes(data), taken, whole)
        finally:
            close_all(descriptors)

    async def _packet(self) -> tuple[bytes, "array.array[int]", bool]:
        while True:
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(_PACKET + 1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                await self._readable()
                continue
            received = array.array("i")
            for level, kind, raw in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    received.frombytes(raw[: len(raw) - len(raw) % received.itemsize])
            if flags & socket.MSG_TRUNC:
                close_all(received)
                raise MalformedError("a packet is too large")
            return data, received, not flags & socket.MSG_CTRUNC

    def _sent(self, packet: bytes, rights: Sequence[tuple[int, int, "array.array[int]"]]) -> bool:
        try:
            self._socket.sendmsg([packet], rights, _FLAGS)
        except (BlockingIOError, InterruptedError):
            return False
        return True

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        await self._wait(loop.add_reader, loop.remove_reader)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        await self._wait(loop.add_writer, loop.remove_writer)

    async def _wait(self, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]) -> None:
        """Wait for the socket, or for `close`."""
        number = self._socket.fileno()
        if number < 0:
            raise ConnectionResetError("the channel is closed")
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(ready)
        add(number, partial(_wake, ready))
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if self._socket.fileno() >= 0:
                remove(number)

    def close(self) -> None:
        """End the connection; whoever waits for it gets ConnectionResetError."""
        if (number := self._socket.fileno()) < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(number)
        loop.remove_writer(number)
        self._socket.close()
        for ready in self._waiting:
            if not ready.done():
                ready.set_exception(ConnectionResetError("the channel was closed"))


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _packets(data: bytes, descriptors: Sequence[int]) -> list[tuple[bytes, Sequence[int]]]:
    """Cut a message; the bytes and the descriptors are spread over packets independently."""
    if len(data) > SIZE or len(descriptors) > DESCRIPTORS:
        raise ValueError(f"a message of {len(data)} bytes and {len(descriptors)} descriptors is too large")
    count = max(1, -(-len(data) // _PACKET), -(-len(descriptors) // _PACKET_DESCRIPTORS))
    return [
        (
            (_LAST if index == count - 1 else _MORE) + data[index * _PACKET : (index + 1) * _PACKET],
            descriptors[index * _PACKET_DESCRIPTORS : (index + 1) * _PACKET_DESCRIPTORS],
        )
        for index in range(count)
    ]


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def duplicates(descriptors: Sequence[int]) -> tuple[int, ...]:
    """A duplicate of each, all or none. Raises OSError (EMFILE)."""
    made: list[int] = []
    try:
        made.extend(map(os.dup, descriptors))
    except OSError:
        close_all(made)
        raise
    return tuple(made)

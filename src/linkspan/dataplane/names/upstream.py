"""Asking one other server: a datagram from a socket of its own, and a connection when the answer does not fit."""

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from linkspan.dataplane.names.messages import (
    OUR_SIZE,
    Query,
    Rcode,
    answers_to,
    code_of,
    is_truncated,
    lifetime,
    request,
)

Open = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]
PORT = 53
STREAM_SECONDS = 2.0
_WITHOUT_EDNS = (Rcode.FORMERR, Rcode.NOTIMP)
_SIOCGIFINDEX = 0x8933  # linux/sockios.h; if_nametoindex(3) knows those of this process's namespace only
_INTERFACE = struct.Struct("=16si20x")  # struct ifreq


async def ask(open_socket: Open, server: str, query: Query) -> bytes:
    """The server's answer, whatever it says. Raises OSError when it is unreachable; waits for as long as it is silent.

    Every attempt has a random id, and a socket of its own with a port chosen by the kernel at random; being connected,
    it receives from the server only. Whatever does not answer the question is passed over. A server that does not
    understand OPT is asked again without (RFC 6891 §7).
    """
    answer = await _asked(open_socket, server, query)
    if query.edns is not None and code_of(answer) in _WITHOUT_EDNS:
        return await _asked(open_socket, server, replace(query, edns=None))
    return answer


async def _asked(open_socket: Open, server: str, query: Query) -> bytes:
    message = request(query, int.from_bytes(os.urandom(2), "big"))
    answer = await _datagram(open_socket, server, message)
    if is_truncated(answer):
        with suppress(OSError):  # what came first is an answer too
            async with asyncio.timeout(STREAM_SECONDS):
                return await _stream(open_socket, server, message)
    return answer


async def _datagram(open_socket: Open, server: str, message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with open_socket(_family(server), socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.connect(_address(server, connection))
        connection.send(message)
        while True:
            answer = await loop.sock_recv(connection, OUR_SIZE)
            if _is_sound(message, answer):
                return answer


async def _stream(open_socket: Open, server: str, message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with open_socket(_family(server), socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, _address(server, connection))
        await loop.sock_sendall(connection, len(message).to_bytes(2, "big") + message)
        length = int.from_bytes(await _exactly(connection, 2), "big")
        answer = await _exactly(connection, length)
        if not _is_sound(message, answer):
            raise ConnectionError("the answer is to another question")
        return answer


async def _exactly(connection: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    while len(received) < size:
        part = await loop.sock_recv(connection, size - len(received))
        if not part:
            raise ConnectionError("the server has closed the connection")
        received += part
    return bytes(received)


def _is_sound(message: bytes, answer: bytes) -> bool:
    return answers_to(message, answer) and lifetime(answer) is not None


def _address(server: str, connection: socket.socket) -> tuple[str, int] | tuple[str, int, int, int]:
    """Where to connect. The zone of `fe80::1%eth0`, as routers announce themselves, is an interface beside the socket.

    Raises OSError when there is no such interface.
    """
    address, _, zone = server.partition("%")
    if not zone:
        return server, PORT
    if zone.isdecimal() and len(zone) < 10:
        return address, PORT, 0, int(zone)
    answer = fcntl.ioctl(connection, _SIOCGIFINDEX, _INTERFACE.pack(os.fsencode(zone), 0))
    return address, PORT, 0, _INTERFACE.unpack(answer)[1]


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server else socket.AF_INET

"""An Internet of name servers: real sockets of this machine's loopback, behind addresses that nobody has."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Answering = Callable[[dns.message.Message, bool], dns.message.Message | bytes | None]
"""A server: the question, and whether it came by TCP; None: it is silent."""


def records(*lines: str, authority: str = "", code: dns.rcode.Rcode = dns.rcode.NOERROR) -> Answering:
    """A server that gives everyone the same answer."""

    def answer(question: dns.message.Message, _: bool) -> dns.message.Message:
        response = dns.message.make_response(question, recursion_available=True)
        response.answer += [_rrset(line) for line in lines]
        response.authority += [_rrset(authority)] if authority else []
        response.set_rcode(code)
        return response

    return answer


def failing(code: dns.rcode.Rcode) -> Answering:
    """A server that never has an answer."""
    return records(code=code)


def silent(question: dns.message.Message, by_tcp: bool) -> None:
    """A server that gets everything and says nothing."""


def truncating(answer: Answering) -> Answering:
    """A server that says all of it by TCP only."""

    def shortened(question: dns.message.Message, by_tcp: bool) -> dns.message.Message | bytes | None:
        if by_tcp:
            return answer(question, by_tcp)
        response = dns.message.make_response(question)
        response.flags |= dns.flags.TC
        return response

    return shortened


def _rrset(line: str) -> dns.rrset.RRset:
    name, ttl, cls, kind, data = line.split(maxsplit=4)
    return dns.rrset.from_text(name, int(ttl), cls, kind, data)


@dataclass
class Server:
    """One of them, the questions that reached it, and from which namespaces."""

    answer: Answering
    port: int
    asked: list[dns.message.Message] = field(default_factory=list)
    namespaces: list[int | None] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)


def bound_to_both() -> tuple[socket.socket, socket.socket]:
    """Sockets for datagrams and for streams with the same free port; the latter listens."""
    while True:
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
        except OSError:  # free for datagrams only
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp


class Internet:
    """Makes sockets that reach the servers at their addresses, and nothing else."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.sockets = 0

    def make_socket(
        self, namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind
    ) -> socket.socket:
        self.sockets += 1
        return _Socket(self, namespace, kind)

    @asynccontextmanager
    async def server(self, address: str, answer: Answering) -> AsyncIterator[Server]:
        """A server at an address, for as long as the block lasts."""
        loop = asyncio.get_running_loop()
        udp, tcp = bound_to_both()
        server = Server(answer, tcp.getsockname()[1])
        streams = await asyncio.start_server(lambda r, w: _stream(server, r, w), sock=tcp)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), sock=udp)
        self.servers[address] = server
        try:
            yield server
        finally:
            del self.servers[address]
            transport.close()
            streams.close()


class _Socket(socket.socket):
    def __init__(self, internet: Internet, namespace: int | None, kind: socket.SocketKind) -> None:
        super().__init__(socket.AF_INET, kind)
        self._internet = internet
        self._namespace = namespace

    def connect(self, address: Any) -> None:
        server = self._internet.servers.get(address[0])
        if server is None or address[1] != 53:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        server.namespaces.append(self._namespace)
        super().connect(("127.0.0.1", server.port))


def _answer(server: Server, data: bytes, by_tcp: bool) -> bytes | None:
    question = dns.message.from_wire(data)
    server.asked.append(question)
    server.reached.set()
    answer = server.answer(question, by_tcp)
    return answer.to_wire() if isinstance(answer, dns.message.Message) else answer


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, client: Any) -> None:
        if (answer := _answer(self._server, data, False)) is not None:
            self._transport.sendto(answer, client)


async def _stream(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    if (answer := _answer(server, data, True)) is not None:
        writer.write(len(answer).to_bytes(2, "big") + answer)
    writer.close()

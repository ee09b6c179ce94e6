"""The relay, between sockets of the loopback interface."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest

from linkspan.dataplane.relay.previous import Relay
from linkspan.model.addressing import IPAddress
from linkspan.model.ports import Protocol

HERE = IPv4Address("127.0.0.1")


async def make_socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    return socket.socket(family, kind)


def bound(kind: socket.SocketKind, address: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind((address, 0))
    made.setblocking(False)
    return made


def port_of(made: socket.socket) -> int:
    port: int = made.getsockname()[1]
    return port


@asynccontextmanager
async def tcp_relay(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server behind a relay; gives the relay's port."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, Relay() as relay:
        listener = bound(socket.SOCK_STREAM)
        listener.listen()
        target: tuple[IPAddress, int] = (HERE, port_of(server.sockets[0]))
        await relay.serve(listener, Protocol.TCP, target, make_socket)
        yield port_of(listener)


def test_a_half_closed_connection_still_gets_its_answer() -> None:
    async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1))[::-1])
        writer.close()

    async def ask() -> bytes:
        async with tcp_relay(reverse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"0123456789" * 100_000)
            writer.write_eof()
            answer = await reader.read(-1)
            writer.close()
            return answer

    assert asyncio.run(ask()) == b"9876543210" * 100_000


def test_a_server_that_is_not_there_is_a_reset() -> None:
    async def ask() -> bytes:
        vacant = bound(socket.SOCK_STREAM)
        listener = bound(socket.SOCK_STREAM)
        listener.listen()
        async with Relay() as relay:
            await relay.serve(listener, Protocol.TCP, (HERE, port_of(vacant)), make_socket)
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
            try:
                return await reader.read(1)
            finally:
                writer.close()
                vacant.close()

    with pytest.raises(ConnectionResetError):
        asyncio.run(ask())


def test_leaving_the_relay_ends_connections_under_way() -> None:
    async def ask() -> bytes:
        connected = asyncio.Event()

        async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read(-1)
            writer.close()

        async with tcp_relay(linger) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await connected.wait()
        answer = await reader.read(-1)
        writer.close()
        return answer

    assert asyncio.run(ask()) == b""


@asynccontextmanager
async def udp_relay() -> AsyncIterator[tuple[socket.socket, int]]:
    """A UDP server's socket behind a relay on every address; gives the socket and the relay's port."""
    async with Relay() as relay:
        with bound(socket.SOCK_DGRAM) as server:
            listener = bound(socket.SOCK_DGRAM, "0.0.0.0")
            await relay.serve(listener, Protocol.UDP, (HERE, port_of(server)), make_socket)
            yield server, port_of(listener)


def test_a_datagram_is_answered_from_the_address_it_was_sent_to() -> None:
    async def ask() -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        async with udp_relay() as (server, port):
            with bound(socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.5", port))  # connected: answers from any other address are dropped
                client.send(b"hello")
                asked, peer = await loop.sock_recvfrom(server, 100)
                await loop.sock_sendto(server, b"welcome", peer)
                async with asyncio.timeout(5):
                    return asked, await loop.sock_recv(client, 100)

    assert asyncio.run(ask()) == (b"hello", b"welcome")


def test_each_client_gets_its_own_answers() -> None:
    async def ask() -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with udp_relay() as (server, port):
            with bound(socket.SOCK_DGRAM) as one, bound(socket.SOCK_DGRAM) as two:
                for client, text in ((one, b"one"), (two, b"two")):
                    client.connect(("127.0.0.1", port))
                    client.send(text)
                for _ in range(2):
                    text, peer = await loop.sock_recvfrom(server, 100)
                    await loop.sock_sendto(server, text.upper(), peer)
                async with asyncio.timeout(5):
                    return [await loop.sock_recv(client, 100) for client in (one, two)]

    assert asyncio.run(ask()) == [b"ONE", b"TWO"]


def test_a_port_that_is_no_longer_served_is_free() -> None:
    async def reuse() -> None:
        async with Relay() as relay:
            for kind, protocol in ((socket.SOCK_STREAM, Protocol.TCP), (socket.SOCK_DGRAM, Protocol.UDP)):
                listener = bound(kind)
                number = port_of(listener)
                if protocol is Protocol.TCP:
                    listener.listen()
                port = await relay.serve(listener, protocol, (HERE, 9), make_socket)
                relay.stop(port)
                with socket.socket(socket.AF_INET, kind) as other:
                    other.bind(("127.0.0.1", number))

    asyncio.run(reuse())

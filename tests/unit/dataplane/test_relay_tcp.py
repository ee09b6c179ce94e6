"""The relay's TCP ports, between sockets of the loopback interface."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address

import pytest

from linkspan.dataplane.relay import Relay
from linkspan.dataplane.relay.core import CONNECT_SECONDS
from linkspan.model.dataplane import HostPort
from linkspan.model.errors import UnavailableError
from linkspan.model.ports import PortRange, Protocol
from tests.support.patience import PATIENCE
from tests.support.relays import (
    HERE,
    Carried,
    bound,
    carried,
    host_port,
    make_socket,
    narrowed,
    port_of,
    read_all,
    reset,
    until,
)

MOST_BUFFERED = 4 << 20
"""Bytes: more than fit into four sockets with buffers of 64 KiB (which the kernel doubles) and a pipe."""
Story = Callable[[Carried], Awaitable[None]]


def told(story: Story) -> None:
    """Run a story with a server behind a relay."""

    async def whole() -> None:
        async with carried(socket.SOCK_STREAM) as place:
            await story(place)

    asyncio.run(whole())


def test_a_request_is_carried_to_the_server_and_its_answer_back() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        with client, server:
            await loop.sock_sendall(client, b"question")
            assert await loop.sock_recv(server, 100) == b"question"
            await loop.sock_sendall(server, b"answer")
            assert await loop.sock_recv(client, 100) == b"answer"

    told(story)


def test_a_server_may_speak_first() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        with client, server:
            await loop.sock_sendall(server, b"220 ready")
            assert await loop.sock_recv(client, 100) == b"220 ready"

    told(story)


@pytest.mark.slow
def test_a_server_may_speak_first_as_soon_as_a_late_connection_is_made() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        place.server.listen(0)
        with socket.create_connection((HERE, port_of(place.server))), socket.socket() as client:
            client.connect((HERE, place.port))
            client.setblocking(False)
            await until(lambda: place.relay.in_flight == 1)
            place.server.settimeout(PATIENCE)
            place.server.accept()[0].close()
            server, _ = place.server.accept()  # the SYN sent again; the relay gets no turn before the greeting is there
            with server:
                server.sendall(b"220 ready")
                assert await loop.sock_recv(client, 100) == b"220 ready"

    told(story)


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_side_that_has_ended_still_hears_the_other(first: str) -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        with client, server:
            ended, other = (client, server) if first == "client" else (server, client)
            ended.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(other, 1) == b""
            await loop.sock_sendall(other, b"still here")
            other.shutdown(socket.SHUT_WR)
            assert await read_all(ended) == b"still here"

    told(story)


def test_a_client_that_has_ended_before_the_server_accepts_is_answered() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        with socket.create_connection((HERE, place.port)) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            server, _ = await loop.sock_accept(place.server)
            with server:
                assert await read_all(server) == b"question"
                await loop.sock_sendall(server, b"answer")
            assert await read_all(client) == b"answer"

    told(story)


def test_megabytes_in_both_directions_at_once_arrive_unchanged() -> None:
    there, back = os.urandom(6 << 20), os.urandom(5 << 20)

    async def send(side: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(side, data)
        side.shutdown(socket.SHUT_WR)

    async def story(place: Carried) -> None:
        client, server = await place.connection()
        with client, server:
            async with asyncio.TaskGroup() as group:
                group.create_task(send(client, there))
                group.create_task(send(server, back))
                at_server = group.create_task(read_all(server))
                at_client = group.create_task(read_all(client))
            assert sha256(at_server.result()).digest() == sha256(there).digest()
            assert sha256(at_client.result()).digest() == sha256(back).digest()

    told(story)


@pytest.mark.slow
def test_a_slow_reader_holds_the_sender_back_and_gets_everything() -> None:
    async def send_until_held_back(side: socket.socket) -> int:
        loop, sent = asyncio.get_running_loop(), 0
        try:
            while sent < MOST_BUFFERED:
                async with asyncio.timeout(0.3):
                    await loop.sock_sendall(side, bytes(1 << 16))
                sent += 1 << 16
        except TimeoutError:
            pass
        return sent

    async def whole() -> None:
        async with carried(socket.SOCK_STREAM, buffers=1 << 16) as place:
            client, server = await place.connection()
            with narrowed(client, 1 << 16), narrowed(server, 1 << 16):
                sent = await send_until_held_back(server)
                assert sent < MOST_BUFFERED
                server.shutdown(socket.SHUT_WR)
                assert sent <= len(await read_all(client)) <= sent + (1 << 16)

    asyncio.run(whole())


@pytest.mark.slow
def test_small_pieces_for_a_reader_that_is_busy_are_kept() -> None:
    piece = b"0123456789" * 100

    async def send_until_held_back(side: socket.socket) -> bytes:
        sent = bytearray()
        with suppress(BlockingIOError):
            while True:
                sent += piece[: side.send(piece)]
                await asyncio.sleep(0)  # each is carried alone
        return bytes(sent)

    async def story(place: Carried) -> None:
        place.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        client, server = await place.connection()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        with client, server:
            sent = await send_until_held_back(client)
            client.shutdown(socket.SHUT_WR)
            heard = await read_all(server)
            assert len(heard) == len(sent)
            assert sha256(heard).digest() == sha256(sent).digest()

    told(story)


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_reset_is_passed_on_as_a_reset(first: str) -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        broken, other = (client, server) if first == "client" else (server, client)
        with other:
            reset(broken)
            with pytest.raises(ConnectionResetError):
                await loop.sock_recv(other, 1)
        await place.relay.drained()

    told(story)


def test_a_reset_reaches_a_server_that_reads_nothing() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        with server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await loop.sock_sendall(client, bytes(64 << 20))
            reset(client)
            await place.relay.drained()
            with pytest.raises(ConnectionResetError):
                await read_all(server)

    told(story)


def test_a_server_that_is_not_there_is_a_reset_and_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def story(place: Carried) -> None:
        place.server.close()
        with socket.create_connection((HERE, place.port)) as client:
            client.setblocking(False)
            with pytest.raises(ConnectionResetError):
                await asyncio.get_running_loop().sock_recv(client, 1)

    with caplog.at_level(logging.INFO):
        told(story)
    assert caplog.text == ""


def test_a_server_that_does_not_answer_is_a_reset_in_the_end() -> None:
    now = 1000.0

    async def whole() -> None:
        nonlocal now
        async with carried(socket.SOCK_STREAM, clock=lambda: now) as place:
            place.server.listen(0)  # what is left in the queue makes the kernel drop every SYN from now on
            with socket.create_connection((HERE, port_of(place.server))), socket.socket() as client:
                client.connect((HERE, place.port))
                client.setblocking(False)
                await until(lambda: place.relay.in_flight == 1)
                now += CONNECT_SECONDS - 0.1
                place.relay.tick()
                assert place.relay.in_flight == 1
                now += 0.1
                place.relay.tick()
                with pytest.raises(ConnectionResetError):
                    await asyncio.get_running_loop().sock_recv(client, 1)

    asyncio.run(whole())


def test_connections_outlive_their_port_and_are_waited_for() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, server = await place.connection()
        place.served.close()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HERE, place.port))
        drained = loop.create_task(place.relay.drained())
        with client, server:
            await loop.sock_sendall(client, b"question")
            assert await loop.sock_recv(server, 100) == b"question"
            assert not drained.done()
        await drained

    told(story)


def test_a_relay_without_connections_is_drained() -> None:
    async def story(place: Carried) -> None:
        await place.relay.drained()

    told(story)


def test_leaving_the_relay_resets_connections_under_way() -> None:
    async def ask() -> None:
        async with carried(socket.SOCK_STREAM) as place:
            client, server = await place.connection()
        with client, server, pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(client, 1)

    asyncio.run(ask())


def test_a_port_without_target_is_held_and_never_accepted_from() -> None:
    async def story() -> None:
        async with Relay(make_socket) as relay:
            listener = bound(socket.SOCK_STREAM)
            with (
                socket.create_connection(listener.getsockname()),
                socket.socket(fileno=os.dup(listener.fileno())) as same,
            ):
                served = relay.serve(host_port(listener, None), [listener.detach()])
                for _ in range(3):
                    await asyncio.sleep(0)
                same.setblocking(False)
                async with asyncio.timeout(PATIENCE):
                    accepted, _ = await asyncio.get_running_loop().sock_accept(same)
                accepted.close()
                served.close()

    asyncio.run(story())


def test_a_new_target_is_for_new_connections() -> None:
    async def story(place: Carried) -> None:
        loop = asyncio.get_running_loop()
        client, old = await place.connection()
        with bound(socket.SOCK_STREAM) as elsewhere, client, old:
            relay = (ip_address(HERE), PortRange(port_of(elsewhere), port_of(elsewhere)))
            place.served.retarget(
                HostPort(Protocol.TCP, place.value.address, place.value.ports, place.value.owner, relay)
            )
            with socket.create_connection((HERE, place.port)) as second:
                new, _ = await loop.sock_accept(elsewhere)
                with new:
                    second.sendall(b"new")
                    assert await loop.sock_recv(new, 10) == b"new"
            await loop.sock_sendall(client, b"old")
            assert await loop.sock_recv(old, 10) == b"old"

    told(story)


def test_a_range_is_carried_port_for_port() -> None:
    async def story() -> None:
        with bound(socket.SOCK_STREAM) as last:
            listeners = [bound(socket.SOCK_STREAM), bound(socket.SOCK_STREAM)]
            target = PortRange(port_of(last) - 1, port_of(last))
            async with Relay(make_socket) as relay, asyncio.timeout(PATIENCE):
                value = HostPort(Protocol.TCP, ip_address(HERE), PortRange(1, 2), "test", (ip_address(HERE), target))
                number = port_of(listeners[1])
                relay.serve(value, [listener.detach() for listener in listeners])
                with socket.create_connection((HERE, number)):
                    (await asyncio.get_running_loop().sock_accept(last))[0].close()

    asyncio.run(story())


def test_sctp_is_held_but_not_relayed() -> None:
    async def story() -> None:
        async with Relay(make_socket) as relay:
            address, ports = ip_address(HERE), PortRange(9, 9)
            with pytest.raises(UnavailableError):
                relay.serve(HostPort(Protocol.SCTP, address, ports, "test", (address, ports)), [])

    asyncio.run(story())


@pytest.mark.parametrize("host", [HERE, "::1"])
def test_the_server_is_told_who_its_client_is_when_it_asked_for_that(host: str) -> None:
    async def story() -> tuple[bytes, int, int]:
        async with carried(socket.SOCK_STREAM, host, proxy_protocol=True) as place:
            client, server = await place.connection()
            with client, server:
                await asyncio.get_running_loop().sock_sendall(client, b"hello")
                client.shutdown(socket.SHUT_WR)
                return await read_all(server), port_of(client), place.port

    data, client, here = asyncio.run(story())
    family, address = (b"\x11\x00\x0c", ip_address(host)) if host == HERE else (b"\x21\x00\x24", ip_address(host))
    ports = client.to_bytes(2) + here.to_bytes(2)
    assert data == b"\r\n\r\n\0\r\nQUIT\n\x21" + family + 2 * address.packed + ports + b"hello"

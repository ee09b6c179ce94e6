"""The relay between two computers: a machine that it listens on, and a sandbox behind a wire."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from linkspan.dataplane.relay import Relay
from linkspan.lab.hosts import Lab, lab
from linkspan.model.addressing import IPAddress
from linkspan.model.dataplane import HostPort
from linkspan.model.ports import PortRange, Protocol
from linkspan.wiring import open_kernel
from tests.support.packets import Site
from tests.support.patience import PATIENCE
from tests.support.relays import read_all

PORT, SERVER_PORT = PortRange(8080, 8080), PortRange(80, 80)
NOWHERE = ip_address("198.51.100.1")


@dataclass(frozen=True)
class Wire:
    """A relay on a machine, and the sandbox."""

    relay: Relay
    machine: Site
    sandbox: Site
    lan: Lab

    def serve(self, protocol: Protocol, host: str, target: IPAddress, *, proxy_protocol: bool = False) -> None:
        """Relay a port of the machine."""
        address = ip_address(host)
        value = HostPort(protocol, address, PORT, "test", (target, SERVER_PORT), proxy_protocol)
        listener = listen(self.machine, protocol, host, PORT.first)
        self.relay.serve(value, [listener.detach()])


def kind_of(protocol: Protocol) -> socket.SocketKind:
    return socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM


def listen(site: Site, protocol: Protocol, host: str, port: int) -> socket.socket:
    made = site.socket(ip_address(host).version, kind_of(protocol))
    made.bind((host, port))
    if protocol is Protocol.TCP:
        made.listen()
    return made


@asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    async with lab(open_kernel) as lan, asyncio.timeout(PATIENCE):
        machine, sandbox = Site("machine", lan.machine.namespace), Site("sandbox", lan.neighbour.namespace)

        def make(_namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
            return machine.socket(4 if family == socket.AF_INET else 6, kind)

        async with Relay(make) as relay:
            yield Wire(relay, machine, sandbox, lan)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_tcp_is_carried_between_all_families(host: str, version: int) -> None:
    loop = asyncio.get_running_loop()
    async with wire() as place:
        target = place.lan.neighbour.v4 if version == 4 else place.lan.neighbour.v6
        with listen(place.sandbox, Protocol.TCP, "0.0.0.0" if version == 4 else "::", SERVER_PORT.first) as server:
            place.serve(Protocol.TCP, host, target)
            with place.machine.socket(ip_address(host).version, socket.SOCK_STREAM) as client:
                await loop.sock_connect(client, (host, PORT.first))
                accepted, peer = await loop.sock_accept(server)
                with accepted:
                    await loop.sock_sendall(client, b"question")
                    client.shutdown(socket.SHUT_WR)
                    assert await read_all(accepted) == b"question"
                    await loop.sock_sendall(accepted, b"answer")
                assert await read_all(client) == b"answer"
        machine = place.lan.machine
        assert peer[0] == str(machine.v4 if version == 4 else machine.v6)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_udp_is_carried_between_all_families(host: str, version: int) -> None:
    loop = asyncio.get_running_loop()
    async with wire() as place:
        target = place.lan.neighbour.v4 if version == 4 else place.lan.neighbour.v6
        with listen(place.sandbox, Protocol.UDP, "0.0.0.0" if version == 4 else "::", SERVER_PORT.first) as server:
            place.serve(Protocol.UDP, host, target)
            with place.machine.socket(ip_address(host).version, socket.SOCK_DGRAM) as client:
                client.connect((host, PORT.first))
                client.send(b"question")
                question, source = await loop.sock_recvfrom(server, 100)
                server.sendto(b"answer to " + question, source)
                assert await loop.sock_recv(client, 100) == b"answer to question"


async def test_ipv4_clients_of_a_udp_port_of_both_families_are_answered_from_where_they_asked() -> None:
    loop = asyncio.get_running_loop()
    async with wire() as place:
        machine, neighbour = place.lan.machine, place.lan.neighbour
        with listen(place.sandbox, Protocol.UDP, "0.0.0.0", SERVER_PORT.first) as server:
            place.serve(Protocol.UDP, "::", neighbour.v4)
            for site, address in (
                (place.machine, "127.0.0.1"),
                (place.machine, str(machine.v4)),
                (place.sandbox, str(machine.v4)),
            ):
                with site.socket(4, socket.SOCK_DGRAM) as client:
                    client.connect((address, PORT.first))
                    client.send(b"question")
                    _, source = await loop.sock_recvfrom(server, 100)
                    server.sendto(b"answer", source)
                    assert await loop.sock_recv(client, 100) == b"answer"


async def test_the_server_is_told_the_real_client_over_another_family() -> None:
    loop = asyncio.get_running_loop()
    async with wire() as place:
        with listen(place.sandbox, Protocol.TCP, "0.0.0.0", SERVER_PORT.first) as server:
            machine, neighbour = place.lan.machine, place.lan.neighbour
            place.serve(Protocol.TCP, "::", neighbour.v4, proxy_protocol=True)
            with place.sandbox.socket(6, socket.SOCK_STREAM) as client:
                await loop.sock_connect(client, (str(machine.v6), PORT.first))
                port = client.getsockname()[1]
                accepted, _ = await loop.sock_accept(server)
                with accepted:
                    head = await loop.sock_recv(accepted, 52)
            ends = neighbour.v6.packed + machine.v6.packed + port.to_bytes(2) + PORT.first.to_bytes(2)
            assert head == b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x21\x00\x24" + ends


async def test_a_sandbox_without_a_route_is_a_reset() -> None:
    loop = asyncio.get_running_loop()
    async with wire() as place:
        await place.machine.run("ip", "route", "add", "unreachable", f"{NOWHERE}/32")
        place.serve(Protocol.TCP, "127.0.0.1", NOWHERE)

        async def call(client: socket.socket) -> bytes:
            await loop.sock_connect(client, ("127.0.0.1", PORT.first))
            return await loop.sock_recv(client, 1)

        with place.machine.socket(4, socket.SOCK_STREAM) as client, pytest.raises(ConnectionResetError):
            await call(client)

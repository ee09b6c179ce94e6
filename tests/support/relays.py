"""A relay between sockets of the loopback interface, and the two ends of what it carries."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from linkspan.dataplane.relay import Relay, Served
from linkspan.model.dataplane import HostPort
from linkspan.model.ports import PortRange, Protocol
from tests.support.patience import PATIENCE

HERE = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def make_socket(_namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A socket of the process's own namespace."""
    return socket.socket(family, kind)


def bound(kind: socket.SocketKind, address: str = HERE) -> socket.socket:
    """A socket that does not block, on any free port; it listens if it can."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if kind is socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, 0))
    made.setblocking(False)
    if kind is socket.SOCK_STREAM:
        made.listen(1024)
    return made


def port_of(made: socket.socket) -> int:
    """The port it is bound to."""
    port: int = made.getsockname()[1]
    return port


def host_port(listener: socket.socket, target: int | None, *, proxy_protocol: bool = False) -> HostPort:
    """The value for a listener whose target is a port of 127.0.0.1."""
    protocol = Protocol.TCP if listener.type is socket.SOCK_STREAM else Protocol.UDP
    address, port = listener.getsockname()[:2]
    relay = None if target is None else (ip_address(HERE), PortRange(target, target))
    return HostPort(protocol, ip_address(address), PortRange(port, port), "test", relay, proxy_protocol)


@dataclass(frozen=True)
class Carried:
    """A listener served by a relay, and the socket behind it."""

    relay: Relay
    served: Served
    port: int
    server: socket.socket
    value: HostPort

    async def connection(self) -> tuple[socket.socket, socket.socket]:
        """A client's socket, connected, and the one that the server has accepted."""
        loop = asyncio.get_running_loop()
        client = socket.socket(self.family)
        client.setblocking(False)
        await loop.sock_connect(client, (str(self.value.address), self.port))
        accepted, _ = await loop.sock_accept(self.server)
        return client, accepted

    async def asked(self, client: socket.socket, data: bytes) -> tuple[bytes, tuple[str, int]]:
        """Send a datagram; what arrives at the server, and from where."""
        loop = asyncio.get_running_loop()
        client.send(data)
        arrived: tuple[bytes, tuple[str, int]] = await loop.sock_recvfrom(self.server, 1 << 16)
        return arrived

    @property
    def family(self) -> socket.AddressFamily:
        """Of the listener."""
        return socket.AF_INET6 if self.value.address.version == 6 else socket.AF_INET


@asynccontextmanager
async def carried(
    kind: socket.SocketKind,
    host: str = HERE,
    *,
    proxy_protocol: bool = False,
    clock: Callable[[], float] = time.monotonic,
    buffers: int = 0,
) -> AsyncIterator[Carried]:
    """A server's socket behind a relay, whose sockets have buffers of so many bytes, or as the kernel grows them."""

    def make(namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        return narrowed(make_socket(namespace, family, kind), buffers)

    async with Relay(make, clock) as relay, asyncio.timeout(PATIENCE):
        with bound(kind) as server:
            listener = narrowed(bound(kind, host), buffers)
            port, value = port_of(listener), host_port(listener, port_of(server), proxy_protocol=proxy_protocol)
            yield Carried(relay, relay.serve(value, [listener.detach()]), port, server, value)


def narrowed(made: socket.socket, buffers: int) -> socket.socket:
    """The socket, with buffers of so many bytes each way; what it accepts has them too. 0: as they were."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF) if buffers else ():
        made.setsockopt(socket.SOL_SOCKET, option, buffers)
    return made


async def read_all(source: socket.socket) -> bytes:
    """Everything up to the end."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while piece := await loop.sock_recv(source, 1 << 18):
        data += piece
    return bytes(data)


def reset(side: socket.socket) -> None:
    """Close with a reset."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    side.close()


async def until(holds: Callable[[], bool]) -> None:
    """Let the event loop run until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - there is no event for what the relay has seen of its sockets
            await asyncio.sleep(0)

"""The userland proxy: carries to a sandbox the connections that NAT does not.

With Docker's iptables layout that is traffic to the host's loopback, and traffic from a bridge to a port published by
a sandbox of the same bridge; with nftables there is none. One relay serves every such port. The listening sockets come
from outside (they are also what reserves the port), and so does the maker of outgoing sockets, because a socket belongs
for ever to the namespace it was created in.
"""

import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol as Interface

from linkspan.model.addressing import IPAddress
from linkspan.model.ports import Protocol

log = logging.getLogger(__name__)

Target = tuple[IPAddress, int]
MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind], Awaitable[socket.socket]]

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]

CHUNK = 64 * 1024
CONNECT_SECONDS = 10.0
UDP_IDLE_SECONDS = 90.0
"""A UDP client that has been silent for so long is forgotten (the docker-proxy's figure)."""
UDP_CLIENTS = 4096
"""Clients one UDP port remembers; beyond that, datagrams of new ones are dropped until others have expired."""

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50  # linux/in.h, linux/in6.h; Python 3.11 lacks the first
RECEIVE_V4 = (socket.IPPROTO_IP, IP_PKTINFO)
RECEIVE_V6 = (socket.IPPROTO_IPV6, IPV6_RECVPKTINFO)


class Served(Interface):
    """A port being served."""

    def close(self) -> None: ...


class Relay:
    """Serves listening sockets by forwarding to sandboxes. A context: leaving it ends all service."""

    def __init__(self) -> None:
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> "Relay":
        await self._tasks.__aenter__()
        self._ports: set[Served] = set()
        self._connections: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *error: object) -> None:
        for port in list(self._ports):
            self.stop(port)
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._tasks.__aexit__(None, None, None)

    async def serve(
        self, listener: socket.socket, protocol: Protocol, target: Target, make_socket: MakeSocket
    ) -> Served:
        """Forward what arrives at `listener` (bound, and listening for TCP) to `target` until stopped.

        The listener is taken over: stopping closes it. `make_socket` makes the outgoing sockets.
        """
        family = socket.AF_INET6 if target[0].version == 6 else socket.AF_INET
        listener.setblocking(False)
        if protocol is Protocol.TCP:
            connect = partial(_connect, partial(make_socket, family, socket.SOCK_STREAM), target)
            port: Served = await asyncio.start_server(partial(self._connection, connect), sock=listener)
        else:
            udp = UdpPort(listener, partial(make_socket, family, socket.SOCK_DGRAM), target)
            port = UdpService(self._tasks.create_task(udp.run(), name=f"relay {target[0]}:{target[1]}/udp"), listener)
        self._ports.add(port)
        return port

    async def _connection(self, connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection, in the task that the server made for it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        await _carry(connect, reader, writer)

    def stop(self, port: Served) -> None:
        """End the service of one port; connections under way live on."""
        self._ports.discard(port)
        port.close()


async def _carry(connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One TCP connection: both directions, half-close passed on, the faster side held back by the slower."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            far_reader, far_writer = await connect()
    except (OSError, TimeoutError) as error:
        log.info("relay: cannot reach the sandbox: %s", error)
        _reset(writer)
        return
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_copy(reader, far_writer), name="relay towards the sandbox")
            directions.create_task(_copy(far_reader, writer), name="relay towards the client")
    except* OSError:
        # A reset on one side is passed on as a reset of the other.
        _reset(writer)
        _reset(far_writer)
    finally:
        writer.close()
        far_writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a port does behind which nothing is."""
    # The socket asyncio hands out is a stand-in for the real one, and is missing once the transport is closed.
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _connect(make_socket: Callable[[], Awaitable[socket.socket]], target: Target) -> Streams:
    outgoing = await make_socket()
    try:
        outgoing.setblocking(False)
        await asyncio.get_running_loop().sock_connect(outgoing, (str(target[0]), target[1]))
        return await asyncio.open_connection(sock=outgoing)
    except BaseException:
        outgoing.close()
        raise


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class UdpService:
    """A UDP port that is being served, by its task."""

    def __init__(self, task: "asyncio.Task[None]", listener: socket.socket) -> None:
        self._task = task
        self._listener = listener

    def close(self) -> None:
        """The port is free when this returns; the task ends soon after."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._task.cancel()


class UdpPort:
    """One UDP port: a socket per client towards the sandbox, replies from the address the client spoke to.

    The reply's source matters on a socket bound to every address: without `IP_PKTINFO` the kernel picks the address of
    the outgoing interface, and the client drops the answer.
    """

    def __init__(
        self, listener: socket.socket, make_socket: Callable[[], Awaitable[socket.socket]], target: Target
    ) -> None:
        self._listener = listener
        self._make_socket = make_socket
        self._target = (str(target[0]), target[1])
        self._clients: dict[Client, socket.socket] = {}
        self._heard: dict[Client, float] = {}
        listener.setsockopt(*(RECEIVE_V6 if listener.family == socket.AF_INET6 else RECEIVE_V4), 1)

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as replies:
                while True:
                    await _readable(self._listener)
                    with suppress(OSError):  # an ICMP error of an earlier reply, or nothing to read after all
                        data, ancillary, _, peer = self._listener.recvmsg(CHUNK, 64)
                        client = (peer, _spoken_to(ancillary))
                        if client not in self._clients:
                            await self._welcome(client, replies)
                        self._heard[client] = loop.time()
                        self._clients[client].send(data)
        finally:
            self._listener.close()

    async def _welcome(self, client: "Client", replies: asyncio.TaskGroup) -> None:
        if len(self._clients) >= UDP_CLIENTS:
            raise OSError(errno.ENOBUFS, "too many clients")
        outgoing = await self._make_socket()
        outgoing.setblocking(False)
        outgoing.connect(self._target)
        self._clients[client] = outgoing
        replies.create_task(self._answer(client, outgoing), name="relay replies")

    async def _answer(self, client: "Client", outgoing: socket.socket) -> None:
        """Pass replies to a client until both sides have been silent for long enough."""
        loop = asyncio.get_running_loop()
        peer, ancillary = client
        try:
            while (left := self._heard.get(client, loop.time()) + UDP_IDLE_SECONDS - loop.time()) > 0:
                with suppress(TimeoutError, OSError):
                    async with asyncio.timeout(left):
                        data = await loop.sock_recv(outgoing, CHUNK)
                    self._heard[client] = loop.time()
                    self._listener.sendmsg([data], ancillary, 0, peer)
        finally:
            del self._clients[client]
            self._heard.pop(client, None)
            outgoing.close()


Ancillary = tuple[tuple[int, int, bytes], ...]
Client = tuple[tuple[str, int], Ancillary]
"""Where a client sends from, and the ancillary data that makes a reply come from where it sent to."""


def _spoken_to(ancillary: list[tuple[int, int, bytes]]) -> Ancillary:
    """The ancillary data of a reply, from that of what is replied to (`in_pktinfo`: ifindex, local, destination)."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, local, _ = struct.unpack("=i4s4s", data)
            return ((level, kind, struct.pack("=i4s4s", 0, local, bytes(4))),)
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            return ((level, kind, data),)
    return ()


async def _readable(listener: socket.socket) -> None:
    """Wait until something can be read."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(listener, wake)
    try:
        await ready
    finally:
        if listener.fileno() >= 0:
            loop.remove_reader(listener)

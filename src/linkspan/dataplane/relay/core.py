"""The relay: one object that serves every port.

Listening sockets come from outside (they are also what reserves the port), and so does the maker of outgoing sockets,
because a socket belongs for ever to the namespace it was created in.
"""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol as Interface

from linkspan.dataplane.ports import MakeSocket
from linkspan.dataplane.relay.connection import Connection
from linkspan.dataplane.relay.overload import PAUSE_SECONDS, Overload
from linkspan.dataplane.relay.pipes import Pipes
from linkspan.dataplane.relay.poller import Poller
from linkspan.dataplane.relay.tcp import TcpPort
from linkspan.dataplane.relay.udp import UdpPort
from linkspan.model.addressing import IPAddress
from linkspan.model.dataplane import HostPort
from linkspan.model.errors import UnavailableError
from linkspan.model.ports import Protocol

CONNECT_SECONDS = 10.0
"""A sandbox that has not answered for so long is not there."""
_TICK_SECONDS = 1.0
SLICE = 32
"""Sockets of a range that begin to be served before others get their turn."""


class Port(Interface):
    """One socket of a port, taken over. Without a target it is only held: neither read nor accepted from."""

    def retarget(self, target: tuple[IPAddress, int] | None, proxy_protocol: bool) -> None: ...

    def expire(self, now: float) -> bool:
        """Forget clients that have been silent for too long; whether there are others."""
        ...

    def detach(self) -> None:
        """Let go of the descriptor, which is not watched, without closing it."""
        ...

    def retire(self) -> None: ...
    def close(self) -> None: ...


class Relay:
    """Serves ports in the running event loop. A context: leaving it ends all service, and resets connections.

    `clock` gives seconds, and never goes back.
    """

    def __init__(self, make_socket: MakeSocket, clock: Callable[[], float] = time.monotonic) -> None:
        self._make_socket = make_socket
        self.clock = clock
        self.pipes = Pipes()
        self.overload = Overload(clock)
        self.spare: dict[socket.AddressFamily, socket.socket] = {}
        self.unfinished: set[Served] = set()
        self._ports: set[Port] = set()
        self._connections: set[Connection] = set()
        self._young: dict[Connection, float] = {}
        """Connections that began a few seconds ago, the oldest first, and when."""
        self._tick: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "Relay":
        self.poller = Poller()
        self._drained = asyncio.Event()
        self._drained.set()
        return self

    async def __aexit__(self, *error: object) -> None:
        for served in list(self.unfinished):
            served.close()
        for port in list(self._ports):
            self.stop(port)
        for connection in list(self._connections):
            connection.reset()
        if self._tick is not None:
            self._tick.cancel()
        for spare in self.spare.values():
            spare.close()
        self.pipes.close()
        self.poller.close()

    def serve(self, port: HostPort, listeners: Sequence[int]) -> "Served":
        """Take over the descriptors, one for each port of the range; those of TCP listen already.

        Of a great many, most are served a moment later: clients wait in the queues of the sockets. Raises
        `UnavailableError`, and takes nothing over, for a protocol that cannot be relayed.
        """
        _check(port)
        served = Served(self, port, listeners)
        served.go_on()
        return served

    @property
    def in_flight(self) -> int:
        """How many TCP connections there are."""
        return len(self._connections)

    async def drained(self) -> None:
        """Wait until no TCP connection is in flight."""
        await self._drained.wait()

    def tick(self) -> None:
        """Give up what has taken too long. Called every second while there is anything to wait for."""
        self._tick = None
        now = self.clock()
        while self._young and now - next(iter(self._young.values())) >= CONNECT_SECONDS:
            connection = next(iter(self._young))
            del self._young[connection]
            connection.grow_old()
        clients = [port.expire(now) for port in self._ports]
        if self._young or any(clients):
            self.expect_silence()

    def stop(self, port: Port) -> None:
        """End the service of a port; its connections live on."""
        self._ports.discard(port)
        port.close()

    def outgoing(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket towards a sandbox, which does not block."""
        made = self._make_socket(None, family, kind)
        made.setblocking(False)
        return made

    def expect_silence(self) -> None:
        """Somebody waits for something that may not come."""
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(_TICK_SECONDS, self.tick)

    def began(self, connection: Connection) -> None:
        """One more in flight."""
        self._connections.add(connection)
        self._young[connection] = self.clock()
        self.expect_silence()
        self._drained.clear()

    def ended(self, connection: Connection) -> None:
        """One less in flight."""
        self._connections.discard(connection)
        self._young.pop(connection, None)
        if not self._connections:
            self._drained.set()

    def give_back(self, port: Port) -> None:
        """Forget a port that could not be served; its descriptor is not ours after all."""
        self._ports.discard(port)
        port.detach()

    def port(self, value: HostPort, descriptor: int) -> Port:
        """One socket of a port, not served yet."""
        # All is said, so that Python does not ask the kernel three things about each of a thousand sockets.
        family = socket.AF_INET6 if value.address.version == 6 else socket.AF_INET
        port: Port
        match value.protocol:
            case Protocol.TCP:
                port = TcpPort(self, socket.socket(family, socket.SOCK_STREAM, 0, descriptor))
            case Protocol.UDP | Protocol.SCTP:  # the latter only held
                kind = socket.SOCK_DGRAM if value.protocol is Protocol.UDP else socket.SOCK_STREAM
                port = UdpPort(self, socket.socket(family, kind, 0, descriptor))
        self._ports.add(port)
        return port


class Served:
    """The sockets of one `HostPort`, served from the first on; those whose turn has not come are descriptors still."""

    def __init__(self, relay: Relay, value: HostPort, descriptors: Sequence[int]) -> None:
        self._relay = relay
        self._value = value
        self._ports: list[Port] = []
        self._waiting = deque(descriptors)
        self._soon: asyncio.Handle | None = None

    def go_on(self) -> None:
        """Serve some more; later, should the kernel be able to watch no more sockets now."""
        self._soon = None
        loop = asyncio.get_running_loop()
        try:
            for _ in range(min(SLICE, len(self._waiting))):
                self._begin()
        except OSError as error:
            self._relay.overload.note(error)
            self._soon = loop.call_later(PAUSE_SECONDS, self.go_on)
        else:
            self._soon = loop.call_soon(self.go_on) if self._waiting else None
        if self._waiting:
            self._relay.unfinished.add(self)
        else:
            self._relay.unfinished.discard(self)

    def _begin(self) -> None:
        """Serve the next one that waits."""
        index = len(self._ports)
        port = self._relay.port(self._value, self._waiting[0])
        try:
            self._lead(port, index)
        except OSError:
            self._relay.give_back(port)
            raise
        self._waiting.popleft()
        self._ports.append(port)

    def _lead(self, port: Port, index: int) -> None:
        relay = self._value.relay
        port.retarget(None if relay is None else (relay[0], relay[1].first + index), self._value.proxy_protocol)

    def retarget(self, value: HostPort) -> None:
        """Serve the same sockets as this says. Raises `UnavailableError`."""
        _check(value)
        self._value = value
        for index, port in enumerate(self._ports):
            self._lead(port, index)

    def retire(self) -> None:
        """Take nothing new, since another process has the same sockets; what is under way goes on."""
        self._give_up_waiting()
        for port in self._ports:
            port.retire()

    def close(self) -> None:
        """The ports are free when this returns; TCP connections live on."""
        self._give_up_waiting()
        for port in self._ports:
            self._relay.stop(port)

    def _give_up_waiting(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._relay.unfinished.discard(self)
        while self._waiting:
            os.close(self._waiting.popleft())


def _check(port: HostPort) -> None:
    if port.relay is not None and port.protocol is Protocol.SCTP:
        raise UnavailableError("SCTP cannot be relayed", value=str(port.key))

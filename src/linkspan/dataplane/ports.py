"""What the parts of the data plane need from each other and from the process that holds them, as narrow protocols."""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Protocol, TypeAlias

from linkspan.model.dataplane import HostPort, HostResolver, Key, NameEntry, NameZone, Resolver, Service, Trace

MakeSocket: TypeAlias = Callable[[int | None, socket.AddressFamily, socket.SocketKind], socket.socket]
"""A new socket in the network namespace of a descriptor; None is that of the process."""

Held: TypeAlias = Mapping[Key, tuple[Service, tuple[int, ...]]]
"""Services and the descriptors of their sockets, in the order that `linkspan.model.dataplane` gives for each kind."""

Wanted: TypeAlias = Mapping[Key, tuple[Service, Sequence[int]]]
Stream: TypeAlias = int | IO[bytes] | None


class Served(Protocol):
    """Something that is being served."""

    def close(self) -> None:
        """Take nothing new, and free the port at once; what can be finished without it is."""
        ...


class Relaying(Served, Protocol):
    """A port that is being relayed."""

    def retarget(self, port: HostPort) -> None:
        """Carry new connections as `port` says, from the same sockets."""
        ...

    def retire(self) -> None:
        """Take nothing new, since another process has the same sockets; what is under way goes on."""
        ...


class Answering(Served, Protocol):
    """A name server that is being served."""

    def replace(self, resolver: Resolver | HostResolver) -> None:
        """Answer as `resolver` says from the next question on, at the same sockets."""
        ...


class Relay(Protocol):
    """What carries connections (see `linkspan.dataplane.relay`)."""

    def serve(self, port: HostPort, listeners: Sequence[int]) -> Relaying:
        """Carry what arrives at the sockets of a port to where its `relay` says.

        The descriptors are taken over, unless it raises `UnavailableError`: the protocol cannot be relayed.
        """
        ...

    async def drained(self) -> None:
        """Wait until no connection is under way."""
        ...


class Names(Protocol):
    """What answers names (see `linkspan.dataplane.names`)."""

    def put(self, value: NameZone | NameEntry) -> None:
        """Add or replace, for every question from now on."""
        ...

    def drop(self, key: Key) -> None:
        """Forget the names with this key, if there are any."""
        ...

    def serve(self, resolver: Resolver | HostResolver, udp: int, tcp: int, namespace: int | None) -> Answering:
        """Answer at two sockets. The descriptors are taken over."""
        ...

    async def drained(self) -> None:
        """Wait until no question is under way, of name servers that were closed."""
        ...

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How a question would be answered."""
        ...


class Process(Protocol):
    """A program that was started."""

    async def wait(self) -> int:
        """Its exit status."""
        ...


class Spawn(Protocol):
    """Starts a program in the network namespace that plays the host (`sandbox` None)."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
    ) -> Process: ...

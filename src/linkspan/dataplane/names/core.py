"""The facade of the name server: what the data plane's process holds of names, and how each question is answered."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from linkspan.model.dataplane import HostResolver, Key, NameEntry, NameZone, Resolver, Trace

MakeSocket: TypeAlias = Callable[[int | None, socket.AddressFamily, socket.SocketKind], socket.socket]
"""Makes a socket in the network namespace of a descriptor, or, for None, in that of the process: the host's."""

RESOLV_CONF = Path("/etc/resolv.conf")


class Served:
    """One name server that is being served."""

    def replace(self, resolver: Resolver | HostResolver) -> None:
        """Answer as `resolver` says from the next question on; the sockets stay, and no question is lost."""
        raise NotImplementedError

    def close(self) -> None:
        """End the service. The descriptors are closed, and the port is free, when this returns."""
        raise NotImplementedError


class Names:
    """Answers names. A context: leaving it ends all service."""

    def __init__(self, make_socket: MakeSocket, host_resolv_conf: Path = RESOLV_CONF) -> None:
        self._make_socket = make_socket
        self._host_resolv_conf = host_resolv_conf

    async def __aenter__(self) -> "Names":
        return self

    async def __aexit__(self, *error: object) -> None:
        raise NotImplementedError

    def put(self, value: NameZone | NameEntry) -> None:
        """Add or replace names; every question from now on sees all of the change. Raises `InvalidError`."""
        raise NotImplementedError

    def drop(self, key: Key) -> None:
        """Forget the names with this key. Nothing to do when there are none."""
        raise NotImplementedError

    def serve(self, resolver: Resolver | HostResolver, udp: int, tcp: int, namespace: int | None) -> Served:
        """Answer at two sockets, bound, and for TCP listening. Their descriptors are taken over, and `namespace` too,
        in which the servers of the resolver are asked (None: in that of the process).
        """
        raise NotImplementedError

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """Ask as the sandbox would, and say how the answer came about. Raises `NotFoundError`, `InvalidError`."""
        raise NotImplementedError

"""Keeping the relay in step with the host ports: what it serves is what the plan wants relayed, and nothing else."""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol as Interface
from typing import TypeAlias

from linkspan.kernel.hostports import Relayed
from linkspan.model.addressing import IPAddress
from linkspan.model.errors import UnavailableError
from linkspan.model.ports import Protocol
from linkspan.plan.objects import HostPort, Key

MakeSocket: TypeAlias = Callable[[socket.AddressFamily, socket.SocketKind], Awaitable[socket.socket]]


class Served(Interface):
    """A port that is being served."""

    def close(self) -> None: ...


class Relay(Interface):
    """What carries connections in user space (see `linkspan.dataplane.relay`)."""

    async def serve(
        self, listener: socket.socket, protocol: Protocol, target: tuple[IPAddress, int], make_socket: MakeSocket
    ) -> Served: ...

    def stop(self, port: Served) -> None: ...


class Relaying:
    """What the relay serves for one engine."""

    def __init__(self, relay: Relay | None, make_socket: MakeSocket) -> None:
        self._relay = relay
        self._make_socket = make_socket
        self._served: dict[Key, tuple[HostPort, list[Served]]] = {}

    async def settle(self, wanted: Mapping[Key, Relayed]) -> None:
        """Serve what is wanted and not served yet, stop what is no longer wanted or leads elsewhere now."""
        for key, (port, _) in list(self._served.items()):
            if key not in wanted or wanted[key].port.relay != port.relay:
                self._stop(key)
        for key, relayed in wanted.items():
            if key not in self._served:
                await self._serve(key, relayed)

    async def _serve(self, key: Key, relayed: Relayed) -> None:
        if self._relay is None:
            raise UnavailableError("this kernel was opened without a relay, which the port needs", value=str(key))
        assert relayed.port.relay is not None
        address, ports = relayed.port.relay
        services: list[Served] = []
        self._served[key] = (relayed.port, services)
        for number, descriptor in enumerate(relayed.descriptors, ports.first):
            listener = socket.socket(fileno=os.dup(descriptor))
            target = (address, number)
            services.append(await self._relay.serve(listener, relayed.port.protocol, target, self._make_socket))

    def _stop(self, key: Key) -> None:
        assert self._relay is not None
        for service in self._served.pop(key)[1]:
            self._relay.stop(service)

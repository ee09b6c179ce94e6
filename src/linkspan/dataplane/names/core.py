"""The facade of the name server: what the data plane's process holds of names, and how each question is answered.

Questions and changes are taken in turn by one thread, and no change waits for anything half-way. So every question sees
the names before or after a change, and a change costs what it holds, whatever else there is.
"""

import errno
import os
import socket
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

from linkspan.dataplane.names import records
from linkspan.dataplane.names.forward import Upstreams
from linkspan.dataplane.names.host import HostServers
from linkspan.dataplane.names.labels import labels
from linkspan.dataplane.names.messages import IN, RD, STREAM_SIZE, Query, Rcode
from linkspan.dataplane.names.responder import Budget, Elsewhere, Question, Responder
from linkspan.dataplane.names.serving import Sockets
from linkspan.dataplane.names.tasks import Tasks
from linkspan.dataplane.names.views import HostView, SandboxView, View
from linkspan.dataplane.names.zones import Zones
from linkspan.dataplane.ports import MakeSocket
from linkspan.model.dataplane import HostResolver, Key, NameEntry, NameZone, Resolver, Step, Trace
from linkspan.model.errors import InvalidError, NotFoundError

RESOLV_CONF = Path("/etc/resolv.conf")
_HOST_CACHE, _SANDBOX_CACHE = 4096, 256


class Served:
    """One name server that is being served."""

    def __init__(self, names: "Names", resolver: Resolver | HostResolver, namespace: int | None) -> None:
        self.resolver = resolver
        self._names = names
        self._namespace = namespace
        self._sockets: Sockets | None = None
        self._ended = False
        self._own: Upstreams | None = None
        self.responder = Responder(*self._policy(resolver), names.random, names.budget)

    def start(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Serve at these sockets."""
        self._sockets = Sockets(self.responder, udp, tcp, self._names.tasks, self._names.random)
        self._names.watch(self, self.resolver)

    def replace(self, resolver: Resolver | HostResolver) -> None:
        """Answer as `resolver` says from the next question on; the sockets stay, and no question is lost."""
        if self._sockets is not None:
            self._names.forget(self, self.resolver)
            self._names.watch(self, resolver)
        self.resolver = resolver
        self.responder.replace(*self._policy(resolver))

    def close(self) -> None:
        """Take no more questions. Those that wait for another server are still answered (see `Names.drained`), and the
        descriptors closed then; without any, they are closed when this returns.
        """
        if self._sockets is None:
            return
        self._names.forget(self, self.resolver)
        self._sockets.close(self._end)
        self._sockets = None

    def _end(self) -> None:
        self._ended = True
        if self._namespace is not None:
            os.close(self._namespace)

    def _policy(self, resolver: Resolver | HostResolver) -> tuple[View, Elsewhere, Rcode]:
        """What it sees, whom it asks, and what it says of names that nobody can be asked about."""
        if isinstance(resolver, HostResolver):
            return HostView(self._names.zones), _nobody, Rcode.REFUSED
        view = SandboxView(self._names.zones, resolver)
        if resolver.servers:
            return view, partial(self._own_servers, [str(server) for server in resolver.servers]), Rcode.SERVFAIL
        return view, self._names.host.current if resolver.forward else _nobody, Rcode.NXDOMAIN

    def _own_servers(self, servers: Sequence[str]) -> Upstreams:
        """Those of the sandbox, with what they have said so far; made when they are first needed."""
        if self._own is None or self._own.servers != tuple(servers):
            self._own = Upstreams(servers, self._open, self._names.tasks, _SANDBOX_CACHE, " from the sandbox")
        return self._own

    def _open(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket inside. After the end there is none: the number of the descriptor may mean anything by then."""
        if self._ended:
            raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
        return self._names.make_socket(self._namespace, family, kind)


def _nobody() -> Upstreams | None:
    return None


class Names:
    """Answers names. A context: leaving it ends all service."""

    def __init__(self, make_socket: MakeSocket, host_resolv_conf: Path = RESOLV_CONF) -> None:
        self.make_socket = make_socket
        self.tasks = Tasks()
        self.zones = Zones()
        self.budget = Budget()
        self.random = Random()  # noqa: S311 - the order of addresses, no secret
        self.host = HostServers(
            host_resolv_conf,
            lambda servers: Upstreams(servers, partial(make_socket, None), self.tasks, _HOST_CACHE, " from the host"),
        )
        self._watching: dict[str, set[Served]] = {}

    async def __aenter__(self) -> "Names":
        await self.tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for served in {each for those in self._watching.values() for each in those}:
            served.close()
        await self.tasks.__aexit__(None, None, None)

    async def drained(self) -> None:
        """Wait until no question is under way, when all service has been closed."""
        await self.tasks.done()

    def put(self, value: NameZone | NameEntry) -> None:
        """Add or replace names; every question from now on sees all of the change. Raises `InvalidError`."""
        self.zones.put(value)
        self._changed(value.network)

    def drop(self, key: Key) -> None:
        """Forget the names with this key. Nothing to do when there are none."""
        network = self.zones.drop(key)
        if network is not None:
            self._changed(network)

    def _changed(self, network: str) -> None:
        for watched in (network, _EVERYTHING):
            for served in self._watching.get(watched, ()):
                served.responder.table.clear()

    def watch(self, served: Served, resolver: Resolver | HostResolver) -> None:
        """Changes of what `resolver` sees concern `served`."""
        for network in _seen(resolver):
            self._watching.setdefault(network, set()).add(served)

    def forget(self, served: Served, resolver: Resolver | HostResolver) -> None:
        """They no longer do."""
        for network in _seen(resolver):
            watching = self._watching.get(network, set())
            watching.discard(served)
            if not watching:
                self._watching.pop(network, None)

    def serve(self, resolver: Resolver | HostResolver, udp: int, tcp: int, namespace: int | None) -> Served:
        """Answer at two sockets, bound, and for TCP listening. Their descriptors are taken over, and `namespace` too,
        in which the servers of the resolver are asked (None: in that of the process).
        """
        served = Served(self, resolver, namespace)
        served.start(socket.socket(fileno=udp), socket.socket(fileno=tcp))
        return served

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """Ask as the sandbox would, and say how the answer came about. Raises `NotFoundError`, `InvalidError`."""
        responder = self._of(sandbox).responder
        asked = b"" if name == "." else labels(name)
        if asked is None:
            raise InvalidError(f"invalid name {name!r}", field="name", value=name)
        query = Query(0, RD, asked, asked.lower(), records.type_number(type.upper()), IN)
        start, steps = time.monotonic(), list[Step]()

        def note(where: str, outcome: str) -> None:
            steps.append(Step(where, outcome, time.monotonic() - start))

        answer = responder.answer(query, STREAM_SIZE, note)
        if isinstance(answer, Question):
            answer = await responder.ask(answer, note)
        return Trace(*records.shown(answer), tuple(steps))

    def _of(self, sandbox: str) -> Served:
        for served in self._watching.get(_SANDBOXES, ()):
            if isinstance(served.resolver, Resolver) and served.resolver.sandbox == sandbox:
                return served
        message = f"sandbox {sandbox} has no name server"
        raise NotFoundError(message, hint="there is one on networks that users made, not on the default bridge")


_EVERYTHING, _SANDBOXES = "*", "*sandboxes"
"""What is watched beside networks, whose ids are hexadecimal."""


def _seen(resolver: Resolver | HostResolver) -> tuple[str, ...]:
    return (_EVERYTHING,) if isinstance(resolver, HostResolver) else (_SANDBOXES, *resolver.networks)

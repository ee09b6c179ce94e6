"""Sockets of name servers: on 127.0.0.11 inside a sandbox, and on a loopback address of the host.

Those inside are opened by a thread that visits the namespace, and keep it. With them goes a descriptor of the
namespace, for whoever has to ask other servers from inside. What leads port 53 to them is `redirects.py`'s.
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from linkspan.kernel.hostports import Retire, close_all
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.outcome import Outcome, failure, in_order
from linkspan.kernel.thread import enter, visit
from linkspan.model.dataplane import HostResolver, Key, Resolver
from linkspan.plan.operations import Operation, Verb
from linkspan.plan.redirect import ADDRESS, PORT

_PORT_OF_HOST = 53
_BACKLOG = 128


class Resolvers:
    """The name servers that this process holds sockets for. Made and used on the kernel thread."""

    def __init__(self, namespaces: Namespaces, retire: Retire) -> None:
        self._namespaces = namespaces
        self._retire = retire
        self._held: dict[Key, Resolver | HostResolver] = {}
        self._sockets: dict[Key, tuple[int, ...]] = {}

    @property
    def held(self) -> Mapping[Key, Resolver | HostResolver]:
        """Those that have sockets now."""
        return self._held

    def descriptors(self, key: Key) -> tuple[int, ...]:
        """UDP, TCP and, of one inside a sandbox, the namespace; they stay ours."""
        return self._sockets[key]

    def adopt(self, resolver: Resolver | HostResolver, descriptors: Sequence[int]) -> None:
        """Take over sockets that another process held, unless the namespace they are in is not the sandbox's now."""
        if isinstance(resolver, Resolver) and not self._is_current(resolver, descriptors):
            close_all(descriptors)
            return
        self.release(resolver.key)
        self._held[resolver.key], self._sockets[resolver.key] = resolver, tuple(descriptors)

    def _is_current(self, resolver: Resolver, descriptors: Sequence[int]) -> bool:
        pin = self._namespaces.pin(resolver.sandbox)
        return len(descriptors) == 3 and pin is not None and os.fstat(descriptors[2]).st_ino == pin.inode

    def perform(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Open and close in order; unless tolerant, stop at the first failure."""
        return in_order(operations, self._perform, tolerant=tolerant)

    def _perform(self, operation: Operation) -> OSError | None:
        resolver, key = operation.object, operation.object.key
        assert isinstance(resolver, Resolver | HostResolver)
        if operation.verb is Verb.REMOVE:
            self.release(key)
            return None
        if key in self._held and operation.verb is Verb.ADD:
            return failure(errno.EEXIST)
        try:
            if key not in self._held:
                self._sockets[key] = self._open(resolver)
        except OSError as error:
            return error
        self._held[key] = resolver
        return None

    def _open(self, resolver: Resolver | HostResolver) -> tuple[int, ...]:
        if isinstance(resolver, HostResolver):
            return _bind(str(resolver.address), _PORT_OF_HOST)
        self._namespaces.inode(resolver.sandbox)  # FileNotFoundError for a plain file
        path = self._namespaces.path(resolver.sandbox)

        def inside() -> tuple[int, ...]:
            enter(path)
            pair = _bind(ADDRESS, PORT)
            try:
                return (*pair, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                close_all(pair)
                raise

        return visit(inside)

    def release(self, key: Key) -> None:
        """Close the sockets of one, if there are any."""
        self._held.pop(key, None)
        self._retire(self._sockets.pop(key, ()))

    def close(self) -> None:
        """Let go of all; another process may hold the same sockets."""
        for key in tuple(self._held):
            self.release(key)


def _bind(address: str, port: int) -> tuple[int, int]:
    """A UDP and a listening TCP socket on one port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as stack:
        udp = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        tcp = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((address, port))
        tcp.bind((address, port))
        tcp.listen(_BACKLOG)
        return udp.detach(), tcp.detach()

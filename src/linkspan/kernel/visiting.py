"""Sockets in the network namespaces of others, for a process that stays where it is."""

import socket

from linkspan.kernel import native
from linkspan.kernel.thread import visit


def socket_in(namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A new socket in the namespace behind a descriptor; None is that of the process. Raises OSError."""
    if namespace is None:
        return socket.socket(family, kind)

    def make() -> socket.socket:
        native.setns(namespace)
        return socket.socket(family, kind)

    return visit(make)

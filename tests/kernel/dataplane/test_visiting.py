"""Sockets of the data plane in the namespaces of sandboxes."""

import fcntl
import os
import socket
from pathlib import Path

import pytest

from linkspan.kernel.visiting import socket_in
from tests.support.planes import PlaneHost

SIOCGSKNS = 0x894C  # linux/sockios.h: a descriptor of the socket's namespace
OWN = Path("/proc/thread-self/ns/net")


def namespace(made: socket.socket) -> int:
    """The identity of the namespace of a socket."""
    descriptor = fcntl.ioctl(made, SIOCGSKNS)
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def test_a_socket_is_made_in_the_namespace_behind_a_descriptor(host: PlaneHost) -> None:
    before = OWN.stat().st_ino
    descriptor = os.open(host.site.namespace, os.O_RDONLY)
    with socket_in(descriptor, socket.AF_INET6, socket.SOCK_DGRAM) as made:
        assert namespace(made) == host.site.namespace.stat().st_ino
        assert (made.family, made.type) == (socket.AF_INET6, socket.SOCK_DGRAM)
    os.close(descriptor)
    assert OWN.stat().st_ino == before


def test_without_a_descriptor_it_is_the_processs_own() -> None:
    with socket_in(None, socket.AF_INET, socket.SOCK_STREAM) as made:
        assert namespace(made) == OWN.stat().st_ino


def test_a_descriptor_of_something_else_is_an_error() -> None:
    with Path("/dev/null").open() as other, pytest.raises(OSError, match="Invalid argument"):
        socket_in(other.fileno(), socket.AF_INET, socket.SOCK_STREAM)

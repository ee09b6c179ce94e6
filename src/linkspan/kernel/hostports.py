"""Host ports, held by sockets that are bound and never served.

The firewall forwards what arrives for a published port before any socket sees it. The socket is there so that no
process of the host can bind the port, and so that `ss -l` and `netstat -l` show who has it.

* TCP on IPv4 listens behind a filter that drops everything, so nothing that NAT did not take is accepted by mistake.
* TCP on IPv6 does not listen: until something serves [::1], a refused connection lets clients fall back to IPv4.
* TCP of a range is only bound: for 1,000 ports that is 5 ms instead of 8, and holds them as well.
* UDP is bound behind the same filter, so that no datagrams pile up.
* A port that the relay serves has no filter and listens, in both families.
* SCTP sockets are often missing (CONFIG_IP_SCTP). Then nothing holds the port but the engine's own table; that is no
  error, since nobody else can bind it either.

SO_REUSEADDR lets a port be bound while old connections are in TIME_WAIT, but would let others bind it too unless the
socket listens. So an IPv6 socket listens for a moment, which makes the kernel check and close the port for sharing
(`inet_csk_update_fastreuse`), and then loses the option.
"""

import _socket
import errno
import os
import resource
import socket
import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linkspan.kernel import native
from linkspan.kernel.outcome import Outcome, failure, tolerated
from linkspan.model.addressing import Version
from linkspan.model.ports import Protocol
from linkspan.plan.objects import HostPort, Key
from linkspan.plan.operations import Operation, Verb

_SO_ATTACH_FILTER = 26
_SO_ATTACH_BPF = 50
_IPPROTO_SCTP = 132
_FAMILIES: dict[Version, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_TYPES = {
    Protocol.TCP: (socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP),
    Protocol.UDP: (socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.IPPROTO_UDP),
    Protocol.SCTP: (socket.SOCK_STREAM | socket.SOCK_CLOEXEC, _IPPROTO_SCTP),
}


Bind = Callable[[_socket.socket, str, int, int], None]
"""Binds a new socket to an address and port, for a protocol."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """A reserved port that the relay serves, and its sockets in the order of the range."""

    port: HostPort
    descriptors: tuple[int, ...]


class HostPorts:
    """The ports this process holds. Made and used on the kernel thread, whose namespace the sockets belong to."""

    def __init__(self) -> None:
        raise_open_files_limit()
        self._held: dict[Key, HostPort] = {}
        self._sockets: dict[Key, list[int]] = {}
        self._deafen, self._filter = _drop_filter()

    @property
    def held(self) -> tuple[HostPort, ...]:
        """What is reserved now."""
        return tuple(self._held.values())

    @property
    def relayed(self) -> dict[Key, Relayed]:
        """What the relay is to serve now."""
        return {
            key: Relayed(port, tuple(self._sockets[key])) for key, port in self._held.items() if port.relay is not None
        }

    def perform(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Reserve and release in order; unless tolerant, stop at the first failure."""
        outcomes: list[Outcome] = []
        for operation in operations:
            error = self._perform(operation)
            outcomes.append(Outcome(operation, error))
            if error is not None and not tolerant and not tolerated(operation, error, tolerant=False):
                break
        return outcomes

    def _perform(self, operation: Operation) -> OSError | None:
        port, key = operation.object, operation.object.key
        assert isinstance(port, HostPort)
        if operation.verb is Verb.REMOVE:
            self._release(key)
            return None
        held = self._held.get(key)
        if held is not None and operation.verb is Verb.ADD:
            return failure(errno.EEXIST)
        if held is None or (held.relay is None) != (port.relay is None):
            self._release(key)  # sockets that are served are made in another way
            try:
                self._sockets[key] = self._reserve(port)
            except OSError as error:
                return error
        self._held[key] = port
        return None

    def _reserve(self, port: HostPort) -> list[int]:
        """One bound socket for each port of the range, all or none."""
        if port.relay is None and port.protocol is Protocol.TCP and len(port.ports) > 1:
            try:
                return _bind_many(port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise failure(error.errno or errno.EIO, _explain(error, port, port.ports.first)) from error
                # Perhaps only old connections in TIME_WAIT, which do not keep a port from being bound to listen.
        return self._bind_each(port, self._bind if port.relay is None else _bind_to_serve)

    def _bind_each(self, port: HostPort, bind: Bind) -> list[int]:
        family, (kind, protocol) = _FAMILIES[port.address.version], _TYPES[port.protocol]
        address = str(port.address)
        taken: list[int] = []
        number = port.ports.first
        try:
            for number in range(port.ports.first, port.ports.last + 1):
                held = _socket.socket(family, kind, protocol)
                try:
                    bind(held, address, number, protocol)
                except OSError:
                    held.close()
                    raise
                taken.append(held.detach())
        except OSError as error:
            _close(taken)
            if error.errno == errno.EPROTONOSUPPORT and port.protocol is Protocol.SCTP:
                return []
            raise failure(error.errno or errno.EIO, _explain(error, port, number)) from error
        return taken

    def _bind(self, held: _socket.socket, address: str, number: int, protocol: int) -> None:
        """Bind a new socket: of the thin C class, since a range is a thousand of them."""
        if held.family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol != socket.IPPROTO_TCP:
            held.bind((address, number))
            self._deafen(held)
            return
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._deafen(held)
        held.bind((address, number))
        held.listen(1)
        if held.family == socket.AF_INET6:
            held.shutdown(socket.SHUT_RDWR)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def _release(self, key: Key) -> None:
        self._held.pop(key, None)
        _close(self._sockets.pop(key, []))

    def close(self) -> None:
        """Release everything."""
        for key in tuple(self._held):
            self._release(key)
        if self._filter is not None:
            os.close(self._filter)
            self._filter = None


def _bind_many(port: HostPort) -> list[int]:
    """Sockets of a TCP range, bound and nothing else; the loop is kept bare, since it runs a thousand times."""
    family, (kind, protocol) = _FAMILIES[port.address.version], _TYPES[port.protocol]
    address, new = str(port.address), _socket.socket
    taken: list[int] = []
    try:
        for number in range(port.ports.first, port.ports.last + 1):
            held = new(family, kind, protocol)
            try:
                if family == socket.AF_INET6:
                    held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                held.bind((address, number))
            except OSError:
                held.close()
                raise
            taken.append(held.detach())
    except OSError:
        _close(taken)
        raise
    return taken


def _bind_to_serve(held: _socket.socket, address: str, number: int, protocol: int) -> None:
    """Bind a new socket for the relay."""
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if protocol == socket.IPPROTO_TCP:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((address, number))
    if protocol == socket.IPPROTO_TCP:
        held.listen(socket.SOMAXCONN)


def _drop_filter() -> tuple[Callable[[_socket.socket], None], int | None]:
    """How to attach a filter that drops everything: one program for all sockets, or on old kernels one for each."""
    try:
        fd = native.load_drop_filter()
    except OSError:
        return _attach_classic_filter, None
    return lambda held: held.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, fd), fd


_RETURN_ZERO = array("B", struct.pack("=HBBI", 0x06, 0, 0, 0))


def _attach_classic_filter(held: _socket.socket) -> None:
    held.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, _RETURN_ZERO.buffer_info()[0]))


def _close(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def _explain(error: OSError, port: HostPort, number: int) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"{len(port.ports)} ports need as many open files, and the limit is {soft} (LimitNOFILE= of the service)"
    return f"port {number}: {error.strerror}"


def raise_open_files_limit() -> None:
    """Use all the open files this process may have: each published port is one, each sandbox another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""Host ports, held by sockets that are bound for as long as the port is published.

The firewall forwards what arrives for a published port before any socket sees it. The socket is there so that no
process of the host can bind the port, so that `ss -l` and `netstat -l` show who has it, and for the relay, which serves
what NAT leaves over.

* A port that the relay serves listens. So does every other one of TCP, behind a filter that drops everything, so that
  nothing that NAT did not take is accepted by mistake; UDP is bound behind the same filter, so that no datagrams pile
  up. A port that changes sides keeps its sockets: the filter comes off, or on.
* TCP on IPv6 without the relay is only bound: nothing serves [::1] then, and a refused connection lets clients fall
  back to IPv4, where a silent one would keep them waiting.
* A range of both families has sockets of IPv6 that IPv4 clients reach, too (IPV6_V6ONLY=0). The relay always serves it,
  so they have no filter.
* SCTP sockets are often missing (CONFIG_IP_SCTP). Then nothing holds the port but the engine's own table; that is no
  error, since nobody else can bind it either.

SO_REUSEADDR lets a port be bound while old connections are in TIME_WAIT, but would let others bind it too unless the
socket listens. So one that is only bound listens for a moment, which makes the kernel check and close the port for
sharing (`inet_csk_update_fastreuse`), and then loses the option.
"""

import _socket
import errno
import os
import resource
import socket
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from linkspan.kernel import native
from linkspan.kernel.outcome import Outcome, failure, in_order
from linkspan.model.addressing import Version
from linkspan.model.ports import Protocol
from linkspan.plan.objects import HostPort, Key
from linkspan.plan.operations import Operation, Verb

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_ATTACH_BPF = 50
_IPPROTO_SCTP = 132
_BACKLOG = socket.SOMAXCONN
_FAMILIES: dict[Version, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_TYPES = {
    Protocol.TCP: (socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP),
    Protocol.UDP: (socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.IPPROTO_UDP),
    Protocol.SCTP: (socket.SOCK_STREAM | socket.SOCK_CLOEXEC, _IPPROTO_SCTP),
}


Retire = Callable[[Sequence[int]], None]
"""Takes descriptors that are no longer needed, to be closed."""

Filter = Callable[[_socket.socket], None]
"""Makes a socket deaf."""


class HostPorts:
    """The ports this process holds. Made and used on the kernel thread, whose namespace the sockets belong to."""

    def __init__(self, retire: Retire | None = None) -> None:
        raise_open_files_limit()
        self._retire = retire or close_all
        self._held: dict[Key, HostPort] = {}
        self._sockets: dict[Key, list[int]] = {}
        self._deafen, self._filter = _drop_filter()

    @property
    def held(self) -> Mapping[Key, HostPort]:
        """What is reserved now."""
        return self._held

    def descriptors(self, key: Key) -> tuple[int, ...]:
        """The sockets of a port, in the order of its range; they stay ours."""
        return tuple(self._sockets[key])

    def adopt(self, port: HostPort, descriptors: Sequence[int]) -> None:
        """Take over the sockets of a port that another process held, bound as they are."""
        self._release(port.key)
        self._held[port.key], self._sockets[port.key] = port, list(descriptors)

    def perform(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Reserve and release in order; unless tolerant, stop at the first failure."""
        return in_order(operations, self._perform, tolerant=tolerant)

    def _perform(self, operation: Operation) -> OSError | None:
        port, key = operation.object, operation.object.key
        assert isinstance(port, HostPort)
        if operation.verb is Verb.REMOVE:
            self._release(key)
            return None
        held = self._held.get(key)
        if held is not None and operation.verb is Verb.ADD:
            return failure(errno.EEXIST)
        try:
            if held is None:
                self._sockets[key] = self._reserve(port)
            elif (held.relay is None) != (port.relay is None):
                self._change_sides(port)
        except OSError as error:
            return error
        self._held[key] = port
        return None

    def _reserve(self, port: HostPort) -> list[int]:
        """One bound socket for each port of the range, all or none."""
        if port.protocol is Protocol.TCP and len(port.ports) > 1 and _listens(port):
            try:
                return self._listen_on_many(port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise failure(error.errno or errno.EIO, _explain(error, port, port.ports.first)) from error
                # Perhaps only old connections in TIME_WAIT, which do not keep a port from being bound to listen.
        return self._bind_each(port)

    def _listen_on_many(self, port: HostPort) -> list[int]:
        """Sockets of a TCP range; the loop is kept bare, since it runs a thousand times."""
        family, (kind, protocol) = _FAMILIES[port.address.version], _TYPES[port.protocol]
        address, new, deaf = str(port.address), _socket.socket, port.relay is None
        option = _family_option(port)
        if option is not None and _is_default(option):
            option = None
        taken: list[int] = []
        try:
            for number in range(port.ports.first, port.ports.last + 1):
                held = new(family, kind, protocol)
                try:
                    if option is not None:
                        held.setsockopt(*option)
                    if deaf:
                        self._deafen(held)
                    held.bind((address, number))
                    held.listen(_BACKLOG)
                except OSError:
                    held.close()
                    raise
                taken.append(held.detach())
        except OSError:
            close_all(taken)
            raise
        return taken

    def _bind_each(self, port: HostPort) -> list[int]:
        family, (kind, protocol) = _FAMILIES[port.address.version], _TYPES[port.protocol]
        taken: list[int] = []
        number = port.ports.first
        try:
            for number in range(port.ports.first, port.ports.last + 1):
                held = _socket.socket(family, kind, protocol)
                try:
                    self._bind(held, port, number)
                except OSError:
                    held.close()
                    raise
                taken.append(held.detach())
        except OSError as error:
            close_all(taken)
            if error.errno == errno.EPROTONOSUPPORT and port.protocol is Protocol.SCTP:
                return []
            raise failure(error.errno or errno.EIO, _explain(error, port, number)) from error
        return taken

    def _bind(self, held: _socket.socket, port: HostPort, number: int) -> None:
        """Bind a new socket: of the thin C class, since a range is a thousand of them."""
        if (option := _family_option(port)) is not None:
            held.setsockopt(*option)
        if port.relay is None:
            self._deafen(held)
        if port.protocol is Protocol.TCP:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((str(port.address), number))
        if port.protocol is Protocol.TCP:
            held.listen(_BACKLOG)
            if not _listens(port):
                _stop_listening(held)
        elif port.protocol is Protocol.SCTP and port.relay is not None:
            held.listen(_BACKLOG)

    def _change_sides(self, port: HostPort) -> None:
        """The relay serves from now on, or does not any more: the same sockets, with the filter off, or on."""
        for descriptor in self._sockets[port.key]:
            held = _socket.socket(fileno=os.dup(descriptor))
            try:
                if port.relay is None:
                    self._deafen(held)
                else:
                    _undeafen(held)
                if port.protocol is Protocol.UDP:
                    continue
                if port.relay is not None:
                    held.listen(_BACKLOG)
                elif not _listens(port):
                    _stop_listening(held)
            finally:
                held.close()

    def _release(self, key: Key) -> None:
        self._held.pop(key, None)
        self._retire(self._sockets.pop(key, []))

    def close(self) -> None:
        """Let go of everything; another process may hold the same sockets."""
        for key in tuple(self._held):
            self._release(key)
        if self._filter is not None:
            os.close(self._filter)
            self._filter = None


def _family_option(port: HostPort) -> tuple[int, int, int] | None:
    """The option that says which families a socket has. Either way: net.ipv6.bindv6only says what new ones have."""
    return None if port.address.version == 4 else (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not port.both))


def _is_default(option: tuple[int, int, int]) -> bool:
    """Whether new sockets have the option anyway, as far as that was ever set on this host."""
    level, name, value = option
    with socket.socket(socket.AF_INET6, *_TYPES[Protocol.TCP]) as probe:
        return probe.getsockopt(level, name) == value


def _listens(port: HostPort) -> bool:
    """Whether the sockets of a port listen: all of TCP except where nobody serves [::1]."""
    return port.protocol is Protocol.TCP and (port.relay is not None or port.address.version == 4)


def _undeafen(held: _socket.socket) -> None:
    with suppress(FileNotFoundError):  # it has none
        held.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _stop_listening(held: _socket.socket) -> None:
    held.shutdown(socket.SHUT_RDWR)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _drop_filter() -> tuple[Filter, int | None]:
    """How to attach a filter that drops everything: one program for all sockets, or on old kernels one for each."""
    try:
        fd = native.load_drop_filter()
    except OSError:
        return _attach_classic_filter, None
    return lambda held: held.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, fd), fd


_RETURN_ZERO = array("B", struct.pack("=HBBI", 0x06, 0, 0, 0))


def _attach_classic_filter(held: _socket.socket) -> None:
    held.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, _RETURN_ZERO.buffer_info()[0]))


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
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

"""A UDP port: a socket per client towards the sandbox, replies from the address that the client spoke to.

The reply's source matters on a socket bound to every address: without `IP_PKTINFO` the kernel picks the address of the
outgoing interface, and the client drops the answer.

Datagrams get lost anyway, so nothing is held back: what cannot be handed on at once is dropped, and so are the ICMP
errors of earlier datagrams, which the kernel reports on the next call.
"""

import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol as Interface

from linkspan.dataplane.relay.overload import Overload
from linkspan.dataplane.relay.poller import Poller
from linkspan.model.addressing import IPAddress

Target = tuple[IPAddress, int]
Ancillary = tuple[tuple[int, int, bytes], ...]
Peer = tuple[tuple[str, int], Ancillary]
"""Where a client sends from, and the ancillary data that makes a reply come from where it sent to."""

IDLE_SECONDS = 90.0
"""A client that neither sent nor got anything for so long is forgotten (the docker-proxy's figure)."""
CLIENTS = 1024
"""Clients one port remembers; for one more, the one silent for the longest time is forgotten."""
DATAGRAMS = 32
"""Datagrams one socket hands on before others get their turn."""

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50  # linux/in.h, linux/in6.h; Python 3.11 lacks the first
_RECEIVE = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_RECVPKTINFO),
}
_MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address begins with on a socket of both families."""
_ANCILLARY_BYTES = 128
_buffer = bytearray(64 * 1024)
_view = memoryview(_buffer)


class Forwarding(Interface):
    """What a port needs of the relay."""

    poller: Poller
    overload: Overload
    clock: Callable[[], float]

    def outgoing(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket: ...
    def expect_silence(self) -> None: ...


class UdpPort:
    """One bound socket, which is taken over. Without a target it is only held."""

    def __init__(self, relay: Forwarding, listener: socket.socket) -> None:
        self._relay = relay
        self._listener = listener
        self._clients: dict[Peer, Client] = {}
        """The one heard last is at the end."""
        self._retired = False
        listener.setblocking(False)

    def retarget(self, target: Target | None, proxy_protocol: bool = False) -> None:
        """Clients are forgotten; datagrams from now on go there. The PROXY protocol is for TCP only."""
        self._stop()
        if target is not None:
            self._address = (str(target[0]), target[1])
            self._family = socket.AF_INET6 if target[0].version == 6 else socket.AF_INET
            self._listener.setsockopt(*_RECEIVE[socket.AddressFamily(self._listener.family)], 1)
            self._relay.poller.add(self._listener.fileno(), select.EPOLLIN, self._ready)

    def detach(self) -> None:
        """Let go of the descriptor, which is not watched, without closing it."""
        self._listener.detach()

    def close(self) -> None:
        """The port is free when this returns."""
        self._stop()
        self._listener.close()

    def retire(self) -> None:
        """Another process reads from the socket now; answers to what was read here still go out.

        Without clients the socket is let go of: the port may be given up, and wanted again, before this process ends.
        """
        self._retired = True
        self._relay.poller.remove(self._listener.fileno())
        if not self._clients:
            self._listener.close()

    def expire(self, now: float) -> bool:
        """Forget clients that have been silent for too long; whether there are others."""
        while self._clients:
            peer, client = next(iter(self._clients.items()))
            if now - client.heard < IDLE_SECONDS:
                return True
            self._forget(peer)
        if self._retired:
            self._listener.close()
        return False

    def _stop(self) -> None:
        self._relay.poller.remove(self._listener.fileno())
        for peer in list(self._clients):
            self._forget(peer)

    def _ready(self, _events: int) -> None:
        for _ in range(DATAGRAMS):
            try:
                count, ancillary, _, address = self._listener.recvmsg_into([_buffer], _ANCILLARY_BYTES)
            except OSError:
                return
            client = self._heard((address, _spoken_to(ancillary)))
            if client is not None:
                client.ask(_view[:count])

    def _heard(self, peer: Peer) -> "Client | None":
        """The client, who is now the last one heard; None when there can be no more clients."""
        client = self._clients.pop(peer, None) or self._welcome(peer)
        if client is not None:
            client.heard = self._relay.clock()
            self._clients[peer] = client
        return client

    def _welcome(self, peer: Peer) -> "Client | None":
        if len(self._clients) >= CLIENTS:
            self._forget_oldest()
        try:
            outgoing = self._relay.outgoing(self._family, socket.SOCK_DGRAM)
        except OSError as error:
            self._relay.overload.note(error)
            self._forget_oldest()  # makes room for the next
            return None
        try:
            outgoing.connect(self._address)
            client = Client(self._relay.poller, outgoing, lambda data: self._reply(peer, data))
        except OSError:  # no route to the sandbox now, or the kernel can watch no more sockets
            outgoing.close()
            return None
        self._relay.expect_silence()
        return client

    def _forget(self, peer: Peer) -> None:
        self._clients.pop(peer).close()

    def _forget_oldest(self) -> None:
        if self._clients:
            self._forget(next(iter(self._clients)))

    def _reply(self, peer: Peer, data: memoryview) -> None:
        with suppress(OSError):
            self._listener.sendmsg([data], peer[1], socket.MSG_DONTWAIT, peer[0])
        self._heard(peer)


class Client:
    """One client's socket towards the sandbox. `reply` gets every answer, which is valid only during the call."""

    __slots__ = ("_outgoing", "_poller", "_reply", "heard")

    def __init__(self, poller: Poller, outgoing: socket.socket, reply: Callable[[memoryview], None]) -> None:
        self._poller = poller
        self._outgoing = outgoing
        self._reply = reply
        self.heard = 0.0
        poller.add(outgoing.fileno(), select.EPOLLIN, self._ready)

    def ask(self, data: memoryview) -> None:
        """Send a datagram to the sandbox."""
        try:
            self._outgoing.send(data)
        except ConnectionRefusedError:  # of an earlier one: the server may be back
            with suppress(OSError):
                self._outgoing.send(data)
        except OSError:
            pass

    def close(self) -> None:
        """Forget it."""
        self._poller.close_socket(self._outgoing)

    def _ready(self, _events: int) -> None:
        for _ in range(DATAGRAMS):
            try:
                count = self._outgoing.recv_into(_buffer)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            self._reply(_view[:count])


def _spoken_to(ancillary: list[tuple[int, int, bytes]]) -> Ancillary:
    """The ancillary data of a reply, from that of what is replied to.

    `in_pktinfo` is ifindex, local address and destination; `in6_pktinfo` is the address and ifindex.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, local, _ = struct.unpack("=i4s4s", data)
            return ((level, kind, struct.pack("=i4s4s", 0, local, bytes(4))),)
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            # A client of IPv4 has no use for the interface, which link-local addresses need: it would bind the route.
            return ((level, kind, data[:16] + bytes(4) if data.startswith(_MAPPED) else data),)
    return ()

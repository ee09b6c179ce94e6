"""A TCP port: accepts, and begins a connection for each client."""

import asyncio
import socket
from ipaddress import ip_address
from select import EPOLLIN
from typing import Protocol as Interface

from linkspan.dataplane.relay.connection import Connection, Owner, set_keepalive
from linkspan.dataplane.relay.overload import PASSING, PAUSE_SECONDS, Overload
from linkspan.dataplane.relay.proxyprotocol import header
from linkspan.model.addressing import IPAddress

Target = tuple[IPAddress, int]

ACCEPTED = 16
"""Connections accepted before others get their turn."""


class Accepting(Owner, Interface):
    """What a port needs of the relay."""

    overload: Overload
    spare: dict[socket.AddressFamily, socket.socket]

    def outgoing(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket: ...


class TcpPort:
    """One listening socket, which is taken over. Without a target it is only held."""

    def __init__(self, relay: Accepting, listener: socket.socket) -> None:
        self._relay = relay
        self._listener = listener
        self._accepted = listener.family
        self._expected = 1
        """How many clients are likely to wait, so that most rounds end without an error to find that out."""
        self._proxy_protocol = False
        self._pause: asyncio.TimerHandle | None = None
        self._prepared = False
        self._inherited = False
        """Whether clients that are accepted have the options of the listener."""

    def retarget(self, target: Target | None, proxy_protocol: bool) -> None:
        """Connections from now on go there."""
        self._stop()
        if target is not None:
            self._target = target
            self._prepared = False
            self._proxy_protocol = proxy_protocol
            self._go_on()

    def detach(self) -> None:
        """Let go of the descriptor, which is not watched, without closing it."""
        self._listener.detach()

    def close(self) -> None:
        """The port is free when this returns; connections live on."""
        self._stop()
        self._listener.close()

    def retire(self) -> None:
        """Another process accepts from the socket now; connections live on."""
        self.close()

    def expire(self, now: float) -> bool:
        """Nothing here goes by the clock."""
        return False

    def _stop(self) -> None:
        self._relay.poller.remove(self._listener.fileno())
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _go_on(self) -> None:
        self._pause = None
        self._relay.poller.add(self._listener.fileno(), EPOLLIN, self._clients)

    def _clients(self, _events: int) -> None:
        if not self._prepared:
            self._prepare()
        try:
            for _ in range(self._expected):
                self._accept()
            self._expected = min(2 * self._expected, ACCEPTED)
        except OSError as error:
            # Nobody waits any more: those who came before the options were set are all accepted.
            self._inherited |= isinstance(error, BlockingIOError)
            self._expected = 1
            if error.errno not in PASSING:
                self._slow_down(error)

    def _prepare(self) -> None:
        """What a port needs once somebody comes: of a range of thousands, most never hear of anyone."""
        self._prepared = True
        address, number = self._target
        self._address = (str(address), number)
        self._family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self._listener.setblocking(False)
        _set_options(self._listener)

    def _slow_down(self, error: OSError) -> None:
        self._relay.overload.note(error)
        self._stop()
        self._pause = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._go_on)

    def _accept(self) -> None:
        """Accept a client. The socket it needs is made first, so that who cannot be served stays in the backlog."""
        spare = self._relay.spare
        if self._family not in spare:
            spare[self._family] = self._relay.outgoing(self._family, socket.SOCK_STREAM)
            spare[self._family].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Not `accept`, which needs 3 us more, to find out what family and kind the socket has.
        number, peer = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        client = socket.socket(self._accepted, socket.SOCK_STREAM, 0, number)
        client.setblocking(False)
        if not self._inherited:
            _set_options(client)
        first = _introduction(client, peer) if self._proxy_protocol else b""
        Connection(self._relay, client, spare.pop(self._family)).start(self._address, first)


def _set_options(side: socket.socket) -> None:
    """Accepted sockets have the options of their listener.

    SO_REUSEADDR lets the port be bound anew, to listen, while connections of the past are in TIME_WAIT.
    """
    side.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    set_keepalive(side)


def _introduction(client: socket.socket, peer: tuple[str, int]) -> bytes:
    here = client.getsockname()
    return header((ip_address(peer[0].split("%")[0]), peer[1]), (ip_address(here[0].split("%")[0]), here[1]))

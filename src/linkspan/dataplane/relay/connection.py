"""One TCP connection: two sockets, and a flow in each direction.

The end of one side becomes the end of the other (half-close); an error of either becomes a reset of both. A connection
to a sandbox of this machine is nearly always complete when `connect` returns, so the client's request is tried at once;
a socket is watched for room to write only after it was full for the first time.
"""

import errno
import logging
import os
import select
import socket
import struct
from typing import Protocol as Interface

from linkspan.dataplane.relay.flow import Flow
from linkspan.dataplane.relay.pipes import Pipes
from linkspan.dataplane.relay.poller import EDGES, READABLE, WRITABLE, Handler, Poller

log = logging.getLogger(__name__)

_BOTH_WAYS = EDGES | select.EPOLLOUT
_RESET = struct.pack("ii", 1, 0)
"""`SO_LINGER` without time: closing is a reset."""

KEEPALIVE_SECONDS = 15
"""After so much silence the other side is asked whether it is still there, as the docker-proxy does."""


def set_keepalive(side: socket.socket) -> None:
    """Notice when the other side is gone without a word."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)


class Owner(Interface):
    """What a connection needs of the relay."""

    poller: Poller
    pipes: Pipes

    def began(self, connection: "Connection") -> None: ...
    def ended(self, connection: "Connection") -> None: ...


class Connection:
    """Takes over two sockets that do not block; `target` is not connected yet."""

    __slots__ = ("_client", "_connected", "_down", "_owner", "_target", "_up")

    def __init__(self, owner: Owner, client: socket.socket, target: socket.socket) -> None:
        self._owner = owner
        self._client = client
        self._target = target
        self._up = Flow(client, target, owner.pipes)
        self._down = Flow(target, client, owner.pipes)
        self._up.opposite, self._down.opposite = self._down, self._up
        self._connected = False

    def start(self, address: tuple[str, int], first: bytes) -> None:
        """Connect to the target, and send it `first` before anything that the client sends."""
        self._owner.began(self)
        if first:
            self._up.begin_with(first)
        error = self._target.connect_ex(address)
        if error == errno.EINPROGRESS:
            error = self._target.connect_ex(address)  # asks whether it is complete
        if error == errno.EALREADY:
            self._up.watched = True
            self._watch(self._target, _BOTH_WAYS, self._target_ready)
        elif error:
            self._refused(error)
        elif self._watch(self._target, EDGES, self._target_ready):
            self._begin(0)

    def grow_old(self) -> None:
        """Called once, some seconds after the start: the target has to be there by now, and silence is watched.

        Most connections are over before that, and are spared the system calls.
        """
        if not self._connected:
            self._refused(errno.ETIMEDOUT)
        else:
            set_keepalive(self._target)

    def reset(self) -> None:
        """End both sides as a port does behind which nothing is."""
        for side in (self._client, self._target):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def _refused(self, error: int) -> None:
        """The target cannot be reached. Whoever scans this machine is not to fill the log with that."""
        log.debug("relay: cannot reach the sandbox: %s", os.strerror(error))
        self.reset()

    def _begin(self, events: int) -> None:
        """The target is there: hand on what the client has sent already, then watch the client too."""
        self._connected = True
        if not self._carry(self._up) or not self._watch(self._client, EDGES, self._client_ready):
            return
        if events & READABLE:
            self._ready(events, self._down, self._up)

    def _watch(self, side: socket.socket, events: int, handler: Handler) -> bool:
        """Have the handler called; False when there is no memory for that, and the connection is broken off."""
        try:
            self._owner.poller.add(side.fileno(), events, handler)
        except OSError:
            self.reset()
            return False
        return True

    def _target_ready(self, events: int) -> None:
        if self._connected:
            self._ready(events, self._down, self._up)
        elif error := self._target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._refused(error)
        elif events & select.EPOLLOUT:
            self._begin(events)

    def _client_ready(self, events: int) -> None:
        self._ready(events, self._up, self._down)

    def _ready(self, events: int, reading: Flow, writing: Flow) -> None:
        """Events of the socket that one flow reads and the other writes."""
        if events & select.EPOLLRDHUP:
            reading.ending = True
        if events & READABLE and not reading.full and not self._carry(reading):
            return
        if events & WRITABLE and writing.full and not self._carry(writing):
            return
        if events & select.EPOLLERR:  # of which neither flow has heard, since they wait for the other side
            self.reset()
        elif reading.done and writing.done:
            self._close()

    def _carry(self, flow: Flow) -> bool:
        """Let a flow move what it can; False when that showed that the connection is broken."""
        try:
            complete = flow.pump()
        except OSError:
            self.reset()
            return False
        if not complete:
            self._owner.poller.again(flow.source.fileno(), select.EPOLLIN)
        if flow.full and not flow.watched:
            flow.watched = True
            self._owner.poller.change(flow.sink.fileno(), _BOTH_WAYS)
        return True

    def _close(self) -> None:
        for flow in (self._up, self._down):
            flow.abandon()
        for side in (self._client, self._target):
            self._owner.poller.close_socket(side)
        self._owner.ended(self)

"""Two sandboxes that never stop talking: a process that counts what it sends and what is lost.

One process holds both ends of every path, so nothing but the network can be late. The paths: over the bridge; through
a published port with a new flow for each datagram, which asks the rules anew; the same flow kept, in both directions,
since a server also sends unasked; and one TCP connection, whose retransmissions count as losses.
"""

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.packets import Site, bound, retransmissions
from tests.support.patience import PATIENCE

PORT = 9000
_PACE, _LATE = 0.003, 1.0
_REPORT = struct.Struct("=QQQ")


@dataclass(frozen=True)
class Traffic:
    """What has been exchanged so far."""

    rounds: int
    lost: int
    retransmitted: int


class Bystanders:
    """The process, asked over a pipe: it answers when the round it is in is over."""

    def __init__(self, pid: int, pipe: socket.socket) -> None:
        self.pid = pid
        self._pipe = pipe

    def report(self, rounds: int = 3) -> Traffic:
        """The traffic after at least so many rounds from now."""
        self._pipe.send(bytes([rounds]))
        return Traffic(*_REPORT.unpack(self._pipe.recv(_REPORT.size)))


@contextmanager
def bystanders(client: Site, server: Site, outsider: Site, host: str) -> Iterator[Bystanders]:
    """`client` and `server` are on one network; `outsider` reaches `server` by the published port of `host`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _live(lambda: _converse(client, server, outsider, host, theirs))
    theirs.close()
    with ours:
        ours.settimeout(PATIENCE)
        try:
            yield Bystanders(pid, ours)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _live(life: Callable[[], None]) -> None:
    """What a forked child does; it never returns to the test it was born in."""
    try:
        life()
    finally:
        os._exit(1)


def _converse(client: Site, server: Site, outsider: Site, host: str, pipe: socket.socket) -> None:
    with ExitStack() as stack:
        talk = Talk(stack, client, server, outsider, host)
        wanted = 0
        while True:
            ready, _, _ = select.select([pipe], [], [], _PACE)
            if ready:
                wanted = talk.rounds + pipe.recv(1)[0]
            talk.round()
            if wanted and talk.rounds >= wanted:
                pipe.send(_REPORT.pack(talk.rounds, talk.lost, talk.retransmitted))
                wanted = 0


class Talk:
    """All the sockets, and one round of everything."""

    def __init__(self, stack: ExitStack, client: Site, server: Site, outsider: Site, host: str) -> None:
        self.rounds = self.lost = 0
        self._stack = stack
        self._outsider = outsider
        self._host = (host, PORT)
        self._listener = self._keep(bound(server, "0.0.0.0", PORT))
        self._server = self._keep(bound(server, "0.0.0.0", PORT, "udp"))
        self._client = self._keep(client.socket(4, socket.SOCK_DGRAM))
        self._client.connect((str(self._address(server)), PORT))
        self._kept = self._keep(outsider.socket(4, socket.SOCK_DGRAM))
        self._kept.connect(self._host)
        self._stream = self._keep(outsider.socket(4, socket.SOCK_STREAM))
        self._stream.connect(self._host)
        self._accepted = self._keep(self._listener.accept()[0])
        self._accepted.settimeout(_LATE)
        self._kept.send(b"hello")
        self._peer = self._server.recvfrom(64)[1]

    def _keep(self, opened: socket.socket) -> socket.socket:
        opened.settimeout(_LATE)
        return self._stack.enter_context(opened)

    @staticmethod
    def _address(site: Site) -> str:
        def own() -> str:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("198.51.100.1", 9))
                name: str = probe.getsockname()[0]
                return name

        return site.visit(own)

    @property
    def retransmitted(self) -> int:
        """Segments that TCP had to send again, on either side."""
        return retransmissions(self._stream) + retransmissions(self._accepted)

    def round(self) -> None:
        """One exchange on each path."""
        self.rounds += 1
        number = self.rounds.to_bytes(8, "big")
        self._pass(number, self._client.send, self._server, reply_to=self._client)
        with self._outsider.socket(4, socket.SOCK_DGRAM) as fresh:
            fresh.settimeout(_LATE)
            fresh.connect(self._host)
            self._pass(number, fresh.send, self._server, reply_to=fresh)
        self._pass(number, lambda data: self._server.sendto(data, self._peer), self._kept)
        self._pass(number, self._kept.send, self._server)
        self._pass(number, self._stream.send, self._accepted)
        self._pass(number, self._accepted.send, self._stream)

    def _pass(
        self,
        number: bytes,
        send: Callable[[bytes], object],
        receiver: socket.socket,
        *,
        reply_to: socket.socket | None = None,
    ) -> None:
        try:
            send(number)
            deadline = time.monotonic() + _LATE
            while (received := receiver.recvfrom(64))[0] != number:
                if time.monotonic() > deadline:
                    raise TimeoutError
            if reply_to is not None:
                receiver.sendto(number, received[1])
                if reply_to.recv(64) != number:
                    raise TimeoutError
        except OSError:
            self.lost += 1

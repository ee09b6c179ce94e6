"""One direction of a TCP connection.

A flow moves what its source has to its sink until the source is empty or the sink is full. Nothing is read that cannot
be handed on, so the slower side holds back the faster one by TCP's own means. Small amounts are received and sent,
which is cheapest for a request and its answer; a flow that fills the buffer is bulk, and is spliced through a pipe, so
that its bytes never come to user space.
"""

import os
import socket

from linkspan.dataplane.relay.pipes import SIZE, Pipe, Pipes

CHUNK = 16 * 1024
"""Bytes received at once, and so what a flow holds in user space at most."""
TURNS = 4
"""How often a flow fills its buffer or pipe before others get their turn."""

_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
_buffer = bytearray(CHUNK)
_view = memoryview(_buffer)


class Flow:
    """From one socket to the other; both must not block. Errors of either are raised as `OSError`."""

    __slots__ = (
        "_bulk",
        "_pipe",
        "_piped",
        "_pipes",
        "_rest",
        "done",
        "ending",
        "full",
        "opposite",
        "sink",
        "source",
        "watched",
    )

    def __init__(self, source: socket.socket, sink: socket.socket, pipes: Pipes) -> None:
        self.source = source
        self.sink = sink
        self._pipes = pipes
        self._rest = b""
        self._pipe: Pipe | None = None
        self._piped = 0
        self._bulk = False
        self.full = False
        """The sink takes no more: `pump` when it does."""
        self.ending = False
        """The source is known to have an end, which has to be read."""
        self.watched = False
        """The owner is told when the sink takes more."""
        self.opposite = self
        """The flow in the other direction."""
        self.done = False
        """The end was passed on."""

    def begin_with(self, data: bytes) -> None:
        """Send this before anything that the source has."""
        self._rest = data
        self.full = True

    def pump(self) -> bool:
        """Move what can be moved now. False when there is more to move, and others should have their turn."""
        if self.done or (self.full and not self._flush()):
            return True
        turns = TURNS
        while turns and (self._splice() if self._bulk else self._copy()):
            turns -= 1
        return turns > 0

    def _copy(self) -> bool:
        """Receive and send once; whether there may be more."""
        try:
            count = self.source.recv_into(_buffer)
        except BlockingIOError:
            return False
        if not count:
            return self._end()
        self._bulk = count == CHUNK
        try:
            # With the end to follow at once, data and end go in one segment.
            sent = self.sink.send(_view[:count], socket.MSG_MORE if self.ending else 0)
        except BlockingIOError:
            sent = 0
        if sent < count:
            self._rest = bytes(_view[sent:count])
            self.full = True
            return False
        # A short count says that the source is empty (epoll(7)), and its end may have been announced already.
        return self._bulk or self.ending

    def _splice(self) -> bool:
        """Fill the pipe and empty it once; whether there may be more."""
        if self._pipe is None:
            self._pipe = self._pipes.take()
            if self._pipe is None:
                self._bulk = False
                return self._copy()
        try:
            self._piped = os.splice(self.source.fileno(), self._pipe.sink, SIZE, flags=_FLAGS)
        except BlockingIOError:
            self._give_back()
            return False
        if not self._piped:
            self._give_back()
            return self._end()
        self._bulk = self._piped >= CHUNK
        return self._flush()

    def _flush(self) -> bool:
        """Send what was read before; whether all of it could be."""
        self.full = True
        try:
            if self._rest:
                self._rest = self._rest[self.sink.send(self._rest) :]
            while self._piped:
                assert self._pipe is not None
                self._piped -= os.splice(self._pipe.source, self.sink.fileno(), self._piped, flags=_FLAGS)
        except BlockingIOError:
            return False
        if self._rest:
            return False
        if not self._bulk:
            self._give_back()
        self.full = False
        return True

    def _give_back(self) -> None:
        if self._pipe is not None:
            self._pipes.give_back(self._pipe)
            self._pipe = None

    def _end(self) -> bool:
        """Pass on the end of the source. The last end is passed on by closing the connection."""
        self.done = True
        if not self.opposite.done:
            self.sink.shutdown(socket.SHUT_WR)
        return False

    def abandon(self) -> None:
        """Give up what was read and not sent."""
        if self._pipe is not None:
            if self._piped:
                self._pipe.close()
            else:
                self._pipes.give_back(self._pipe)
            self._pipe = None

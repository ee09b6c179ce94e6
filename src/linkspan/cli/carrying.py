"""Carries bytes between the streams of the command and those of a container, until one side has ended.

One thread and one `poll`: standard input, the connection, and the signals, which come through a pipe. What is typed is
kept back while the connection takes no more, and the output is read meanwhile: a container that echoes everything would
otherwise wait for us while we wait for it.
"""

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from linkspan.cli.client import Hijacked
from linkspan.cli.frames import Frames
from linkspan.cli.terminals import Escape

_CHUNK = 64 * 1024
_INPUT, _OUTPUT, _ERROR = 0, 1, 2
Actions = Mapping[signal.Signals, Callable[[], None]]


class Readable(Protocol):
    """Something to wait for."""

    def fileno(self) -> int: ...


class Signals:
    """Signals that are acted upon in the loop, where nothing is half done."""

    def __init__(self, actions: Actions, pipe: int) -> None:
        self._actions = actions
        self.pipe = pipe

    def act(self) -> None:
        """Do what belongs to the signals that have come."""
        for number in os.read(self.pipe, 256):
            if number in self._actions:
                self._actions[signal.Signals(number)]()

    def wait(self, other: Readable) -> None:
        """Until there is something to read."""
        poll = select.poll()
        poll.register(other, select.POLLIN)
        poll.register(self.pipe, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self.pipe in ready:
                self.act()
            if other.fileno() in ready:
                return


@contextmanager
def acting_on(actions: Actions) -> Iterator[Signals]:
    """While the block runs, signals do nothing but what they are given here."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in actions}
    fd_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield Signals(actions, reader)
    finally:
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


class Carrier:
    """One connection; `keys` are those that let a terminal go."""

    def __init__(self, stream: Hijacked, signals: Signals, *, stdin: bool, keys: bytes = b"") -> None:
        self._socket = stream.socket
        self._secured = stream.secured
        self._not_now = _not_now(secured=stream.secured)
        self._signals = signals
        self._frames = Frames() if stream.multiplexed else None
        self._first = stream.first
        self._stdin_open = stdin
        self._escape = Escape(keys) if keys else None
        self._waiting = b""
        self._detached = False

    def run(self) -> bool:
        """Until the container's output ends; True when the detach keys were typed before that."""
        self._socket.setblocking(False)
        self._show(self._first)
        while not self._detached:
            ready = self._ready()
            if self._signals.pipe in ready:
                self._signals.act()
            if _INPUT in ready and self._stdin_open:
                self._type()
            if ready.get(self._socket.fileno(), 0) & select.POLLOUT:
                self._send()
            if ready.get(self._socket.fileno(), 0) & ~select.POLLOUT and not self._receive():
                break
        return self._detached

    def _ready(self) -> dict[int, int]:
        """What can be done without waiting."""
        poll = select.poll()
        poll.register(self._signals.pipe, select.POLLIN)
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._waiting else 0))
        if self._stdin_open and not self._waiting:
            poll.register(_INPUT, select.POLLIN)
        return dict(poll.poll())

    def _type(self) -> None:
        """From standard input towards the container; the end of the input closes that half of the connection."""
        try:
            data = os.read(_INPUT, _CHUNK)
        except OSError:  # the terminal has gone
            data = b""
        self._stdin_open = bool(data)
        if self._escape is not None:
            data, self._detached = self._escape.feed(data)
        self._waiting = data
        self._send()

    def _send(self) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[self._socket.send(self._waiting) :]
        except self._not_now:
            return
        except ConnectionError:  # it reads no more; its output may go on
            self._waiting, self._stdin_open = b"", False
            return
        if not self._stdin_open and not self._secured:  # TLS has no half that could be closed
            self._half_close()

    def _half_close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # gone already: reading will tell
            return

    def _receive(self) -> bool:
        """Something that has come from the container; False at the end."""
        try:
            data = self._socket.recv(_CHUNK)
            while data and self._secured:  # what is decrypted already wakes no poll
                self._show(data)
                data = self._socket.recv(_CHUNK)
        except self._not_now:
            return True
        except ConnectionError:
            return False
        self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        if self._frames is None:
            write_all(_OUTPUT, data)
            return
        for stream, part in self._frames.feed(data):
            write_all(_ERROR if stream == _ERROR else _OUTPUT, part)


def _not_now(*, secured: bool) -> tuple[type[OSError], ...]:
    """What a connection that does not block says instead of waiting."""
    if not secured:
        return (BlockingIOError,)
    import ssl

    return (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def write_all(fd: int, data: bytes) -> None:
    """All of it, without a buffer that would have to be flushed."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

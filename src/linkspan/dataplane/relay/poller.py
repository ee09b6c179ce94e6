"""An epoll set of the relay's own, which the event loop watches as one file.

asyncio's transports cost more per connection than everything else the relay does: tasks, futures, a handle and a
context for every event. Here an event is one look-up and one call. Sockets of connections are registered
edge-triggered, once for their life (closing ends it), so that carrying a request takes two `epoll_ctl` in all; the
price is that a handler must go on until the kernel says EAGAIN, or ask for `again`.

A socket is closed at the end of a batch of events: its number cannot be taken by a new one while events of the old one
are still to be handled.
"""

import asyncio
import select
import socket
from collections.abc import Callable

Handler = Callable[[int], None]
"""Told which events (`EPOLLIN`, ...) a socket has. Must not raise."""

BATCH = 64
"""Events handled before the event loop, and so the rest of the process, gets its turn."""

READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
EDGES = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET


class Poller:
    """Calls handlers when their sockets are ready, in the running event loop, until closed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._again: list[tuple[int, int]] = []
        self._closing: list[socket.socket] = []
        self._loop.add_reader(self._epoll, self._run)

    def close(self) -> None:
        """Handlers are no longer called."""
        self._loop.remove_reader(self._epoll)
        self._epoll.close()
        self._handlers.clear()
        self._close_sockets()

    def add(self, number: int, events: int, handler: Handler) -> None:
        """Call the handler when the descriptor has one of the events, by edges or by level as they say."""
        self._epoll.register(number, events)
        self._handlers[number] = handler

    def change(self, number: int, events: int) -> None:
        """Watch for other events; those there already come at once."""
        self._epoll.modify(number, events)

    def remove(self, number: int) -> None:
        """Stop calling, of a descriptor that is not closed."""
        if self._handlers.pop(number, None) is not None:
            self._epoll.unregister(number)

    def close_socket(self, closed: socket.socket) -> None:
        """Stop calling, and close when this batch of events is done."""
        self._handlers.pop(closed.fileno(), None)
        if not self._closing:
            self._loop.call_soon(self._close_sockets)
        self._closing.append(closed)

    def again(self, number: int, events: int) -> None:
        """Call the handler once more after others had their turn."""
        if not self._again:
            self._loop.call_soon(self._run)
        self._again.append((number, events))

    def _run(self) -> None:
        if self._epoll.closed:
            return
        events = self._epoll.poll(0, BATCH)
        if self._again:
            events += self._again
            self._again = []
        handlers = self._handlers
        for number, happened in events:
            if (handler := handlers.get(number)) is not None:
                handler(happened)
        if self._closing:
            self._close_sockets()

    def _close_sockets(self) -> None:
        for closed in self._closing:
            closed.close()
        self._closing.clear()

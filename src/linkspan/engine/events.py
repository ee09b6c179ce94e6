"""The event stream: every subscriber sees every event from its subscription on, in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from linkspan.model.errors import UnavailableError
from linkspan.model.events import Event

BACKLOG = 4096
"""Events a subscriber may be behind before it is cut off, so that a sleeping one cannot fill memory."""


KEPT = 256
"""The latest events, for a subscriber that comes later than what it serves (Docker keeps as many)."""


class Announcer:
    """Hands events to subscribers without ever waiting for one."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._closed = False

    def announce(self, event: Event) -> None:
        """Give `event` to every subscriber; one that is too far behind gets no more."""
        self._kept.append(event)
        for queue in list(self._queues):
            if queue.qsize() < BACKLOG:
                queue.put_nowait(event)
            else:
                self._queues.discard(queue)
                queue.put_nowait(None)

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(None)

    def subscribe(self, *, past: bool = False) -> AsyncIterator[Event]:
        """Events from this call on, with `past` after the latest before it.

        Raises `UnavailableError` in a subscriber that fell too far behind.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        for event in self._kept if past else ():
            queue.put_nowait(event)
        if self._closed:
            queue.put_nowait(None)
        self._queues.add(queue)
        return self._follow(queue)

    async def _follow(self, queue: "asyncio.Queue[Event | None]") -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
            if queue not in self._queues:
                raise UnavailableError(
                    f"events were missed: the subscriber was {BACKLOG} behind", hint="subscribe again"
                )
        finally:
            self._queues.discard(queue)

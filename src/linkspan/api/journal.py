"""The latest events, kept for clients that ask for what has been, and passed on to those that follow.

Docker keeps 256 (`daemon/events`): a client that asks `since` gets no more than these.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from linkspan.model.events import Event

KEPT = 256
BACKLOG = 4096
"""Events a follower may be behind before its stream ends: what reads too slowly must not fill memory."""

Queue: TypeAlias = "asyncio.Queue[Event | None]"


class Journal:
    """Records events from several sources in the order of their arrival."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._followers: set[Queue] = set()

    async def record(self, source: AsyncIterator[Event]) -> None:
        """Take over a source until it ends."""
        async for event in source:
            self.add(event)

    def add(self, event: Event) -> None:
        """Keep an event, and pass it on."""
        self._kept.append(event)
        for queue in list(self._followers):
            if queue.qsize() < BACKLOG:
                queue.put_nowait(event)
            else:
                self._followers.discard(queue)
                queue.put_nowait(None)

    @contextmanager
    def following(self) -> Iterator[tuple[tuple[Event, ...], Queue]]:
        """What is kept, and a queue with everything after it; None in the queue is its end."""
        queue: Queue = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield tuple(self._kept), queue
        finally:
            self._followers.discard(queue)

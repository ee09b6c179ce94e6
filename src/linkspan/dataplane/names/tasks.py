"""The tasks of the name server. A mistake in one of them is logged: it must not end the service of everyone else."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

log = logging.getLogger(__name__)

Value = TypeVar("Value")


class Tasks:
    """A context: leaving it cancels what is under way, and waits for its end."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> "Tasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in list(self._running):
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def done(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            await asyncio.wait(self._running)

    def start(self, work: Callable[[], Coroutine[object, object, Value]], name: str) -> "asyncio.Task[Value | None]":
        """Run `work`; None comes of it when it fails."""
        task = self._group.create_task(_guarded(work), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


async def _guarded(work: Callable[[], Coroutine[object, object, Value]]) -> Value | None:
    try:
        return await work()
    except Exception:
        log.exception("name server: a question could not be answered")
        return None

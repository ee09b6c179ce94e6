"""Work that several callers follow: one transfer of an image, whoever asks for it at the same time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from linkspan.model.images import ImageProgress
from linkspan.tasks import Tasks, settle

Say: TypeAlias = Callable[[ImageProgress], None]


@dataclass(eq=False)
class _Job:
    """What has been said so far, but for numbers that change, and who listens; None in a queue is the end."""

    done: "asyncio.Future[Any]"
    task: "asyncio.Task[None] | None" = None
    said: list[ImageProgress] = field(default_factory=list)
    queues: "set[asyncio.Queue[ImageProgress | None]]" = field(default_factory=set)

    def say(self, progress: ImageProgress) -> None:
        if not progress.current:
            self.said.append(progress)
        for queue in self.queues:
            queue.put_nowait(progress)

    def end(self) -> None:
        for queue in self.queues:
            queue.put_nowait(None)


class Jobs:
    """The work that is being done."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._jobs: dict[Hashable, _Job] = {}
        self.carry_out = self._tasks.carry_out

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take work while the block runs. What is followed ends with it; what is carried out is finished."""
        async with self._tasks.open():
            try:
                yield
            finally:
                for job in self._jobs.values():
                    if job.task is not None:
                        job.task.cancel()

    async def follow(
        self, key: Hashable, start: Callable[[Say], Awaitable[None]]
    ) -> AsyncGenerator[ImageProgress, None]:
        """What is said by the work of that key, which is started unless it runs; cancelled when nobody follows it."""
        job = self._jobs.get(key) or self._start(key, start)
        queue: asyncio.Queue[ImageProgress | None] = asyncio.Queue()
        for progress in job.said:
            queue.put_nowait(progress)
        job.queues.add(queue)
        try:
            while (progress_or_end := await queue.get()) is not None:
                yield progress_or_end
            await asyncio.shield(job.done)
        finally:
            job.queues.discard(queue)
            if not job.queues and not job.done.done() and job.task is not None:
                self._jobs.pop(key, None)  # who comes now starts anew
                job.task.cancel()

    def _start(self, key: Hashable, start: Callable[[Say], Awaitable[None]]) -> _Job:
        job = _Job(asyncio.get_running_loop().create_future())

        async def whole() -> None:
            await start(job.say)

        async def work() -> None:
            try:
                await settle(whole(), job.done)
            finally:
                if self._jobs.get(key) is job:
                    del self._jobs[key]
                job.end()

        self._jobs[key] = job
        job.task = self._tasks.task(work(), "transfer an image")
        return job

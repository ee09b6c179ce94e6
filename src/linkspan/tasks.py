"""Work that is finished whoever waits for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Tasks:
    """Runs work in a task group: a caller who is cancelled does not leave things half done."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take work while the block runs, and wait for the rest of it at the end.

        An error of the block comes out as itself, not in a group; the work that has begun is finished first.
        """
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as self._group:
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - raised again once the work is finished
                failure = error
        self._group = None
        if failure is not None:
            raise failure

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start `work` that nobody waits for; an error is logged."""
        self.started(work, name).add_done_callback(partial(_report, name))

    def started(self, work: Coroutine[Any, Any, Result], name: str) -> "asyncio.Future[Result]":
        """Start `work`; the future has its outcome, an error included."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._group_in_use.create_task(settle(work, done), name=name)
        return done

    def task(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """A task that can be cancelled, for work that deals with its errors by itself."""
        return self._group_in_use.create_task(work, name=name)

    @property
    def _group_in_use(self) -> asyncio.TaskGroup:
        assert self._group is not None, "containers and images are used inside `running()`"
        return self._group

    async def carry_out(self, work: Coroutine[Any, Any, Result], name: str) -> Result:
        """Do `work` to its end, and wait for it as long as the caller is not cancelled."""
        return await asyncio.shield(self.started(work, name))


def _report(name: str, done: "asyncio.Future[Any]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("%s: unexpected %r", name, error, exc_info=error)


async def settle(work: Coroutine[Any, Any, Result], done: "asyncio.Future[Result]") -> None:
    """Hand the outcome to whoever waits; an error must not end the group."""
    try:
        result = await work
    except asyncio.CancelledError:
        done.cancel()
        raise
    except Exception as error:  # noqa: BLE001 - handed to whoever waits
        if not done.cancelled():
            done.set_exception(error)
            done.exception()  # nobody may be left to look at it
    else:
        if not done.cancelled():
            done.set_result(result)

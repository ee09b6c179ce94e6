"""Starting again what has ended, as restart policies say (Docker's rules and times)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from linkspan.containers.context import Context
from linkspan.containers.register import Life
from linkspan.model.containers import ContainerState, Status
from linkspan.model.errors import LinkspanError
from linkspan.model.resources import Restart, RestartPolicy

log = logging.getLogger(__name__)

FIRST, MOST = 0.1, 60.0
"""Seconds before the first start, and at most: each wait is twice the one before."""
STEADY = 10.0
"""Seconds after which a run counts as good: the next wait is the first one again."""


def starts_again(policy: RestartPolicy, state: ContainerState) -> bool:
    """Whether a container that has ended in `state` is started again now."""
    if state.stopped:
        return False
    if policy.name is Restart.ON_FAILURE:
        return state.exit_code != 0 and (policy.most == 0 or state.restarts < policy.most)
    return policy.name in (Restart.ALWAYS, Restart.UNLESS_STOPPED)


def starts_with_us(policy: RestartPolicy, state: ContainerState) -> bool:
    """Whether a container that does not run is started when the daemon starts: if it has ever been started."""
    if state.started is None or state.status not in (Status.EXITED, Status.RESTARTING):
        return False
    return policy.name is Restart.ALWAYS or starts_again(policy, state)


def next_wait(before: float, state: ContainerState) -> float:
    """Seconds until the next start; `before` are those of the last time, 0 when there was none."""
    ran = (state.finished - state.started).total_seconds() if state.finished and state.started else 0.0
    if ran >= STEADY or before == 0:
        return FIRST
    return min(2 * before, MOST)


class Restarts:
    """Waits, and starts. `start` starts a container whose lock is held, and counts it as one start more."""

    def __init__(self, context: Context, start: Callable[[Life], Awaitable[None]]) -> None:
        self._context = context
        self._start = start

    async def again(self, life: Life) -> None:
        """Start a container that waits for it, when its time has come; nothing happens when it was called off."""
        life.wait = next_wait(life.wait, life.container.state)
        called_off: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        life.called_off = called_off
        await asyncio.wait([called_off], timeout=life.wait)
        if called_off.done():
            return
        await self.now(life)

    async def now(self, life: Life) -> None:
        """Start a container because its policy says so; why that fails is kept in its state."""
        async with life.lock:
            state = life.container.state
            if not self._context.register.has(life) or life.leaving or state.running:
                return
            try:
                await self._start(life)
            except LinkspanError as error:
                log.warning("container %s could not be started again: %s", life.container.name, error.message)

    async def call_off(self, life: Life) -> bool:
        """A container that waits for its next start has ended for good; False when it does not wait."""
        async with life.lock:
            container = life.container
            if container.state.status is not Status.RESTARTING:
                return False
            life.forget_restart()
            state = replace(container.state, status=Status.EXITED, stopped=True)
            await self._context.register.save(life, replace(container, state=state))
            life.conclude()
            return True

"""After the end of a container: its exit status is kept, and everything it held is released."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime

from linkspan.containers.context import Context
from linkspan.containers.failures import RuntimeFailureError
from linkspan.containers.layout import Places
from linkspan.containers.monitor import end_strays
from linkspan.containers.register import Life
from linkspan.containers.restarting import starts_again
from linkspan.model.containers import Container, ContainerState, Status
from linkspan.model.errors import LinkspanError
from linkspan.model.health import Condition

log = logging.getLogger(__name__)

UNKNOWN = 255
"""The exit status of a container whose monitor could not leave one, as after a power cut (Docker's number)."""


class Ender:
    """Ends containers. The caller holds the lock of the life."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def finish(self, life: Life) -> None:
        """The container has ended: release what it held, keep how it ended, tell everyone.

        The order makes it repeatable: whatever has been done when we die is found done by the next of us, and the
        bundle, which has the exit status, goes last.
        """
        context, container = self._context, life.container
        places = context.layout.of(container.id)
        state = ended_state(container.state, places, context.surroundings.now())
        if not life.leaving and not container.wanted.auto_remove and starts_again(container.wanted.restart, state):
            state = replace(state, status=Status.RESTARTING, restarts=state.restarts + 1)
        if life.execs:
            await _attempt(
                "ending what runs in", container, end_strays(context.layout.bundles, frozenset({container.id}))
            )
        sandbox: list[str | None] = [container.id]

        async def leave() -> None:
            sandbox[0] = await context.sandboxes.leave(container)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_attempt("releasing the network of", container, leave()), name="leave the sandbox")
            tasks.create_task(_attempt("clearing", container, context.clear(container.id)), name="clear the container")
        ended = replace(container, state=state, sandbox=sandbox[0])
        await context.register.save(life, ended)
        await _attempt("deleting the bundle of", container, context.remove_bundle(container.id))
        life.monitor = None
        life.execs.clear()
        await _attempt("leaving the volumes of", container, context.volumes.leave(ended))
        if state.oom_killed:
            context.announce(ended, "oom")
        context.announce(ended, "die", exitCode=str(state.exit_code), execDuration=_duration(state))
        if container.wanted.auto_remove or life.leaving:
            life.leaving = True
            await self.erase(life)
        else:
            life.conclude()

    async def erase(self, life: Life) -> None:
        """Remove a container that does not run, and everything of it."""
        context, container = self._context, life.container
        if container.state.status is not Status.REMOVING:
            state = replace(container.state, status=Status.REMOVING)
            await context.register.save(life, replace(container, state=state))
        await context.clear(container.id)
        await context.remove_bundle(container.id)
        await context.remove_data(container.id)
        await context.register.remove(life)
        if life.takes_volumes or container.wanted.auto_remove:
            await context.volumes.release(container)
        context.announce(container, "destroy")
        life.conclude(removed=True)


def _duration(state: ContainerState) -> str:
    """Whole seconds that it ran."""
    if state.started is None or state.finished is None:
        return "0"
    return str(max(0, int((state.finished - state.started).total_seconds())))


def ended_state(state: ContainerState, places: Places, now: datetime) -> ContainerState:
    """How a container has ended, by the files its monitor left."""
    exit_file = places.bundle / "exit"
    try:
        code = int(exit_file.read_text())
        finished = datetime.fromtimestamp(exit_file.stat().st_mtime, UTC)
    except (OSError, ValueError):
        code, finished = UNKNOWN, now
    oom = (places.bundle / "oom").exists()
    # What nobody looks at any more is not healthy, in Docker's inspect and filters (moby's daemon/health.go).
    health = None if state.health is None else replace(state.health, condition=Condition.UNHEALTHY)
    ended = replace(state, status=Status.EXITED, pid=0, exit_code=code, finished=finished, health=health)
    return replace(ended, oom_killed=oom, error="")


async def _attempt(what: str, container: Container, work: Awaitable[None]) -> None:
    """Tear-down never stops at a step that fails: the next start of ours tries again."""
    try:
        await work
    except (LinkspanError, RuntimeFailureError, OSError):
        log.exception("%s %s failed", what, container.name)

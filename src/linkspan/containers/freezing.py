"""Pausing containers, and changing the limits of running ones."""

from dataclasses import replace

from linkspan.containers import limits
from linkspan.containers.context import Context
from linkspan.containers.devices import find_numbers
from linkspan.containers.failures import RuntimeFailureError, not_running
from linkspan.containers.isolation import check_policy, cpus, nodes
from linkspan.containers.register import Life
from linkspan.model.containers import Status
from linkspan.model.errors import ConflictError, InvalidError, UnavailableError
from linkspan.model.resources import Resources, Restart, RestartPolicy


class Freezer:
    """Changes what runs, without ending it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def pause(self, life: Life) -> None:
        """Freeze every process. Raises `ConflictError` unless it runs."""
        async with self._context.register.changing(life):
            container = life.container
            if not life.running:
                raise not_running(container)
            if container.state.status is Status.PAUSED:
                raise ConflictError(f"container {container.id} is already paused", field="container")
            await self._told("pause", life)
            await self._save(life, Status.PAUSED)
            self._context.announce(container, "pause")

    async def unpause(self, life: Life) -> None:
        """Let every process go on. Raises `ConflictError` unless it is paused."""
        async with self._context.register.changing(life):
            if life.container.state.status is not Status.PAUSED:
                raise ConflictError(f"Container {life.container.id} is not paused", field="container")
            await self._thaw(life)

    async def thaw(self, life: Life) -> None:
        """Let a paused container go on, so that it can be ended."""
        async with life.lock:
            if life.container.state.status is Status.PAUSED:
                await self._thaw(life)

    async def _thaw(self, life: Life) -> None:
        await self._told("resume", life)
        await self._save(life, Status.RUNNING)
        self._context.announce(life.container, "unpause")

    async def _save(self, life: Life, status: Status) -> None:
        container = life.container
        await self._context.register.save(life, replace(container, state=replace(container.state, status=status)))

    async def _told(self, verb: str, life: Life) -> None:
        try:
            await self._context.conmon.control(verb, life.container.id)
        except RuntimeFailureError as failure:
            raise UnavailableError(f"cannot {verb} container {life.container.id}: {failure}") from failure

    async def update(self, life: Life, change: Resources, policy: RestartPolicy | None) -> None:
        """Other limits, at once if it runs, and another restart policy. Raises `InvalidError`, and nothing changes."""
        async with self._context.register.changing(life):
            wanted = life.container.wanted
            if life.leaving:
                raise ConflictError("Container is marked for removal and cannot be updated", field="container")
            if policy is not None:
                check_policy(policy, auto_remove=False)
            if policy is not None and wanted.auto_remove and policy.name is not Restart.NO:
                raise _unchanged(
                    life, "Restart policy cannot be updated because AutoRemove is enabled for the container"
                )
            try:
                changed = limits.changed(wanted.resources, change)
            except InvalidError as error:
                raise _unchanged(life, error.message) from error
            changed = limits.checked(changed, cpus(), nodes())
            if changed != wanted.resources and life.running:
                await self._apply(life, changed)
            wanted = replace(wanted, resources=changed, restart=policy or wanted.restart)
            await self._context.register.save(life, replace(life.container, wanted=wanted))
            self._context.announce(life.container, "update")

    async def _apply(self, life: Life, wanted: Resources) -> None:
        document = limits.resources(wanted, self._context.abilities.lacking, find_numbers(wanted))
        try:
            await self._context.conmon.update(life.container.id, document)
        except RuntimeFailureError as failure:
            raise InvalidError(f"Cannot update container {life.container.id}: {failure}", field="memory") from failure


def _unchanged(life: Life, reason: str) -> ConflictError:
    return ConflictError(f"Cannot update container {life.container.id}: {reason}", field="container")

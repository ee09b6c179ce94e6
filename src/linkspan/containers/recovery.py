"""Taking over what an earlier process left: running containers, containers that ended meanwhile, and half-made ones."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from linkspan.containers.connecting import Connector
from linkspan.containers.context import Context
from linkspan.containers.ending import Ender
from linkspan.containers.failures import RuntimeFailureError
from linkspan.containers.monitor import Monitor, end_strays, named_by_programs
from linkspan.containers.register import Life
from linkspan.containers.spec import cgroup_of
from linkspan.containers.trees import remove_tree
from linkspan.model.containers import Status
from linkspan.model.errors import LinkspanError

log = logging.getLogger(__name__)

AT_ONCE = 8
"""How many leftovers are taken away at the same time: a process of the runtime each, which mostly waits."""


@dataclass(frozen=True, slots=True)
class Found:
    """The containers that run, and those that were running and have ended since."""

    running: Sequence[Life]
    ended: Sequence[Life]


async def take_over(context: Context, ender: Ender, connector: Connector) -> Found:
    """Find out what has become of every container, and clean up after those that were not finished.

    What is remembered as running is running, or has left its exit status; everything else on the machine is a leftover
    of a start or a removal that was cut short.
    """
    running: list[Life] = []
    ended: list[Life] = []
    for life in context.register.all():
        if life.running:
            life.monitor = Monitor.find(context.layout.of(life.container.id), life.container.state.pid)
            (running if life.monitor is not None else ended).append(life)
    in_use = frozenset(life.container.id for life in (*running, *ended))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_sweep(context, in_use), name="sweep containers")
        tasks.create_task(_sweep_execs(context, running), name="sweep execs")
        tasks.create_task(context.sandboxes.sweep(), name="sweep sandboxes")
        tasks.create_task(_see_frozen(context, running), name="see which containers are paused")
    for life in context.register.all():
        await _settle(context, ender, life)
        await _reconcile(connector, life)
    return Found(running, ended)


async def _see_frozen(context: Context, running: Sequence[Life]) -> None:
    """Whether a container is paused is decided by its control group: we may have died between that and our note."""
    for life in running:
        container = life.container
        status = Status.PAUSED if await context.host.frozen(cgroup_of(container)) else Status.RUNNING
        if status is not container.state.status:
            await context.register.save(life, replace(container, state=replace(container.state, status=status)))


async def _sweep(context: Context, in_use: frozenset[str]) -> None:
    """Processes, mounts and directories of containers that do not run."""
    register = context.register
    mounted = {path.parent.name for path in await context.host.mounts(context.layout.bundles)}
    leftovers = frozenset(id for id in (*context.layout.leftovers(), *mounted) if id not in in_use)
    if leftovers:
        await end_strays(context.layout.bundles, leftovers)
    turns = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        for id in sorted(leftovers):
            tasks.create_task(_take_away(context, id, turns), name=f"take away {id[:12]}")
    for id in context.layout.with_data():
        if id not in register.lives:
            await context.remove_data(id)


async def _take_away(context: Context, id: str, turns: asyncio.Semaphore) -> None:
    async with turns:
        try:
            await context.clear(id)
            await context.remove_bundle(id)
        except (LinkspanError, RuntimeFailureError, OSError):
            log.exception("the leftovers of container %s could not be taken away", id[:12])


async def _sweep_execs(context: Context, running: Sequence[Life]) -> None:
    """Bundles of further processes of running containers that have ended, or never came to be.

    What still runs keeps its bundle, until the next start of ours or the end of its container.
    """
    bundles = {bundle for life in running for bundle in context.layout.of(life.container.id).execs()}
    for bundle in bundles - named_by_programs(bundles):
        await asyncio.to_thread(remove_tree, bundle)


async def _settle(context: Context, ender: Ender, life: Life) -> None:
    """Finish a removal that had begun; remove what would have been removed at its end."""
    container = life.container
    if life.running:
        return
    if container.state.status is Status.REMOVING or container.wanted.auto_remove:
        life.leaving = True
        try:
            await ender.erase(life)
        except (LinkspanError, RuntimeFailureError, OSError):
            log.exception("container %s could not be removed", container.name)
    elif container.sandbox is not None and container.sandbox not in context.engine.sandboxes:
        await context.register.save(life, replace(container, sandbox=None))


async def _reconcile(connector: Connector, life: Life) -> None:
    try:
        await connector.reconcile(life)
    except (LinkspanError, OSError):
        log.exception("the networks of container %s could not be put right", life.container.name)

"""Looking after containers that run: their health, their end, and whether they are started again."""

import asyncio
import logging
from functools import partial

from linkspan.containers.checks import CONTAINER_MODE
from linkspan.containers.context import Context
from linkspan.containers.ending import Ender
from linkspan.containers.execs import Execs
from linkspan.containers.probing import Probing
from linkspan.containers.recovery import Found
from linkspan.containers.register import Life, settle
from linkspan.containers.restarting import Restarts, starts_with_us
from linkspan.containers.rotating import Rotator
from linkspan.containers.starting import Starter
from linkspan.model.containers import Status
from linkspan.tasks import Tasks

log = logging.getLogger(__name__)


class Watcher:
    """One task for each container that runs, and one for each that waits to be started again."""

    def __init__(
        self, context: Context, tasks: Tasks, starter: Starter, ender: Ender, execs: Execs, rotator: Rotator
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._starter = starter
        self._ender = ender
        self._rotator = rotator
        self._probing = Probing(context, execs)
        self.restarts = Restarts(context, self._start_again)
        self._letting_go = False

    def begin(self, found: Found) -> None:
        """Look after what was taken over, and start what is to run with us."""
        for life in found.running:
            self.watch(life)
        for life in found.ended:
            self._tasks.begin(self._conclude(life), f"end {life.container.name}")
        waiting = [
            life
            for life in self._context.register.all()
            if not life.leaving and starts_with_us(life.container.wanted.restart, life.container.state)
        ]
        if waiting:
            self._tasks.begin(self._start_all(waiting), "start containers with the daemon")

    async def _start_all(self, lives: list[Life]) -> None:
        """Those that share the network of another come after it."""
        for shared in (False, True):
            async with asyncio.TaskGroup() as tasks:
                for life in lives:
                    if life.container.wanted.mode.startswith(CONTAINER_MODE) is shared and not self._letting_go:
                        tasks.create_task(self.restarts.now(life), name=f"start {life.container.name}")

    async def _start_again(self, life: Life) -> None:
        if await self._starter.start(life, restarts=life.container.state.restarts):
            self.watch(life)

    def watch(self, life: Life) -> None:
        """Look after a container that has just been started."""
        life.over = asyncio.get_running_loop().create_future()
        self._rotator.begin(life)
        self._tasks.begin(self._until_end(life), f"watch {life.container.name}")
        if life.container.wanted.health is not None:
            self._tasks.begin(self._probing.watch(life, life.over), f"health of {life.container.name}")

    async def _until_end(self, life: Life) -> None:
        monitor = life.monitor
        assert monitor is not None
        try:
            if await monitor.ended(partial(_cut, life)):
                await self._conclude(life)
        finally:
            monitor.close()

    async def _conclude(self, life: Life) -> None:
        async with life.lock:
            settle(life.over)
            self._rotator.end(life)
            try:
                await self._ender.finish(life)
            except Exception as error:
                log.exception("the end of container %s could not be dealt with", life.container.name)
                life.fail(error)
        if life.container.state.status is Status.RESTARTING and not self._letting_go:
            self._tasks.begin(self.restarts.again(life), f"restart {life.container.name}")

    def let_go(self) -> None:
        """Stop looking; the containers go on."""
        self._letting_go = True
        for life in self._context.register.all():
            settle(life.over)
            life.forget_restart()
            if life.monitor is not None:
                life.monitor.let_go()
            for attachment in life.attachments:
                attachment.cut()
            life.end_streams()


def _cut(life: Life) -> None:
    """Somebody who is attached does not read, and so holds conmon up."""
    log.warning("container %s has ended, but a client does not read its output: its stream is cut", life.container.name)
    for attachment in life.attachments:
        attachment.cut()

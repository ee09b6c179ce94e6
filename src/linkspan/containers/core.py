"""The facade of the room: containers, as every front door uses them."""

import asyncio
import logging
import signal as signals
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from linkspan.containers import logs
from linkspan.containers.attach import Attachment, resize
from linkspan.containers.checks import CONTAINER_MODE, check_container_name, checked
from linkspan.containers.connecting import Connector
from linkspan.containers.context import Context
from linkspan.containers.ending import Ender
from linkspan.containers.execs import Execs
from linkspan.containers.layout import Layout
from linkspan.containers.logfile import Selection
from linkspan.containers.names import name_of
from linkspan.containers.ports import ContainerStore, Host
from linkspan.containers.recovery import take_over
from linkspan.containers.register import Life
from linkspan.containers.signals import signal_number
from linkspan.containers.starting import Starter
from linkspan.containers.tasks import Tasks
from linkspan.engine.core import Engine
from linkspan.engine.ports import Surroundings
from linkspan.model.containers import Container, CreateContainer, Exec, ExecRequest, LogChunk
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError
from linkspan.model.requests import EndpointRequest

log = logging.getLogger(__name__)

CONDITIONS = ("not-running", "next-exit", "removed")
"""What one can wait for."""


class Containers:
    """The containers of one engine. To be used inside `async with containers.running():`."""

    def __init__(
        self,
        engine: Engine,
        *,
        host: Host,
        store: ContainerStore,
        data_root: Path,
        exec_root: Path,
        surroundings: Surroundings,
        runtime: str = "",
    ) -> None:
        layout = Layout(data_root, exec_root)
        self._context = Context(engine, host, store, layout, surroundings, runtime)
        self._register = self._context.register
        self._tasks = Tasks()
        self._starter = Starter(self._context)
        self._ender = Ender(self._context)
        self._execs = Execs(self._context, self._tasks)
        self._connector = Connector(self._context)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Containers"]:
        """Take over what runs, clean up what was left half made, and serve until the block ends; containers go on."""
        self._context.abilities = await self._context.host.abilities()
        await self._register.load()
        found = await take_over(self._context, self._ender, self._connector)
        async with self._tasks.open():
            for life in found.running:
                self._watch(life)
            for life in found.ended:
                self._tasks.begin(self._conclude(life), f"end {life.container.name}")
            try:
                yield self
            finally:
                self._let_go()

    def _let_go(self) -> None:
        for life in self._register.all():
            if life.monitor is not None:
                life.monitor.let_go()
            for attachment in life.attachments:
                attachment.cut()
            life.end_streams()
        self._execs.let_go()

    def _watch(self, life: Life) -> None:
        self._tasks.begin(self._until_end(life), f"watch {life.container.name}")

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
            try:
                await self._ender.finish(life)
            except Exception:
                log.exception("the end of container %s could not be dealt with", life.container.name)

    # ------------------------------------------------------------------------------------------------------- look up

    def get(self, reference: str) -> Container:
        """A container by id, name or unique prefix of an id; `NotFoundError` in Docker's words."""
        return self._register.get(reference).container

    def all(self) -> Sequence[Container]:
        """Every container, the oldest first."""
        return [life.container for life in self._register.all()]

    # --------------------------------------------------------------------------------------------------------- lives

    async def create(self, wanted: CreateContainer) -> Container:
        """A container that can be started. Raises `InvalidError`, or `ConflictError` for a name that is taken.

        Networks are looked up at start, as in Docker.
        """
        id = self._context.surroundings.new_id()
        wanted = checked(replace(wanted, name=wanted.name.removeprefix("/") or self._free_name(id)))
        if wanted.mode.startswith(CONTAINER_MODE):
            owner = self._register.get(wanted.mode.removeprefix(CONTAINER_MODE))
            wanted = replace(wanted, mode=f"{CONTAINER_MODE}{owner.container.id}")
        wanted = self._context.links.resolved(wanted)
        container = Container(id, wanted.name, self._context.surroundings.now(), wanted)
        await self._tasks.carry_out(self._register.add(container), f"create {container.name}")
        self._context.announce(container, "create")
        return container

    def _free_name(self, id: str) -> str:
        name = name_of(id)
        return f"{name}_{id[:4]}" if self._register.has_name(name) else name

    async def start(self, reference: str) -> bool:
        """Start; False when it runs already. The network is complete before the process starts."""
        life = self._register.get(reference)
        return await self._tasks.carry_out(self._start(life), f"start {life.container.name}")

    async def _start(self, life: Life) -> bool:
        async with self._register.changing(life):
            try:
                started = await self._starter.start(life)
            except LinkspanError:
                if life.container.wanted.auto_remove:
                    life.leaving = True
                    await self._ender.erase(life)
                raise
            if started:
                self._watch(life)
            return started

    async def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> bool:  # noqa: ASYNC109 - Docker\'s
        """End the process by its stop signal, and after `timeout` seconds (below zero: never) by SIGKILL.

        False when it does not run. Returns once it has ended and released its network.
        """
        life = self._register.get(reference)
        number = signal_number(signal or life.container.wanted.stop_signal)
        return await self._tasks.carry_out(self._stop(life, timeout, number), f"stop {life.container.name}")

    async def _stop(self, life: Life, patience: int | None, number: int) -> bool:
        if not life.running:
            return False
        seconds = life.container.wanted.stop_timeout if patience is None else patience
        ended = life.next_exit()
        self._signal(life, number)
        done, _ = await asyncio.wait([ended], timeout=seconds if seconds >= 0 else None)
        if not done:
            self._signal(life, signals.SIGKILL)
            await ended
        self._context.announce(life.container, "stop")
        return True

    def _signal(self, life: Life, number: int) -> None:
        if life.monitor is not None:
            life.monitor.signal(number)
            self._context.announce(life.container, "kill", signal=str(int(number)))

    async def restart(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:  # noqa: ASYNC109 - Docker\'s
        """Stop, if it runs, and start."""
        life = self._register.get(reference)
        await self.stop(life.container.id, timeout=timeout, signal=signal)
        await self.start(life.container.id)
        self._context.announce(life.container, "restart")

    async def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal to the process; for SIGKILL, wait for its end. Raises `ConflictError` when it does not run."""
        life = self._register.get(reference)
        number = signal_number(signal)
        if not life.running:
            raise ConflictError(
                f"cannot kill container: {reference}: container {life.container.id} is not running", field="container"
            )
        ended = life.next_exit()
        self._signal(life, number)
        if number == signals.SIGKILL:
            await ended

    def wait(self, reference: str, condition: str = "not-running") -> Coroutine[Any, Any, tuple[int, str | None]]:
        """The exit status, and why it could not be had, once `condition` holds.

        What is waited for counts from this call on, not from the first `await`: an answer may be promised in between.
        """
        life = self._register.get(reference)
        if condition == "removed":
            ended = life.removal()
        elif condition == "next-exit" or life.running:
            ended = life.next_exit()
        else:
            ended = asyncio.get_running_loop().create_future()
            ended.set_result(life.container.state.exit_code)
        if condition not in CONDITIONS:
            raise InvalidError(f'invalid condition: "{condition}"', field="condition", value=condition)
        return _status(ended)

    async def remove(self, reference: str, *, force: bool = False) -> None:
        """Remove a container that does not run, or with `force` any. Raises `ConflictError` otherwise."""
        life = self._register.get(reference)
        if life.leaving:
            raise ConflictError(f"removal of container {reference} is already in progress", field="container")
        if life.running and not force:
            raise ConflictError(
                f'cannot remove container "/{life.container.name}": container is running: '
                "stop the container before removing or force remove",
                field="container",
                value=life.container.name,
            )
        life.leaving = True
        await self._tasks.carry_out(self._remove(life), f"remove {life.container.name}")

    async def _remove(self, life: Life) -> None:
        removed = life.removal()
        try:
            async with life.lock:  # a start that has begun is finished first
                if removed.done():  # it has ended meanwhile, and been removed at its end
                    pass
                elif life.running:
                    self._signal(life, signals.SIGKILL)
                else:
                    await self._ender.erase(life)
            await removed
        except BaseException:
            life.leaving = False
            raise

    async def rename(self, reference: str, name: str) -> None:
        """Give a container another name."""
        life = self._register.get(reference)
        name = check_container_name(name.removeprefix("/"))
        old = life.container.name
        if name == old:
            raise InvalidError("Renaming a container with the same name as its current name", field="name", value=name)
        await self._tasks.carry_out(self._rename(life, name), f"rename {old}")
        self._context.announce(life.container, "rename", oldName=f"/{old}")

    async def _rename(self, life: Life, name: str) -> None:
        async with self._register.changing(life):
            await self._register.rename(life, name)
            await self._context.sandboxes.rename(life.container)

    # ----------------------------------------------------------------------------------------------------- networks

    async def connect(self, reference: str, endpoint: EndpointRequest) -> None:
        """Join one more network: at once when it runs, else at its next start."""
        life = self._register.get(reference)
        await self._tasks.carry_out(self._connector.connect(life, endpoint), f"connect {life.container.name}")

    async def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        """Leave a network; with `force`, one that is gone too."""
        life = self._register.get(reference)
        work = self._connector.disconnect(life, network, force=force)
        await self._tasks.carry_out(work, f"disconnect {life.container.name}")

    # ------------------------------------------------------------------------------------------------------ streams

    def logs(
        self,
        reference: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        follow: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[LogChunk]:
        """What the container has written; with `follow`, also what it writes until it ends."""
        life = self._register.get(reference)
        path = self._context.layout.of(life.container.id).log
        selection = Selection(stdout, stderr, since, until, timestamps)
        if not follow or not life.running:
            return logs.chunks(path, selection, tail)
        return logs.follow(path, selection, tail, self._context.host.watch, life.next_exit())

    async def attach(
        self, reference: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> Attachment:
        """The streams of the process. Before it is started, they are connected just before its first instruction."""
        life = self._register.get(reference)
        bundle = self._context.layout.of(life.container.id).bundle
        attachment = Attachment(
            stdin=stdin, stdout=stdout, stderr=stderr, resize=partial(resize, bundle), closed=partial(_detach, life)
        )
        async with self._register.changing(life):
            life.attachments.append(attachment)
            if life.running:
                try:
                    await attachment.connect(bundle)
                except OSError:  # it has just ended
                    attachment.conclude()
        self._context.announce(life.container, "attach")
        return attachment

    async def resize(self, reference: str, height: int, width: int) -> None:
        """Tell the terminal of a container its size."""
        life = self._register.get(reference)
        if not life.running:
            raise ConflictError(f"container {life.container.id} is not running", field="container", value=reference)
        resize(self._context.layout.of(life.container.id).bundle, height, width)
        self._context.announce(life.container, "resize", height=str(height), width=str(width))

    # -------------------------------------------------------------------------------------------------------- execs

    async def exec_create(self, reference: str, request: ExecRequest) -> Exec:
        """A session for one more process in a running container."""
        return self._execs.create(self._register.get(reference), request)

    async def exec_start(self, id: str, *, detach: bool = False) -> Attachment | None:
        """Start the process of a session; its streams, unless detached."""
        return await self._execs.start(id, detach=detach)

    def exec(self, id: str) -> Exec:
        """A session as it is now; `NotFoundError` in Docker's words."""
        return self._execs.get(id)

    async def exec_resize(self, id: str, height: int, width: int) -> None:
        """Tell the terminal of a session its size."""
        await self._execs.resize(id, height, width)


async def _status(ended: "asyncio.Future[int]") -> tuple[int, str | None]:
    return await ended, None


def _cut(life: Life) -> None:
    """Somebody who is attached does not read, and so holds conmon up."""
    log.warning("container %s has ended, but a client does not read its output: its stream is cut", life.container.name)
    for attachment in life.attachments:
        attachment.cut()


def _detach(life: Life, attachment: Attachment) -> None:
    if attachment in life.attachments:
        life.attachments.remove(attachment)

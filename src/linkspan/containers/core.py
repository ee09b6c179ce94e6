"""The facade of the room: containers, as every front door uses them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from linkspan.containers import logs
from linkspan.containers.archives import Archives
from linkspan.containers.attach import Attachment, resize
from linkspan.containers.buildsandboxes import BuildSandboxes
from linkspan.containers.checks import CONTAINER_MODE, check_container_name, checked
from linkspan.containers.connecting import Connector
from linkspan.containers.context import Context
from linkspan.containers.ending import Ender
from linkspan.containers.execs import Execs
from linkspan.containers.freezing import Freezer
from linkspan.containers.layout import Layout, Places
from linkspan.containers.logfile import Selection
from linkspan.containers.logfiles import LogFiles
from linkspan.containers.measuring import Meter
from linkspan.containers.names import name_of
from linkspan.containers.ports import Host, Store
from linkspan.containers.recovery import take_over
from linkspan.containers.register import Life
from linkspan.containers.rotating import Rotator
from linkspan.containers.signals import signal_number
from linkspan.containers.starting import Starter
from linkspan.containers.stopping import Stopper
from linkspan.containers.watching import Watcher
from linkspan.engine.core import Engine
from linkspan.engine.ports import Surroundings
from linkspan.model.containers import Abilities, Container, CreateContainer, Exec, ExecRequest, LogChunk, Status
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError, UnimplementedError
from linkspan.model.logdrivers import LogDriver
from linkspan.model.requests import EndpointRequest
from linkspan.model.resources import Resources, RestartPolicy
from linkspan.tasks import Tasks

CONDITIONS = ("not-running", "next-exit", "removed")
"""What one can wait for."""


class Containers:
    """The containers of one engine. To be used inside `async with containers.running():`."""

    def __init__(
        self,
        engine: Engine,
        *,
        host: Host,
        store: Store,
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
        self._freezer = Freezer(self._context)
        self._rotator = Rotator(host, layout)
        self._watcher = Watcher(self._context, self._tasks, self._starter, self._ender, self._execs, self._rotator)
        self._stopper = Stopper(self._context, self._watcher.restarts, self._freezer, self._ender)
        self.volumes = self._context.volumes
        self.meter = Meter(self._context)
        self.archives = Archives(self._context)
        self.build_sandboxes = BuildSandboxes(self._context, self._tasks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Containers"]:
        """Take over what runs, clean up what was left half made, and serve until the block ends; containers go on."""
        self._context.abilities = await self._context.host.abilities()
        await self._register.load()
        await self.volumes.load()
        found = await take_over(self._context, self._ender, self._connector)
        async with self._tasks.open(), self._rotator.running():
            self._watcher.begin(found)
            try:
                yield self
            finally:
                self._watcher.let_go()
                self._execs.let_go()

    # ------------------------------------------------------------------------------------------------------- look up

    def get(self, reference: str) -> Container:
        """A container by id, name or unique prefix of an id; `NotFoundError` in Docker's words."""
        return self._register.get(reference).container

    @property
    def abilities(self) -> Abilities:
        """What the machine can give to containers."""
        return self._context.abilities

    def runtime(self) -> str:
        """The path of the OCI runtime; `UnavailableError` when there is none."""
        return self._context.runtime()

    def all(self) -> Sequence[Container]:
        """Every container, the oldest first."""
        return [life.container for life in self._register.all()]

    # --------------------------------------------------------------------------------------------------------- lives

    async def create(self, wanted: CreateContainer) -> Container:
        """A container that can be started. Raises `InvalidError`, or `ConflictError` for a name that is taken.

        Networks are looked up at start, as in Docker; what those that are there could never give is refused now.
        """
        id = self._context.surroundings.new_id()
        wanted = checked(replace(wanted, name=wanted.name.removeprefix("/") or self._free_name(id)))
        wanted = replace(wanted, mode=self._full(wanted.mode), ipc=self._full(wanted.ipc), pid=self._full(wanted.pid))
        wanted = self._context.links.resolved(wanted)
        self._connector.check(wanted.endpoints)
        container = Container(id, wanted.name, self._context.surroundings.now(), wanted)
        return await self._tasks.carry_out(self._create(container), f"create {container.name}")

    def _full(self, mode: str) -> str:
        """A mode that names another container, by its id.

        One that is not there is `InvalidError`, as in Docker: clients take a 404 of `create` for a missing image.
        """
        if not mode.startswith(CONTAINER_MODE):
            return mode
        try:
            return f"{CONTAINER_MODE}{self._register.get(mode.removeprefix(CONTAINER_MODE)).container.id}"
        except NotFoundError as error:
            raise InvalidError(error.message, field="mode", value=mode) from error

    async def _create(self, container: Container) -> Container:
        self._register.check_name(container.name)  # before volumes are made for it
        wanted = container.wanted
        mounts = await self.volumes.claim(wanted.mounts, wanted.volumes_from)
        container = replace(container, wanted=replace(wanted, mounts=mounts))
        try:
            await self._register.add(container)
        except LinkspanError:
            await self.volumes.release(container)
            raise
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
            life.forget_restart()
            try:
                started = await self._starter.start(life)
            except LinkspanError:
                if life.container.wanted.auto_remove:
                    life.leaving = True
                    await self._ender.erase(life)
                raise
            if started:
                life.wait = 0.0
                self._watcher.watch(life)
            return started

    async def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> bool:  # noqa: ASYNC109 - Docker\'s
        """End the process by its stop signal, and after `timeout` seconds (below zero: never) by SIGKILL.

        False when it does not run. Returns once it has ended and released its network.
        """
        life = self._register.get(reference)
        number = signal_number(signal or life.container.wanted.stop_signal)
        return await self._tasks.carry_out(self._stopper.stop(life, timeout, number), f"stop {life.container.name}")

    async def restart(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:  # noqa: ASYNC109 - Docker\'s
        """Stop, if it runs, and start."""
        life = self._register.get(reference)
        await self.stop(life.container.id, timeout=timeout, signal=signal)
        await self.start(life.container.id)
        self._context.announce(life.container, "restart")

    async def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal to the process; for SIGKILL, wait for its end. Raises `ConflictError` when it does not run."""
        try:
            life = self._register.get(reference)
        except NotFoundError as error:
            text = f"cannot kill container: {reference}: {error.message}"
            raise NotFoundError(text, field=error.field, value=error.value) from error
        await self._tasks.carry_out(
            self._stopper.kill(life, reference, signal_number(signal)), f"kill {life.container.name}"
        )

    async def pause(self, reference: str) -> None:
        """Freeze every process of a container. Raises `ConflictError` unless it runs."""
        life = self._register.get(reference)
        await self._tasks.carry_out(self._freezer.pause(life), f"pause {life.container.name}")

    async def unpause(self, reference: str) -> None:
        """Let every process of a paused container go on."""
        life = self._register.get(reference)
        await self._tasks.carry_out(self._freezer.unpause(life), f"unpause {life.container.name}")

    async def update(self, reference: str, change: Resources, policy: RestartPolicy | None = None) -> None:
        """Other limits and another restart policy; what is not given stays. Raises `InvalidError`."""
        life = self._register.get(reference)
        await self._tasks.carry_out(self._freezer.update(life, change, policy), f"update {life.container.name}")

    def wait(self, reference: str, condition: str = "not-running") -> Coroutine[Any, Any, tuple[int, str | None]]:
        """The exit status, and why it could not be had, once `condition` holds.

        What is waited for counts from this call on, not from the first `await`: an answer may be promised in between.
        """
        life = self._register.get(reference)
        if condition == "removed":
            ended = life.removal()
        elif condition == "next-exit" or life.container.state.active:
            ended = life.next_exit()
        else:
            ended = asyncio.get_running_loop().create_future()
            ended.set_result(life.container.state.exit_code)
        if condition not in CONDITIONS:
            raise InvalidError(f'invalid condition: "{condition}"', field="condition", value=condition)
        return _status(ended)

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container that does not run, or with `force` any, with the volumes that were made for it alone.

        Raises `ConflictError` otherwise.
        """
        life = self._register.get(reference)
        if life.leaving:
            raise ConflictError(f"removal of container {reference} is already in progress", field="container")
        if life.container.state.active and not force:
            paused = life.container.state.status is Status.PAUSED
            remedy = " and must be unpaused first" if paused else ": stop the container before removing or force remove"
            raise ConflictError(
                f'cannot remove container "/{life.container.name}": container is {life.container.state.status}{remedy}',
                field="container",
                value=life.container.name,
            )
        life.leaving = True
        life.takes_volumes = volumes
        life.forget_restart()
        await self._tasks.carry_out(self._stopper.remove(life), f"remove {life.container.name}")

    async def rename(self, reference: str, name: str) -> None:
        """Give a container another name."""
        life = self._register.get(reference)
        old, name = life.container.name, name.removeprefix("/")
        if name == old:
            raise InvalidError("Renaming a container with the same name as its current name", field="name", value=name)
        try:
            check_container_name(name, shown=f"/{name}")
            self._register.check_name(name)
        except (InvalidError, ConflictError) as error:
            text = f"Error when allocating new name: {error.message}"
            raise type(error)(text, field=error.field, value=error.value) from error
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

    async def unlink(self, name: str) -> None:
        """Remove a link of the default network by Docker's name for it, `container/alias`. Raises `NotFoundError`."""
        reference, _, alias = name.removeprefix("/").rpartition("/")
        if not reference:
            raise ConflictError("Conflict, cannot remove the default link name of the container", field="link")
        life = self._register.get(reference)
        await self._tasks.carry_out(self._connector.unlink(life, alias), f"unlink {alias} from {life.container.name}")

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
        """What the container has written; with `follow`, also what it writes until it ends.

        Raises `UnimplementedError`, in Docker's words, when its log driver keeps nothing.
        """
        life = self._register.get(reference)
        if not life.container.wanted.logging.readable:
            raise UnimplementedError("configured logging driver does not support reading", field="container")
        selection = Selection(stdout, stderr, since, until, timestamps)
        return self._logs(life, selection, tail, life.next_exit() if follow and life.running else None)

    async def _logs(
        self, life: Life, selection: Selection, tail: int | None, ended: "asyncio.Future[int] | None"
    ) -> AsyncIterator[LogChunk]:
        places = self._context.layout.of(life.container.id)
        if ended is None:
            with LogFiles(places) as files:
                async for chunk in logs.chunks(files, selection, tail):
                    yield chunk
            return
        with logs.following(self._context.host.watch(), places, life.readers, ended) as (files, more):
            async for chunk in logs.chunks(files, selection, tail, more):
                yield chunk

    def places(self, container: Container) -> Places:
        """Where the files of a container are."""
        return self._context.layout.of(container.id)

    def names_places(self, container: Container) -> Places | None:
        """Where those are that it sees as /etc/hosts and the like: its own, or those of the container whose network it
        shares; None before the first start, which writes them.
        """
        mode = container.wanted.mode
        id = mode.removeprefix(CONTAINER_MODE) if mode.startswith(CONTAINER_MODE) else container.id
        return None if container.state.started is None else self._context.layout.of(id)

    def exec_ids(self, container: Container) -> Sequence[str]:
        """The sessions whose processes run in a container."""
        return sorted(self._register.get(container.id).execs)

    def log_path(self, container: Container) -> str:
        """Where the log of a container is; empty, as in Docker, before the first start and for other drivers."""
        if container.wanted.logging.driver in (None, LogDriver.JSON_FILE) and container.state.started is not None:
            return str(self._context.layout.of(container.id).log)
        return ""

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
        return self._execs.create(self._register.get(reference), reference, request)

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


def _detach(life: Life, attachment: Attachment) -> None:
    if attachment in life.attachments:
        life.attachments.remove(attachment)

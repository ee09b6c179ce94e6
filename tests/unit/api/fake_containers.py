"""Containers in memory: the API's `Containers` protocol without programs.

A process echoes its standard input (`cat`), or does what its arguments say: `say TEXT`, `exit CODE`. Sandboxes are real
ones, of the engine that is given.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from linkspan.containers import limits
from linkspan.containers.checks import check_container_name, checked, has_own_network
from linkspan.containers.layout import Layout, Places
from linkspan.containers.signals import signal_number
from linkspan.engine.core import Engine
from linkspan.model.containers import (
    Abilities,
    Container,
    ContainerState,
    CreateContainer,
    Exec,
    ExecRequest,
    LogChunk,
    Status,
)
from linkspan.model.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from linkspan.model.events import Event
from linkspan.model.requests import Connect, CreateSandbox, Disconnect, EndpointRequest, RemoveSandbox
from linkspan.model.resources import Resources, RestartPolicy
from tests.unit.api.hold import FakeArchives, FakeMeter, Users, volumes_of

START = datetime(2026, 1, 1, tzinfo=UTC)


class Wire:
    """What a client is attached to."""

    def __init__(self, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> None:
        self.stdin = stdin
        self.typed = b""
        self.input_closed = asyncio.Event()
        self.closed = False
        self._wanted = {stream for stream, asked in ((1, stdout), (2, stderr)) if asked}
        self._queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    def say(self, stream: int, data: bytes) -> None:
        if stream in self._wanted:
            self._queue.put_nowait((stream, data))

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        while (item := await self._queue.get()) is not None:
            yield item

    async def write(self, data: bytes) -> None:
        if self.stdin:
            self.typed += data
            self.say(1, data)

    async def close_stdin(self) -> None:
        self.input_closed.set()
        self.end()

    async def close(self) -> None:
        self.closed = True


@dataclass
class Life:
    """A container, who is attached, who waits, and what it has written."""

    container: Container
    wires: list[Wire] = field(default_factory=list)
    exits: "list[asyncio.Future[int]]" = field(default_factory=list)
    removals: "list[asyncio.Future[int]]" = field(default_factory=list)
    written: list[LogChunk] = field(default_factory=list)


class FakeContainers:
    """The containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lives: dict[str, Life] = {}
        self.execs: dict[str, Exec] = {}
        self.exec_wires: dict[str, Wire] = {}
        self._count = 0
        self.abilities = Abilities()
        self.meter = FakeMeter(self.get)
        self.archives = FakeArchives(self.get)
        users = Users(lambda: list(self._lives.values()), self.life)
        self.volumes, self._directory = volumes_of(engine, users, self._id)

    def close(self) -> None:
        """Take the volumes away."""
        self._directory.cleanup()

    def _id(self) -> str:
        self._count += 1
        return sha256(f"container {self._count}".encode()).hexdigest()

    def life(self, reference: str) -> Life:
        name = reference.removeprefix("/")
        for life in self._lives.values():
            if reference == life.container.id or name == life.container.name:
                return life
        found = [life for id, life in self._lives.items() if reference and id.startswith(reference)]
        if len(found) != 1:
            raise NotFoundError(f"No such container: {reference}", field="container", value=reference)
        return found[0]

    def get(self, reference: str) -> Container:
        return self.life(reference).container

    def all(self) -> Sequence[Container]:
        return [life.container for life in self._lives.values()]

    def content(self) -> object:
        """Everything, to be compared."""
        return {id: life.container for id, life in self._lives.items()}, dict(self.execs), list(self.volumes.all())

    def _announce(self, container: Container, action: str, **attributes: str) -> None:
        described = {**container.wanted.labels, "image": container.wanted.rootfs, "name": container.name, **attributes}
        self._engine.announce(Event("container", action, container.id, START, tuple(sorted(described.items()))))

    async def create(self, wanted: CreateContainer) -> Container:
        id = self._id()
        wanted = checked(replace(wanted, name=wanted.name.removeprefix("/") or f"box{self._count}"))
        if any(life.container.name == wanted.name for life in self._lives.values()):
            holder = self.get(wanted.name).id
            raise ConflictError(
                f'Conflict. The container name "/{wanted.name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
                field="name",
            )
        mounts = await self.volumes.claim(wanted.mounts, wanted.volumes_from)
        wanted = replace(wanted, mounts=mounts)
        container = Container(id, wanted.name, START + timedelta(seconds=self._count), wanted)
        self._lives[id] = Life(container)
        self._announce(container, "create")
        return container

    async def start(self, reference: str) -> bool:
        life = self.life(reference)
        container, wanted = life.container, life.container.wanted
        if container.state.status is Status.RUNNING:
            return False
        own = has_own_network(wanted.mode)
        await self._engine.apply(
            CreateSandbox(
                container.name,
                mode="" if own else wanted.mode,
                networks=wanted.endpoints if own else (),
                publish=wanted.publish if own else (),
                id=container.id,
            )
        )
        life.container = replace(
            container, sandbox=container.id, state=ContainerState(Status.RUNNING, 1, started=START)
        )
        self._announce(container, "start")
        if wanted.argv[0] == "say":
            self._write(life, 1, " ".join(wanted.argv[1:]).encode() + b"\n")
        if wanted.argv[0] == "exit":
            await self._end(life, int(wanted.argv[1]))
        return True

    def _write(self, life: Life, stream: int, data: bytes) -> None:
        life.written.append(LogChunk(stream, [data]))
        for wire in life.wires:
            wire.say(stream, data)

    def write(self, reference: str, stream: int, data: bytes) -> None:
        """The process writes."""
        self._write(self.life(reference), stream, data)

    async def end(self, reference: str, code: int = 0) -> None:
        """The process ends."""
        await self._end(self.life(reference), code)

    async def _end(self, life: Life, code: int) -> None:
        await self._engine.apply(RemoveSandbox(life.container.id))
        state = ContainerState(Status.EXITED, exit_code=code, started=START, finished=START)
        life.container = replace(life.container, state=state, sandbox=None)
        self._announce(life.container, "die", exitCode=str(code))
        for wire in life.wires:
            wire.end()
        life.wires.clear()
        for future in life.exits:
            if not future.done():
                future.set_result(code)
        if life.container.wanted.auto_remove:
            self._erase(life)

    def _erase(self, life: Life) -> None:
        del self._lives[life.container.id]
        self._announce(life.container, "destroy")
        for future in (*life.removals, *life.exits):
            if not future.done():
                future.set_result(life.container.state.exit_code)

    async def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> bool:  # noqa: ASYNC109
        life = self.life(reference)
        signal_number(signal or "TERM")
        if life.container.state.status is not Status.RUNNING:
            return False
        await self._end(life, 143)
        return True

    async def restart(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:  # noqa: ASYNC109
        id = self.get(reference).id
        await self.stop(id, timeout=timeout, signal=signal)
        await self.start(id)

    async def kill(self, reference: str, signal: str = "KILL") -> None:
        life = self.life(reference)
        number = signal_number(signal)
        if life.container.state.status is not Status.RUNNING:
            raise ConflictError(f"cannot kill container: {reference}: container {life.container.id} is not running")
        if number == 9:
            await self._end(life, 137)

    def wait(self, reference: str, condition: str = "not-running") -> Coroutine[Any, Any, tuple[int, str | None]]:
        life = self.life(reference)
        if condition not in ("not-running", "next-exit", "removed"):
            raise InvalidError(f'invalid condition: "{condition}"', field="condition", value=condition)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if condition == "removed":
            life.removals.append(ended)
        elif condition == "next-exit" or life.container.state.status is Status.RUNNING:
            life.exits.append(ended)
        else:
            ended.set_result(life.container.state.exit_code)
        return self._code(ended)

    async def _code(self, ended: "asyncio.Future[int]") -> tuple[int, str | None]:
        return await ended, None

    async def pause(self, reference: str) -> None:
        self._turn(reference, Status.RUNNING, Status.PAUSED)

    async def unpause(self, reference: str) -> None:
        self._turn(reference, Status.PAUSED, Status.RUNNING)

    def _turn(self, reference: str, before: Status, after: Status) -> None:
        life = self.life(reference)
        if life.container.state.status is not before:
            raise ConflictError(f"container {life.container.id} is not {before}", field="container")
        life.container = replace(life.container, state=replace(life.container.state, status=after))

    async def update(self, reference: str, change: Resources, policy: RestartPolicy | None = None) -> None:
        life = self.life(reference)
        wanted = life.container.wanted
        resources = limits.checked(limits.changed(wanted.resources, change), 2)
        wanted = replace(wanted, resources=resources, restart=policy or wanted.restart)
        life.container = replace(life.container, wanted=wanted)

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        life = self.life(reference)
        if life.container.state.status is Status.RUNNING:
            if not force:
                raise ConflictError(f'cannot remove container "/{life.container.name}": container is running')
            await self._end(life, 137)
        if life.container.id in self._lives:
            self._erase(life)

    async def rename(self, reference: str, name: str) -> None:
        life = self.life(reference)
        life.container = replace(life.container, name=check_container_name(name))

    async def unlink(self, name: str) -> None:
        reference, _, alias = name.removeprefix("/").rpartition("/")
        life = self.life(reference)
        wanted = life.container.wanted
        left = tuple(text for text in wanted.links if text.partition(":")[2] != alias)
        if left == tuple(wanted.links):
            raise NotFoundError(f"No such link: {name}")
        life.container = replace(life.container, wanted=replace(wanted, links=left))

    async def connect(self, reference: str, endpoint: EndpointRequest) -> None:
        life = self.life(reference)
        network = self._engine.network(endpoint.network)
        if network.name in (each.network for each in life.container.wanted.endpoints):
            text = f"endpoint with name {life.container.name} already exists in network {network.name}"
            raise ForbiddenError(text, field="network")
        endpoint = replace(endpoint, network=network.name)
        if life.container.id in self._engine.sandboxes:
            await self._engine.apply(Connect(life.container.id, endpoint))
        wanted = replace(life.container.wanted, endpoints=(*life.container.wanted.endpoints, endpoint))
        life.container = replace(life.container, wanted=wanted)

    async def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        life = self.life(reference)
        name = self._engine.network(network).name
        if life.container.id in self._engine.sandboxes:
            await self._engine.apply(Disconnect(life.container.id, network))
        endpoints = tuple(each for each in life.container.wanted.endpoints if each.network != name)
        life.container = replace(life.container, wanted=replace(life.container.wanted, endpoints=endpoints))

    def places(self, container: Container) -> Places:
        return Layout(Path("/data"), Path("/exec")).of(container.id)

    def names_places(self, container: Container) -> Places | None:
        return None if container.state.started is None else self.places(container)

    def exec_ids(self, container: Container) -> Sequence[str]:
        return [id for id, each in self.execs.items() if each.container == container.id and each.running]

    def log_path(self, container: Container) -> str:
        return f"/containers/{container.id}/log"

    async def logs(
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
        chosen = [entry for entry in self.life(reference).written if (stdout if entry.stream == 1 else stderr)]
        for entry in chosen if tail is None else chosen[len(chosen) - min(tail, len(chosen)) :]:
            stamp = b"2026-01-01T00:00:00.000000000Z " if timestamps else b""
            yield LogChunk(entry.stream, [stamp + line for line in entry.lines])

    async def attach(self, reference: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True) -> Wire:
        life = self.life(reference)
        wire = Wire(stdin=stdin, stdout=stdout, stderr=stderr)
        life.wires.append(wire)
        return wire

    async def resize(self, reference: str, height: int, width: int) -> None:
        life = self.life(reference)
        if life.container.state.status is not Status.RUNNING:
            raise ConflictError(f"container {life.container.id} is not running", field="container")

    async def exec_create(self, reference: str, request: ExecRequest) -> Exec:
        life = self.life(reference)
        if life.container.state.status is not Status.RUNNING:
            raise ConflictError(f"container {life.container.id} is not running", field="container")
        if not request.argv or not request.argv[0]:
            raise InvalidError("No exec command specified", field="argv")
        session = Exec(self._id(), life.container.id, request)
        self.execs[session.id] = session
        return session

    def exec(self, id: str) -> Exec:
        if id not in self.execs:
            raise NotFoundError(f"No such exec instance: {id}", field="exec", value=id)
        return self.execs[id]

    async def exec_start(self, id: str, *, detach: bool = False) -> Wire | None:
        session = self.exec(id)
        self.execs[id] = replace(session, running=True, pid=2)
        if detach:
            return None
        wire = Wire(stdin=session.request.attach_stdin)
        self.exec_wires[id] = wire
        if session.request.argv[0] == "say":
            wire.say(1, " ".join(session.request.argv[1:]).encode() + b"\n")
            wire.end()
        return wire

    async def exec_resize(self, id: str, height: int, width: int) -> None:
        self.exec(id)

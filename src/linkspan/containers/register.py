"""Every container that is remembered, with what belongs to it while this process runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from linkspan.containers.attach import Attachment
from linkspan.containers.logfiles import LogFiles
from linkspan.containers.monitor import Monitor
from linkspan.containers.ports import ContainerStore
from linkspan.model.containers import Container
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError


@dataclass(eq=False, slots=True)
class Life:
    """A container and those who wait for it.

    Whoever changes what the container is holds `lock`: start, the work after an exit, removal, connections. It may have
    been removed while one waited for the lock: see `Register.changing`.
    """

    container: Container
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    monitor: Monitor | None = None
    attachments: list[Attachment] = field(default_factory=list)
    readers: list[LogFiles] = field(default_factory=list)
    """The files of its log, of those who follow it."""
    exits: "list[asyncio.Future[int]]" = field(default_factory=list)
    removals: "list[asyncio.Future[int]]" = field(default_factory=list)
    execs: set[str] = field(default_factory=set)
    leaving: bool = False
    """Somebody removes it, or will as soon as it has ended."""
    takes_volumes: bool = False
    """Its removal is that of the volumes made for it too."""
    wait: float = 0.0
    """Seconds waited before its last start by its restart policy; 0 when there was none since a start by hand."""
    called_off: "asyncio.Future[None] | None" = None
    """Done when the next start by its restart policy will not be; None when none is waited for."""
    over: "asyncio.Future[None] | None" = None
    """Done at the end of its process, or ours."""

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.container.state.running

    def forget_restart(self) -> None:
        """It is not started by its restart policy."""
        settle(self.called_off)
        self.called_off = None

    @property
    def unfinished(self) -> bool:
        """Whether its process has ended, but the end could not be dealt with: it is still remembered as running."""
        return self.running and self.over is not None and self.over.done()

    def next_exit(self) -> "asyncio.Future[int]":
        """The exit status, at the next exit or the removal."""
        self.exits = [future for future in self.exits if not future.done()]
        self.exits.append(asyncio.get_running_loop().create_future())
        return self.exits[-1]

    def removal(self) -> "asyncio.Future[int]":
        """The exit status, once the container is removed."""
        self.removals = [future for future in self.removals if not future.done()]
        self.removals.append(asyncio.get_running_loop().create_future())
        return self.removals[-1]

    def conclude(self, *, removed: bool = False) -> None:
        """Tell those who wait that the container has ended, or that it is gone."""
        told = [*self.exits, *self.removals] if removed else list(self.exits)
        for future in told:
            if not future.done():
                future.set_result(self.container.state.exit_code)
        self.end_streams()

    def fail(self, error: Exception) -> None:
        """Tell those who wait that its end could not be dealt with: nobody waits for what will not come."""
        for future in (*self.exits, *self.removals):
            if not future.done():
                future.set_exception(error)
                future.exception()  # who waited may have gone since
        self.leaving = False
        self.end_streams()

    def end_streams(self) -> None:
        """End the streams of those who are attached."""
        for attachment in self.attachments:
            attachment.conclude()
        self.attachments.clear()


def settle(future: "asyncio.Future[None] | None") -> None:
    """Tell those who wait, if it has not been told."""
    if future is not None and not future.done():
        future.set_result(None)


class Register:
    """The containers by id and by name; what it holds, the store holds."""

    def __init__(self, store: ContainerStore) -> None:
        self._store = store
        self.lives: dict[str, Life] = {}
        self._names: dict[str, str] = {}

    async def load(self) -> None:
        """Read what is remembered."""
        for container in await self._store.load_containers():
            self._learn(Life(container))

    def _learn(self, life: Life) -> None:
        self.lives[life.container.id] = life
        self._names[life.container.name] = life.container.id

    def get(self, reference: str) -> Life:
        """By full id, then name (a leading slash is Docker's), then unique prefix of an id."""
        name = reference.removeprefix("/")
        found = self.lives.get(reference) or self.lives.get(self._names.get(name, ""))
        if found is not None:
            return found
        matches = [life for id, life in self.lives.items() if id.startswith(reference)] if reference else []
        if len(matches) > 1:
            raise InvalidError(
                f"Multiple IDs found with provided prefix: {reference}", field="container", value=reference
            )
        if not matches:
            raise _unknown(reference)
        return matches[0]

    @asynccontextmanager
    async def changing(self, life: Life) -> AsyncIterator[None]:
        """Hold the lock of a container that is still there; `NotFoundError` when it was removed meanwhile."""
        async with life.lock:
            if not self.has(life):
                raise _unknown(life.container.id)
            yield

    def has(self, life: Life) -> bool:
        """Whether a container has not been removed."""
        return life.container.id in self.lives

    def all(self) -> Sequence[Life]:
        """Every container, the oldest first."""
        return list(self.lives.values())

    def has_name(self, name: str) -> bool:
        """Whether a name is taken."""
        return name in self._names

    def check_name(self, name: str) -> None:
        """`ConflictError`, in Docker's words, when the name is taken."""
        holder = self._names.get(name)
        if holder is not None:
            raise ConflictError(
                f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
                field="name",
                value=name,
            )

    async def add(self, container: Container) -> Life:
        """A new container. Its name is taken at once, before anything is awaited."""
        self.check_name(container.name)
        life = Life(container)
        self._learn(life)
        try:
            await self._store.put_container(container)
        except BaseException:
            self._forget(life)
            raise
        return life

    async def save(self, life: Life, container: Container) -> None:
        """What a container is from now on."""
        await self._store.put_container(container)
        life.container = container

    async def rename(self, life: Life, name: str) -> None:
        """Another name; the old one is free once the new one is remembered."""
        self.check_name(name)
        old = life.container
        self._names[name] = old.id
        try:
            await self.save(life, replace(old, name=name))
        except BaseException:
            del self._names[name]
            raise
        del self._names[old.name]

    async def remove(self, life: Life) -> None:
        """Forget a container."""
        await self._store.delete_container(life.container.id)
        self._forget(life)

    def _forget(self, life: Life) -> None:
        del self.lives[life.container.id]
        del self._names[life.container.name]


def _unknown(reference: str) -> NotFoundError:
    return NotFoundError(f"No such container: {reference}", field="container", value=reference)

"""What the API needs from the rest of the program, as narrow protocols that it owns."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from linkspan.containers.layout import Places
from linkspan.engine.live import LiveSandbox
from linkspan.engine.preview import Preview
from linkspan.model.builds import BuildNews, BuildRequest
from linkspan.model.config import Config
from linkspan.model.containers import Abilities, Container, CreateContainer, Exec, ExecRequest, LogChunk
from linkspan.model.dataplane import Load, Trace
from linkspan.model.events import Event
from linkspan.model.files import FileChange, PathStat
from linkspan.model.images import Credentials, Image, ImageConfig, ImageProgress, Loaded, Platform, Pushed, Removal
from linkspan.model.networks import Network
from linkspan.model.problems import Problem
from linkspan.model.references import Reference
from linkspan.model.requests import EndpointRequest, Request
from linkspan.model.resources import Resources, RestartPolicy
from linkspan.model.sandboxes import Sandbox
from linkspan.model.usage import Usage
from linkspan.model.volumes import Volume

Result = TypeVar("Result")


class Engine(Protocol):
    """Networks and sandboxes: `linkspan.Engine`."""

    id: str
    config: Config
    problems: tuple[Problem, ...]

    async def apply(self, request: Request[Result]) -> Result: ...

    async def plan(self, request: Request[Any]) -> Preview: ...

    @property
    def networks(self) -> Mapping[str, Network]: ...

    @property
    def sandboxes(self) -> Mapping[str, Sandbox]: ...

    def network(self, reference: str) -> Network: ...

    def members(self, reference: str) -> Sequence[Sandbox]: ...

    def sandbox(self, reference: str) -> LiveSandbox: ...

    async def obstacles(self) -> Sequence[Problem]: ...

    async def load(self) -> Load: ...

    async def trace(self, sandbox: str, name: str, type: str) -> Trace: ...

    def announce(self, event: Event) -> None: ...

    def events(self, *, past: bool = False) -> AsyncIterator[Event]: ...


class Images(Protocol):
    """Images: `linkspan.images.core.Images`, where each call is described."""

    @property
    def platform(self) -> Platform: ...

    def get(self, reference: str) -> Image: ...

    def all(self) -> Sequence[Image]: ...

    def root(self, image: Image) -> Path: ...

    def shown(self, name: str, id: str) -> str: ...

    def holding(self, reference: str, platform: str = "") -> AbstractContextManager[Image]: ...

    def pull(
        self, reference: Reference, platform: str = "", credentials: Credentials | None = None
    ) -> AsyncGenerator[ImageProgress, None]: ...

    async def tags(self, repository: Reference, credentials: Credentials | None) -> Sequence[Reference]: ...

    def push(
        self, reference: Reference, credentials: Credentials | None = None
    ) -> AsyncGenerator[ImageProgress | Pushed, None]: ...

    def names_of(self, repository: Reference) -> Sequence[Reference]: ...

    async def login(self, credentials: Credentials) -> None: ...

    async def distribution(
        self, reference: Reference, credentials: Credentials | None
    ) -> tuple[bytes, Sequence[Platform]]: ...

    async def load(self, body: AsyncIterator[bytes]) -> Sequence[Loaded]: ...

    def save(self, references: Sequence[str]) -> AsyncIterator[bytes]: ...

    async def make(
        self,
        body: AsyncIterator[bytes],
        name: Reference | None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> Image: ...

    async def commit(
        self,
        body: AsyncIterator[bytes],
        name: Reference | None,
        base: str,
        config: ImageConfig,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        author: str = "",
    ) -> Image: ...

    def build(self, body: AsyncIterator[bytes], request: BuildRequest) -> AsyncIterator[BuildNews]: ...

    async def builds_size(self) -> int: ...

    def builds_since(self) -> datetime | None: ...

    async def prune_builds(self) -> int: ...

    async def tag(self, reference: str, name: Reference) -> None: ...

    async def remove(self, reference: str, *, force: bool = False) -> Removal: ...

    async def prune(self, chosen: Callable[[Image], bool]) -> tuple[Sequence[Removal], int]: ...


class Streams(Protocol):
    """A client's hold on the streams of a process: pairs of stream (1 or 2) and data."""

    def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]: ...

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    async def close(self) -> None: ...


class Measurement(Protocol):
    """What a container used at a time; None when it did not run."""

    @property
    def time(self) -> datetime: ...

    @property
    def usage(self) -> Usage | None: ...


class Meter(Protocol):
    """Measurements: `linkspan.containers.measuring.Meter`, where each call is described."""

    async def measure(self, reference: str) -> Measurement: ...

    def follow(self, reference: str) -> AsyncIterator[Measurement]: ...

    async def processes(self, reference: str, arguments: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]: ...

    async def sizes(self, container: Container) -> tuple[int, int]: ...


class Archives(Protocol):
    """Files in containers: `linkspan.containers.archives.Archives`, where each call is described."""

    async def stat(self, reference: str, path: str) -> PathStat: ...

    def pack(self, reference: str, path: str) -> AbstractAsyncContextManager[tuple[PathStat, AsyncIterator[bytes]]]: ...

    async def unpack(
        self, reference: str, path: str, chunks: AsyncIterator[bytes], *, keep_kinds: bool = False, own: bool = False
    ) -> None: ...

    async def changes(self, reference: str) -> Sequence[FileChange]: ...

    def layer(self, reference: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...

    def export(self, reference: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class Volumes(Protocol):
    """Volumes: `linkspan.containers.volumes.Volumes`, where each call is described."""

    def all(self) -> Sequence[Volume]: ...

    def get(self, name: str) -> Volume: ...

    def locate(self, name: str) -> Path: ...

    def users(self, name: str) -> Sequence[Container]: ...

    async def size(self, name: str) -> int: ...

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume: ...

    async def remove(self, name: str, *, force: bool = False) -> None: ...


class Containers(Protocol):
    """Containers: `linkspan.containers.core.Containers`, where each call is described."""

    @property
    def volumes(self) -> Volumes: ...

    @property
    def archives(self) -> Archives: ...

    @property
    def meter(self) -> Meter: ...

    @property
    def abilities(self) -> Abilities: ...

    def get(self, reference: str) -> Container: ...

    def all(self) -> Sequence[Container]: ...

    async def create(self, wanted: CreateContainer) -> Container: ...

    async def start(self, reference: str) -> bool: ...

    async def stop(
        self,
        reference: str,
        *,
        timeout: int | None = None,  # noqa: ASYNC109 - for the process, not for the call
        signal: str | None = None,
    ) -> bool: ...

    async def restart(
        self,
        reference: str,
        *,
        timeout: int | None = None,  # noqa: ASYNC109 - for the process, not for the call
        signal: str | None = None,
    ) -> None: ...

    async def kill(self, reference: str, signal: str = "KILL") -> None: ...

    def wait(self, reference: str, condition: str = "not-running") -> Coroutine[Any, Any, tuple[int, str | None]]: ...

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None: ...

    async def pause(self, reference: str) -> None: ...

    async def unpause(self, reference: str) -> None: ...

    async def update(self, reference: str, change: Resources, policy: RestartPolicy | None = None) -> None: ...

    async def rename(self, reference: str, name: str) -> None: ...

    async def connect(self, reference: str, endpoint: EndpointRequest) -> None: ...

    async def unlink(self, name: str) -> None: ...

    async def disconnect(self, reference: str, network: str, *, force: bool = False) -> None: ...

    def places(self, container: Container) -> Places: ...

    def names_places(self, container: Container) -> Places | None: ...

    def exec_ids(self, container: Container) -> Sequence[str]: ...

    def log_path(self, container: Container) -> str: ...

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
    ) -> AsyncIterator[LogChunk]: ...

    async def attach(
        self, reference: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> Streams: ...

    async def resize(self, reference: str, height: int, width: int) -> None: ...

    async def exec_create(self, reference: str, request: ExecRequest) -> Exec: ...

    async def exec_start(self, id: str, *, detach: bool = False) -> Streams | None: ...

    def exec(self, id: str) -> Exec: ...

    async def exec_resize(self, id: str, height: int, width: int) -> None: ...

"""What the room needs from the machine and from the store, as narrow protocols that it owns."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from linkspan.engine.ports import Process, Stream
from linkspan.model.containers import Abilities, Container
from linkspan.model.usage import Usage
from linkspan.model.volumes import Volume


class Watch(Protocol):
    """Tells of directories in which files are written, made or replaced."""

    @property
    def descriptor(self) -> int:
        """Readable when there is something to tell."""
        ...

    def add(self, directory: Path, *, once: bool = False) -> int:
        """The number by which a directory is told of, from now on: every time, or `once`. Raises OSError."""
        ...

    def told(self) -> Collection[int] | None:
        """What there is to tell: numbers of directories; None when so much happened that it may be any of them."""
        ...

    def close(self) -> None:
        """Watch no longer."""
        ...


class Host(Protocol):
    """The machine: programs, mounts and control groups."""

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start a program in the engine's namespace (`sandbox` None); it keeps the descriptors `pass_fds`."""
        ...

    async def abilities(self) -> Abilities:
        """What containers can have on this machine."""
        ...

    async def mount_overlay(self, target: Path, *, lower: Path, upper: Path, work: Path, mark: str) -> None:
        """Mount `lower`, with changes going to `upper`. Raises `LinkspanError`."""
        ...

    async def mount_tmpfs(self, target: Path, *, size: int) -> None:
        """Make the directory `target`, and mount memory of at most `size` bytes there. Raises OSError."""
        ...

    async def mount_bind(self, source: Path, target: Path, *, read_only: bool) -> None:
        """Mount a directory or file at another place. Raises OSError."""
        ...

    def open_inside(self, root: int, path: str, flags: int) -> int:
        """Open a path below the root directory of a descriptor: no link and no `..` leads out of it. Raises OSError."""
        ...

    async def unmount(self, target: Path) -> None:
        """Take away whatever is mounted at `target`; nothing to do when nothing is."""
        ...

    async def mounts(self, below: Path) -> Sequence[Path]:
        """Where something is mounted under a directory."""
        ...

    async def remove_cgroup(self, path: str) -> Sequence[int] | None:
        """Remove a control group, in every hierarchy; None when it is gone, else the processes in it."""
        ...

    async def processes(self, path: str) -> Sequence[int]:
        """Every process in a control group."""
        ...

    async def frozen(self, path: str) -> bool:
        """Whether the processes of a control group are frozen."""
        ...

    async def usage(self, path: str, pid: int, *, links: bool) -> Usage:
        """What a control group uses, and with `links` what the interfaces of a process in it have carried."""
        ...

    def watch(self) -> Watch:
        """Tells of directories in which files are written, made or replaced. The caller closes it."""
        ...


class VolumeStore(Protocol):
    """Remembers volumes."""

    async def load_volumes(self) -> Sequence[Volume]:
        """Every volume, in order of creation."""
        ...

    async def put_volume(self, volume: Volume) -> None:
        """Remember a volume."""
        ...

    async def delete_volume(self, name: str) -> None:
        """Forget a volume."""
        ...


class ContainerStore(Protocol):
    """Remembers containers."""

    async def load_containers(self) -> Sequence[Container]:
        """Every container, in order of creation."""
        ...

    async def put_container(self, container: Container) -> None:
        """Remember a container as it is now."""
        ...

    async def delete_container(self, id: str) -> None:
        """Forget a container."""
        ...


class Store(ContainerStore, VolumeStore, Protocol):
    """Remembers everything of this room."""

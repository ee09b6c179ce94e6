"""What lies behind the fake containers: volumes on a store in memory, and made-up measurements."""

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linkspan.containers.layout import Layout
from linkspan.containers.measuring import Measurement
from linkspan.containers.volumes import Volumes
from linkspan.engine.core import Engine
from linkspan.engine.ports import Surroundings
from linkspan.model.containers import Container
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.files import ChangeKind, FileChange, PathStat
from linkspan.model.usage import CpuUsage, LinkUsage, MemoryUsage, Usage
from linkspan.model.volumes import Volume

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USAGE = Usage(
    system=4_000_000_000,
    cpus=2,
    machine_memory=1 << 30,
    cpu=CpuUsage(total=2_000_000_000, kernel=500_000_000, user=1_500_000_000),
    memory=MemoryUsage(now=8 << 20, limit=64 << 20, details={"inactive_file": 1 << 20}),
    pids=3,
    pids_limit=50,
    links=[LinkUsage("eth0", (1000, 10, 0, 0), (2000, 20, 0, 0))],
)


class Shelf:
    """Remembers volumes as long as the test lasts."""

    async def load_volumes(self) -> Sequence[Volume]:
        return ()

    async def put_volume(self, volume: Volume) -> None:
        self.last = volume

    async def delete_volume(self, name: str) -> None:
        self.deleted = name


class Bare:
    """A machine with nothing mounted."""

    async def unmount(self, target: Path) -> None:
        self.unmounted = target

    async def mounts(self, below: Path) -> Sequence[Path]:
        return ()


class Users:
    """Every container, as volumes want to see them."""

    def __init__(self, all: Callable[[], Sequence[Any]], get: Callable[[str], Any]) -> None:
        self.all = all
        self.get = get


def volumes_of(engine: Engine, users: Users, new_id: Callable[[], str]) -> tuple[Volumes, Any]:
    """Volumes under a directory that goes with what is returned beside them."""
    directory = tempfile.TemporaryDirectory()
    layout = Layout(Path(directory.name), Path(directory.name))
    surroundings = Surroundings(now=lambda: NOW, new_id=new_id, new_mac=lambda: "")
    host: Any = Bare()
    register: Any = users
    return Volumes(engine, host, Shelf(), layout, surroundings, register), directory


class FakeMeter:
    """Every container uses the same; its processes are two."""

    def __init__(self, get: Callable[[str], Container]) -> None:
        self._get = get

    async def measure(self, reference: str) -> Measurement:
        return Measurement(NOW, USAGE if self._get(reference).state.running else None)

    async def follow(self, reference: str) -> AsyncIterator[Measurement]:
        yield await self.measure(reference)
        yield await self.measure(reference)

    async def processes(self, reference: str, arguments: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        if not self._get(reference).state.running:
            raise ConflictError(f"container {reference} is not running")
        if arguments not in ("", "-ef"):
            raise InvalidError("error running ps")
        return ["UID", "PID", "CMD"], [["root", "7", "httpd -f"], ["root", "8", "sleep 1"]]

    async def sizes(self, container: Container) -> tuple[int, int]:
        return 10, 110


class FakeArchives:
    """One file in each container, and what was unpacked."""

    def __init__(self, get: Callable[[str], Container]) -> None:
        self._get = get
        self.unpacked = b""

    async def stat(self, reference: str, path: str) -> PathStat:
        self._get(reference)
        if path.rstrip("/") != "/etc/motd":
            raise NotFoundError(f"Could not find the file {path} in container {reference}")
        return PathStat("motd", 6, 0o100644, 1_767_225_600_000_000_000)

    @asynccontextmanager
    async def pack(self, reference: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        found = await self.stat(reference, path)
        yield found, _chunks(b"a tar ", b"archive")

    async def unpack(
        self, reference: str, path: str, chunks: AsyncIterator[bytes], *, keep_kinds: bool = False, own: bool = False
    ) -> None:
        self._get(reference)
        data = b"".join([chunk async for chunk in chunks])
        if path != "/tmp":
            raise InvalidError("extraction point is not a directory")
        self.unpacked = data

    async def changes(self, reference: str) -> Sequence[FileChange]:
        self._get(reference)
        return [FileChange("/etc", ChangeKind.MODIFIED), FileChange("/etc/motd", ChangeKind.ADDED)]

    @asynccontextmanager
    async def layer(self, reference: str) -> AsyncIterator[AsyncIterator[bytes]]:
        self._get(reference)
        yield _chunks(b"a layer")

    @asynccontextmanager
    async def export(self, reference: str) -> AsyncIterator[AsyncIterator[bytes]]:
        self._get(reference)
        yield _chunks(b"everything")


async def _chunks(*data: bytes) -> AsyncIterator[bytes]:
    for chunk in data:
        yield chunk

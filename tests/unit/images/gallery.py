"""Images on fakes: a registry and a store in memory, real files in a directory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from linkspan.images.core import Images, Surroundings
from linkspan.model.events import Event
from linkspan.model.images import ImageUse, Platform
from tests.fakes.builds import MemoryBuilder, MemoryNetworks, unpack_context
from tests.fakes.images import MemoryImageStore, MemoryRegistry, TarUnpacker

START = datetime(2026, 1, 1, tzinfo=UTC)


class Gallery:
    """The parts; `open` starts what uses them, as often as one likes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = MemoryImageStore()
        self.registry = MemoryRegistry()
        self.unpacker = TarUnpacker()
        self.builder = MemoryBuilder()
        self.networks = MemoryNetworks("default", "net", "none")
        self.uses: list[ImageUse] = []
        self.events: list[Event] = []
        self._ticks = 0

    def _now(self) -> datetime:
        self._ticks += 1
        return START + timedelta(seconds=self._ticks)

    @asynccontextmanager
    async def open(self, announce: Callable[[Event], None] | None = None) -> AsyncIterator[Images]:
        images = Images(
            data_root=self.root,
            store=self.store,
            transport=self.registry,
            unpacker=self.unpacker,
            builds=(self.builder, unpack_context, self.networks),
            surroundings=Surroundings(
                self._now, lambda: list(self.uses), announce or self.events.append, Platform("linux", "amd64")
            ),
        )
        async with images.running():
            yield images

    def files(self) -> set[str]:
        """What is kept, as directory and digest."""
        top = self.root / "images"
        kept = [*(top / "blobs/sha256").iterdir(), *(top / "roots").iterdir(), *(top / "tmp").iterdir()]
        return {f"{path.parent.name} sha256:{path.name}" for path in kept}

    def happened(self) -> list[str]:
        return [f"{event.action} {dict(event.attributes).get('name', '')}" for event in self.events]


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """A body as it comes."""
    for at in range(0, len(data), size):
        yield data[at : at + size]

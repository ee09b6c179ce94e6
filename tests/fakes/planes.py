"""A data plane that serves nothing, and remembers what it is told."""

import asyncio
from collections.abc import Sequence

from linkspan.kernel.services import Held
from linkspan.model.dataplane import Key, Load, Service, Trace
from linkspan.model.errors import UnavailableError


class Plane:
    """A data plane in memory, which keeps what it is told; `down` makes it deaf; it waits at `busy`."""

    def __init__(self, held: Held | None = None) -> None:
        self.held: dict[Key, tuple[Service, tuple[int, ...]]] = dict(held or {})
        self.told: list[tuple[list[tuple[Service, tuple[int, ...]]], list[Key]]] = []
        self.down = self.broken = False
        self.busy = asyncio.Event()
        self.busy.set()

    async def take(self) -> Held:
        return self.held

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        await self.busy.wait()
        if self.broken:
            raise RuntimeError("a defect")
        if self.down:
            raise UnavailableError("it is down")
        self.told.append(([(service, tuple(descriptors)) for service, descriptors in put], list(drop)))

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        raise UnavailableError("nobody asks here")

    async def load(self) -> Load:
        return Load(0, {}, 0, remote=False)

"""Engines on a machine in memory: what they were asked, and all that was there before and after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from linkspan.engine.core import Engine
from linkspan.engine.ports import Store, Surroundings
from linkspan.model.config import Config
from linkspan.model.errors import LinkspanError
from linkspan.model.events import Event
from linkspan.plan.firewall import Firewall
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import KernelObject, Key, Sysctl
from linkspan.plan.operations import Operation, OperationFailedError
from tests.fakes.kernel import FakeKernel
from tests.fakes.store import MemoryStore
from tests.support.scenes import ENGINE_ID, content, surroundings

Value = TypeVar("Value")


@dataclass
class World:
    """A machine, what is remembered of it, and the settings of the engine that runs on it."""

    kernel: FakeKernel = field(default_factory=FakeKernel)
    store: Store = field(default_factory=lambda: MemoryStore(ENGINE_ID))
    config: Config = field(default_factory=Config)
    firewall: Firewall = field(default_factory=Nftables)
    surroundings: Surroundings = field(default_factory=surroundings)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """An engine that is open until the block ends; the process's sockets go with it."""
        engine = Engine(
            kernel=self.kernel,
            store=self.store,
            firewall=self.firewall,
            config=self.config,
            surroundings=self.surroundings,
        )
        try:
            async with engine.running():
                yield engine
        finally:
            await self.kernel.close()

    async def snapshot(self, engine: Engine) -> tuple[object, ...]:
        """Kernel, store and state. Settings of the host that are never taken back do not count."""
        draft = engine._worker._context.state
        held = lasting(self.kernel.objects.values())
        return held, content(await self.store.load()), content(engine._worker.state), content(draft)

    def holds_what_is_wanted(self, engine: Engine) -> bool:
        """Whether the kernel has exactly the whole plan of the engine's state."""
        return lasting(self.kernel.objects.values()) == lasting(engine._planner.whole(engine._worker.state))


def lasting(objects: Iterable[KernelObject]) -> dict[Key, KernelObject]:
    """By key, without the settings of the host that are never taken back."""
    return {item.key: item for item in objects if not (isinstance(item, Sysctl) and not item.link)}


class GatedKernel(FakeKernel):
    """A kernel whose `apply` waits at a gate while it is shut; `entered` tells that somebody waits there."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        self.entered.set()
        await self.gate.wait()
        await super().apply(operations, tolerant=tolerant)


class BrokenKernel(FakeKernel):
    """A kernel that raises `broken`, once it is set, after half of the operations; `undo_fails` refuses every undo."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Exception | None = None
        self.undo_fails = False

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        broken, self.broken = self.broken, None
        if broken is not None:
            await super().apply(operations[: len(operations) // 2])
            raise broken
        if tolerant and self.undo_fails:
            raise OperationFailedError(operations[0], (), errno=5, reason="Input/output error")
        await super().apply(operations, tolerant=tolerant)


async def outcome(work: Awaitable[Value]) -> Value | Exception:
    """The result, or the error."""
    try:
        return await work
    except (LinkspanError, RuntimeError, ValueError) as error:
        return error


async def together(*work: Awaitable[object]) -> list[object]:
    """The outcomes of things begun at once, in their order."""
    async with asyncio.TaskGroup() as tasks:
        begun = [tasks.create_task(_outcome(each)) for each in work]
    return [task.result() for task in begun]


async def _outcome(work: Awaitable[object]) -> object:
    return await outcome(work)


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    """Every event until the stream ends."""
    return [event async for event in events]

"""Attaching and detaching endpoints, beside the floor: on an empty network and on one with 500 others."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.figures import TIMES, Row, milliseconds, ratio
from bench.floor import Floor, floor
from bench.rooms import Room, Rooms, settle
from linkspan import Config, CreateNetwork, CreateSandbox, Engine, RemoveSandbox

ROUNDS, PAIRS = 4, 12
CROWD = 500

Measure: TypeAlias = Callable[[int], Awaitable[float]]


@dataclass
class Series:
    """Seconds, by what was done."""

    attach: list[float] = field(default_factory=list)
    detach: list[float] = field(default_factory=list)


@dataclass
class Side:
    """Something that can attach and detach endpoints by number."""

    attach: Measure
    detach: Measure
    times: Series = field(default_factory=Series)


def floor_side(base: Floor) -> Side:
    """The floor as a side."""
    wires = {}

    async def attach(number: int) -> float:
        wires[number] = base.wire(number)
        return await asyncio.to_thread(base.attach, wires[number])

    async def detach(number: int) -> float:
        return await asyncio.to_thread(base.detach, wires.pop(number))

    return Side(attach, detach)


def engine_side(engine: Engine) -> Side:
    """The engine as a side: from the request to the answer."""

    async def attach(number: int) -> float:
        request = CreateSandbox(f"box{number}", networks=["net"], publish=[f"{10000 + number}:80"])
        start = time.perf_counter()
        await engine.apply(request)
        return time.perf_counter() - start

    async def detach(number: int) -> float:
        start = time.perf_counter()
        await engine.apply(RemoveSandbox(f"box{number}"))
        return time.perf_counter() - start

    return Side(attach, detach)


def open_engine(room: Room, config: Config | None = None) -> AbstractAsyncContextManager[Engine]:
    """An engine that lives in a room."""
    return Engine.open(data_root=room.data_root, exec_root=room.exec_root, namespace=room.namespace, config=config)


@asynccontextmanager
async def sides(rooms: Rooms) -> AsyncIterator[tuple[Side, Side]]:
    """The floor and the engine, each in a fresh room with one network."""
    async with AsyncExitStack() as stack:
        base = stack.enter_context(floor(stack.enter_context(rooms.room())))
        engine = await stack.enter_async_context(open_engine(stack.enter_context(rooms.room())))
        await engine.apply(CreateNetwork("net", subnets=["10.100.0.0/16"]))
        yield floor_side(base), engine_side(engine)


async def interleave(contestants: Sequence[Side], first: int, pairs: int) -> None:
    """Attach in turn, then detach in turn; a namespace that is still being destroyed would disturb the next figure."""
    for number in range(first, first + pairs):
        for side in contestants:
            side.times.attach.append(await side.attach(number))
    for number in range(first, first + pairs):
        for side in contestants:
            side.times.detach.append(await side.detach(number))
            settle()


async def attach_and_detach(rooms: Rooms) -> list[Row]:
    """One endpoint with one published port, request to ready, and back."""
    base, ours = Series(), Series()
    for _ in range(ROUNDS):
        async with sides(rooms) as pair:
            for side, series in zip(pair, (base, ours), strict=True):
                await side.attach(0)  # the first of a kind pays for what is made once
                side.times = series
            await interleave(pair, 1, PAIRS)
    return [
        ratio("attach one endpoint with a published port", 2.0, ours.attach, base.attach),
        ratio("detach it", 2.0, ours.detach, base.detach),
    ]


async def crowded(rooms: Rooms) -> list[Row]:
    """The same beside 500 others: the growth of ours against the growth of the floor.

    Without others means without any on the whole machine: some of the kernel's costs grow with all of them.
    """
    alone, full = (Series(), Series()), (Series(), Series())
    async with sides(rooms) as pair:
        for series, others in ((alone, 1), (full, CROWD)):
            for side, times in zip(pair, series, strict=True):
                for number in range(0 if others == 1 else 1, others):
                    await side.attach(number)
                side.times = times
            await interleave(pair, CROWD, PAIRS * 2)
    return [
        _growth(f"attach with {CROWD} others", *(side.attach for side in (*alone, *full))),
        _growth(f"detach with {CROWD} others", *(side.detach for side in (*alone, *full))),
    ]


def _growth(
    what: str,
    floor_alone: Sequence[float],
    ours_alone: Sequence[float],
    floor_full: Sequence[float],
    ours_full: Sequence[float],
) -> Row:
    samples = {"floor": floor_full, "floor, alone": floor_alone, "ours": ours_full, "ours, alone": ours_alone}
    middle = {name: statistics.median(values) for name, values in samples.items()}
    ours, base = middle["ours"] / middle["ours, alone"], middle["floor"] / middle["floor, alone"]
    seen = f"{_grown(ours, middle['ours'])}, floor {_grown(base, middle['floor'])}"
    return Row(f"{what}: our growth ÷ the floor's", ours / base, 1.3, seen=seen, samples=samples)


def _grown(factor: float, seconds: float) -> str:
    return f"{factor:.2f}{TIMES} to {milliseconds(seconds)}"

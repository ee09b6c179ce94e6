"""Publishing a range of 1,000 ports beside publishing one, and the memory it takes."""

import asyncio
import json
import sys
import time
from typing import Any

from bench.endpoints import open_engine
from bench.figures import Row, ratio
from bench.rooms import Rooms, settle
from linkspan import CreateNetwork, CreateSandbox, Publish, RemoveSandbox, Unpublish
from linkspan.model.requests import Request
from linkspan.wiring import Engine

ONE, RANGE = "10000", "20000-20999"
PAIRS = 15
MEBIBYTE = 1 << 20


async def publish(rooms: Rooms) -> list[Row]:
    """On a live sandbox; with a new one; and the memory."""
    with rooms.room() as room:
        async with open_engine(room) as engine:
            await engine.apply(CreateNetwork("net"))
            await engine.apply(CreateSandbox("box", networks=["net"]))
            live, new = await _live(engine), await _new(engine)
    return [
        ratio("publish 1,000 ports of a live sandbox", 5.0, live[RANGE], live[ONE], against="one port"),
        ratio("attach an endpoint that publishes 1,000 ports", 5.0, new[RANGE], new[ONE], against="one port"),
        await _memory(rooms),
    ]


async def _timed(engine: Engine, request: Request[Any]) -> float:
    start = time.perf_counter()
    await engine.apply(request)
    return time.perf_counter() - start


async def _live(engine: Engine) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {ONE: [], RANGE: []}
    for _ in range(PAIRS):
        for ports, series in times.items():
            series.append(await _timed(engine, Publish("box", [f"{ports}:{ports}"])))
            await engine.apply(Unpublish("box", [ports]))
    return times


async def _new(engine: Engine) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {ONE: [], RANGE: []}
    for _ in range(PAIRS):
        for ports, series in times.items():
            series.append(await _timed(engine, CreateSandbox("new", networks=["net"], publish=[f"{ports}:{ports}"])))
            await engine.apply(RemoveSandbox("new"))
            settle()
    return times


async def _memory(rooms: Rooms) -> Row:
    """In a process of its own, which has not yet got memory to spare."""
    with rooms.room() as room:
        command = [sys.executable, "-m", "bench.memory", *map(str, (room.namespace, room.data_root, room.exec_root))]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {child.returncode}")
    grown = json.loads(output)
    seen = f"private memory of the process; about {grown['kernel'] / MEBIBYTE:.1f} MiB of sockets in the kernel besides"
    return Row("memory for a range of 1,000 ports", grown["process"] / MEBIBYTE, 1.0, "MiB", seen)

"""Opening an engine that has 200 endpoints to take over."""

import statistics
import time

from bench.endpoints import open_engine
from bench.figures import Row
from bench.rooms import Rooms
from linkspan import CreateNetwork, CreateSandbox

ENDPOINTS, ROUNDS = 200, 5


async def take_over(rooms: Rooms) -> list[Row]:
    """Nothing has changed while nobody looked, and everything has to be looked at."""
    times = []
    with rooms.room() as room:
        async with open_engine(room) as engine:
            await engine.apply(CreateNetwork("net", subnets=["10.100.0.0/16"]))
            for number in range(ENDPOINTS):
                await engine.apply(CreateSandbox(f"box{number}", networks=["net"], publish=[f"{10000 + number}:80"]))
        for _ in range(ROUNDS):
            start = time.perf_counter()
            async with open_engine(room) as engine:
                times.append(time.perf_counter() - start)
                if engine.healed or engine.problems or len(engine.sandboxes) != ENDPOINTS:
                    raise RuntimeError(f"not what was left behind: {engine.healed} {engine.problems}")
    middle = statistics.median(times)
    return [Row(f"open with {ENDPOINTS} endpoints to take over", middle, 1.0, "s", f"{ROUNDS} times", {"ours": times})]

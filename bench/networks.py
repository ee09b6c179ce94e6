"""Creating and removing networks, beside the floor."""

import asyncio
import time

from bench.endpoints import open_engine
from bench.figures import Row, ratio
from bench.floor import Floor, Wires, floor
from bench.rooms import Rooms
from linkspan import CreateNetwork, RemoveNetwork
from linkspan.wiring import Engine

ROUNDS, PAIRS = 6, 6


async def create_and_remove(rooms: Rooms) -> list[Row]:
    """One bridge network with the next free subnet, request to ready, and back."""
    times: dict[str, list[float]] = {"create, floor": [], "create": [], "remove, floor": [], "remove": []}
    for _ in range(ROUNDS):
        with rooms.room() as room, floor(room) as base, rooms.room() as other:
            async with open_engine(other) as engine:
                await _round(base, engine, {name: [] for name in times}, 1)
                await _round(base, engine, times, PAIRS)
    return [
        ratio("create a network", 2.5, times["create"], times["create, floor"]),
        ratio("remove it", None, times["remove"], times["remove, floor"]),
    ]


async def _round(base: Floor, engine: Engine, times: dict[str, list[float]], pairs: int) -> None:
    """Create in turn, then remove in turn."""
    networks = [Wires.prepare(number) for number in range(1, pairs + 1)]
    for network in networks:
        times["create, floor"].append(await asyncio.to_thread(base.create_network, network))
        start = time.perf_counter()
        await engine.apply(CreateNetwork(network.name))
        times["create"].append(time.perf_counter() - start)
    for network in networks:
        times["remove, floor"].append(await asyncio.to_thread(base.remove_network, network))
        start = time.perf_counter()
        await engine.apply(RemoveNetwork(network.name))
        times["remove"].append(time.perf_counter() - start)

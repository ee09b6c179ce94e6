"""Creating and removing networks, beside the floor."""

import asyncio
import time

from bench.endpoints import open_engine
from bench.figures import Row, ratio
from bench.floor import Wires, floor
from bench.rooms import Rooms, settle
from linkspan import CreateNetwork, RemoveNetwork

ROUNDS = 24


async def create_and_remove(rooms: Rooms) -> list[Row]:
    """One bridge network with the next free subnet, request to ready, and back."""
    floor_create, floor_remove, create, remove = [], [], [], []
    with rooms.room() as room, floor(room) as base, rooms.room() as other:
        async with open_engine(other) as engine:
            for number in range(1, ROUNDS + 1):
                network = Wires.prepare(number)
                request = CreateNetwork(f"net{number}")
                floor_create.append(await asyncio.to_thread(base.create_network, network))
                start = time.perf_counter()
                await engine.apply(request)
                create.append(time.perf_counter() - start)
                floor_remove.append(await asyncio.to_thread(base.remove_network, network))
                start = time.perf_counter()
                await engine.apply(RemoveNetwork(request.name))
                remove.append(time.perf_counter() - start)
                settle()
    return [
        ratio("create a network", 2.5, create[1:], floor_create[1:]),
        ratio("remove it", None, remove[1:], floor_remove[1:]),
    ]

"""`python -m bench.served DATA_ROOT EXEC_ROOT SOCKET`: our daemon's parts, with a clock around what the engine applies.

Prints a line when it serves, and at the end of its input the seconds of every request that the engine has applied.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

from linkspan import __version__
from linkspan.api.host import look
from linkspan.api.rooms import Rooms
from linkspan.api.server import Listener, serving
from linkspan.model.requests import Request
from linkspan.wiring import Engine, open_with_images


def clocked(engine: Engine) -> list[float]:
    """The seconds of each request from now on."""
    times: list[float] = []
    apply = engine.apply

    async def timed(request: Request[Any]) -> Any:
        start = time.perf_counter()
        try:
            return await apply(request)
        finally:
            times.append(time.perf_counter() - start)

    engine.apply = timed  # type: ignore[method-assign]
    return times


async def serve(data_root: Path, exec_root: Path, path: str) -> list[float]:
    """Serve until the input ends."""
    async with open_with_images(data_root=data_root, exec_root=exec_root) as (engine, containers, images):
        times = clocked(engine)
        with socket(AF_UNIX, SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen()
            rooms = Rooms(engine, containers, look(data_root, __version__, programs={}), images)
            async with serving(rooms, [Listener(listener)]):
                print("ready", flush=True)
                await asyncio.to_thread(sys.stdin.read)
        return times


if __name__ == "__main__":
    print(json.dumps(asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))))

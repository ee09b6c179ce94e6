"""What the API adds to a network attach: from the request to the answer, without the time that the engine takes itself.

A running container is connected to a network and disconnected, over the socket, on one connection. The daemon's parts
run in a process of their own with a clock around the engine (`bench.served`).
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.client import Client
from bench.figures import Row, milliseconds
from bench.ours import inside, make_rootfs
from bench.rooms import Rooms

PAIRS, WARM = 60, 10


async def measure(rooms: Rooms) -> list[Row]:
    """One row."""
    place = rooms.directory()
    rootfs, path = make_rootfs(place / "rootfs"), place / "socket"
    with rooms.room() as room, inside(room) as space:
        argv = [sys.executable, "-m", "bench.served", str(room.data_root), str(room.exec_root), str(path)]
        server = space.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdout is not None
        if await asyncio.to_thread(server.stdout.readline) != b"ready\n":
            raise RuntimeError("our daemon's parts do not start")
        whole = await asyncio.to_thread(_ask, Client(path), rootfs)
        output, _ = await asyncio.to_thread(server.communicate)
    engine: list[float] = json.loads(output)
    return [_row(whole[::2], engine[-len(whole) :: 2])]


def _row(whole: list[float], engine: list[float]) -> Row:
    shares = [all_of_it - part for all_of_it, part in zip(whole[WARM:], engine[WARM:], strict=True)]
    seen = (
        f"of {milliseconds(statistics.median(whole[WARM:]))}, engine {milliseconds(statistics.median(engine[WARM:]))}"
    )
    samples = {"whole": whole, "engine": engine}
    return Row("the API's share of a network attach", statistics.median(shares) * 1000, 2.0, "ms", seen, samples)


def _ask(client: Client, rootfs: Path) -> list[float]:
    """Seconds to connect and to disconnect, in turn."""
    client.call(
        "POST", "/containers/create?name=box", {"Rootfs": str(rootfs), "Cmd": ["/bin/busybox", "sleep", "9999"]}
    )
    client.call("POST", "/containers/box/start")
    client.call("POST", "/networks/create", {"Name": "net"})
    times = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(client.path))
        for _ in range(PAIRS):
            for action in ("connect", "disconnect"):
                body = json.dumps({"Container": "box"}).encode()
                head = f"POST /v1.51/networks/net/{action} HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
                times.append(_exchange(connection, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body))
    return times


def _exchange(connection: socket.socket, request: bytes) -> float:
    """Seconds for one request that is answered by a head alone."""
    start = time.perf_counter()
    connection.sendall(request)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(4096)
    took = time.perf_counter() - start
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise RuntimeError(answer.decode())
    return took

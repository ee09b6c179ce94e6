"""200 running containers: the memory of the daemon that has them, and a new daemon that takes them over."""

import asyncio
import selectors
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench import system
from bench.figures import Row
from bench.ours import Linkspan, linkspan
from bench.rooms import Rooms

CONTAINERS, ROUNDS, CLIENTS = 200, 3, 4
FIRST = 20_000
BRIDGE = "172.17.0.1"
MEBIBYTE = 1 << 20
_PATIENCE = 30.0


async def measure(rooms: Rooms) -> list[Row]:
    """Each container serves HTTP on a published port; it is reachable when a connection to that port is accepted."""
    with rooms.room() as room, linkspan(room, rooms.directory()) as daemon:
        idle = memory(daemon.pid)
        await asyncio.to_thread(_fill, daemon)
        await asyncio.to_thread(_reach, room.namespace)
        full = memory(daemon.pid)
        starts = [await asyncio.to_thread(_take_over, daemon, room.namespace) for _ in range(ROUNDS)]
        new = memory(daemon.pid)
    return [
        _memory_row("memory of the daemon, idle", 60, idle),
        _memory_row(f"memory of the daemon with {CONTAINERS} containers", 80, full, f"; a new one {new[0]:.1f} MiB"),
        Row(
            f"start of the daemon with {CONTAINERS} containers to take over",
            statistics.median(total for _, total in starts),
            1.5,
            "s",
            f"all are reachable; /_ping answers after {statistics.median(ping for ping, _ in starts):.2f} s",
            {"ours": [total for _, total in starts]},
        ),
    ]


def memory(pid: int) -> tuple[float, float]:
    """Mebibytes: resident, and with a share only of what several processes use."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    found = {line[0]: int(line[1]) / 1024 for line in lines}
    return found["Rss:"], found["Pss:"]


def _memory_row(what: str, limit: float, found: tuple[float, float], more: str = "") -> Row:
    return Row(what, found[0], limit, "MiB", f"resident (RSS, which counts); PSS {found[1]:.1f} MiB{more}")


def _fill(daemon: Linkspan) -> None:
    def run(number: int) -> None:
        body = {
            "Rootfs": str(daemon.rootfs),
            "Cmd": ["/bin/busybox", "httpd", "-f", "-p", "80"],
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": f"{FIRST + number}"}]}},
        }
        daemon.client.call("POST", f"/containers/create?name=box{number}", body)
        daemon.client.call("POST", f"/containers/box{number}/start")

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(run, range(CONTAINERS)))


def _take_over(daemon: Linkspan, namespace: Path) -> tuple[float, float]:
    """Seconds until it answers, and until all containers are reachable as well."""
    daemon.stop()
    _reach(namespace)
    start = time.perf_counter()
    answered = daemon.start()
    _reach(namespace)
    total = time.perf_counter() - start
    running = daemon.client.call("GET", "/info")["ContainersRunning"]
    if running != CONTAINERS:
        raise RuntimeError(f"{running} of {CONTAINERS} containers were taken over: {daemon.log()}")
    return answered, total


def _reach(namespace: Path) -> None:
    """Connect to every published port."""
    system.on_a_thread(lambda: _connect(namespace))


def _connect(namespace: Path) -> None:
    system.enter(namespace)
    deadline = time.monotonic() + _PATIENCE
    waiting = set(range(CONTAINERS))
    while waiting and time.monotonic() < deadline:
        waiting -= _connected(waiting)
    if waiting:
        raise TimeoutError(f"{len(waiting)} of {CONTAINERS} containers are not reachable")


def _connected(numbers: set[int]) -> set[int]:
    """Those that accept a connection at once or within a second."""
    found = set()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in numbers:
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            client.connect_ex((BRIDGE, FIRST + number))
            selector.register(client, selectors.EVENT_WRITE, number)
        while selector.get_map() and (ready := selector.select(1.0)):
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(key.data)
    return found

"""A new connection through a published port: with 10,000 ports published, and with that one alone.

A neighbour on a LAN connects to the machine's address, and the connection is translated to a sandbox behind the bridge.
The kernel answers a SYN by itself, so one thread can play both parts: it connects, which is timed, accepts from the
sandbox's listener, and ends the connection by a reset, which leaves neither TIME_WAIT nor a used port behind.

Every port is published by itself, all lead to one port of the sandbox, and the client connects to the last. With
nftables a port is an element of a map, with iptables a rule that every new connection is compared with.
"""

import asyncio
import socket
import statistics
import struct
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from bench import system
from bench.endpoints import open_engine
from bench.figures import Row, milliseconds, percentile
from bench.rooms import Room, Rooms
from linkspan import Config, CreateSandbox, FirewallBackend, Publish
from linkspan.lab.hosts import LAN, lab
from linkspan.wiring import open_kernel

PORTS, LAST = 10_000, 30_000
BLOCK = 50
MACHINE = (str(LAN[4][1]), LAST)
_ABORT = struct.pack("ii", 1, 0)


class Client:
    """A thread on the neighbour, connected by way of the machine to a listener in the sandbox."""

    def __init__(self, neighbour: Path, sandbox: Path) -> None:
        self._listener = system.on_a_thread(lambda: _listen(sandbox))
        self._thread = ThreadPoolExecutor(1, initializer=system.enter, initargs=(neighbour,))
        self.times: list[float] = []

    async def connect(self, count: int) -> None:
        """Connect so many times, one after the other."""
        self.times += await asyncio.get_running_loop().run_in_executor(self._thread, self._connect, count)

    def _connect(self, count: int) -> list[float]:
        return [self._once() for _ in range(count)]

    def _once(self) -> float:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            start = time.perf_counter()
            client.connect(MACHINE)
            took = time.perf_counter() - start
            self._listener.accept()[0].close()
        return took

    def close(self) -> None:
        """End the thread, close the listener."""
        self._thread.shutdown()
        self._listener.close()


def _listen(sandbox: Path) -> socket.socket:
    system.enter(sandbox)
    listener = socket.create_server(("", 80), backlog=16)
    listener.settimeout(10)
    return listener


@asynccontextmanager
async def client(rooms: Rooms, backend: FirewallBackend, ports: int) -> AsyncIterator[Client]:
    """A LAN of its own, with an engine on its machine that has published so many ports of one sandbox."""
    place = rooms.directory()
    config = Config(firewall=backend, userland_proxy=False)
    async with lab(open_kernel) as lan:
        room = Room(lan.machine.namespace, place / "data", place / "exec")
        async with open_engine(room, config) as engine:
            box = await engine.apply(CreateSandbox("box"))
            await engine.apply(Publish("box", [f"{port}:80" for port in range(LAST - ports + 1, LAST + 1)]))
            namespace = engine.sandbox(box.id).namespace
            assert namespace is not None
            connected = Client(lan.neighbour.namespace, namespace)
            try:
                yield connected
            finally:
                connected.close()
                system.unmount(namespace)


async def compare(rooms: Rooms, backend: FirewallBackend, count: int) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds for a new connection with one port, and with many, in turn."""
    async with client(rooms, backend, 1) as one, client(rooms, backend, PORTS) as many:
        for _ in range(count // BLOCK + 1):
            for side in (one, many):
                await side.connect(BLOCK)
        return one.times[BLOCK:], many.times[BLOCK:]


async def connect(rooms: Rooms) -> list[Row]:
    """With nftables, judged; with iptables, shown."""
    rows = []
    for backend, limit, count in ((FirewallBackend.NFTABLES, 1.2, 3000), (FirewallBackend.IPTABLES, None, 400)):
        one, many = await compare(rooms, backend, count)
        rows.append(_row(f"connect, {PORTS:,} ports published against 1 ({backend})", limit, one, many))
    return rows


def _row(what: str, limit: float | None, one: Sequence[float], many: Sequence[float]) -> Row:
    middle, base = statistics.median(many), statistics.median(one)
    slow = [milliseconds(percentile(times, 0.99)) for times in (many, one)]
    seen = f"{milliseconds(middle)}, one port {milliseconds(base)}; p99 {slow[0]} and {slow[1]}"
    return Row(what, middle / base, limit, seen=seen, samples={"many": many, "one": one})

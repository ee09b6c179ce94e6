"""The relay beside docker-proxy: one connection's throughput, connections per second, memory.

Both listen on a machine's loopback and lead to one server on its neighbour; clients ask them in turn. What a relay
costs is system calls, so the judged figures have client, relay and server share one core: then the time is what all
three need, however busy the other core is, and a relay that needs less is faster. The same with the relay on one core
and the rest on the other is shown beside it; there it matters too how well they overlap, and who else wants the cores.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Row, milliseconds, ratio
from bench.rooms import Rooms
from linkspan.lab.hosts import lab
from linkspan.wiring import open_kernel

PROXY = "docker-proxy"
MISSING = "the relay without docker-proxy beside it: it is not installed (Debian's package is docker.io)"
ROUNDS = 15
BYTES, REQUESTS = 256 << 20, 1000
PORTS = 1000
SERVER_PORT = 8080
_OURS, _THEIRS = 9001, 9002


@dataclass
class Side:
    """A relay that listens on a port, and the seconds that each round took: all in all, and of the relay's own."""

    port: int
    process: "subprocess.Popen[bytes]"
    times: dict[str, list[float]] = field(default_factory=dict)

    def pin(self, core: int) -> None:
        """Put every thread on one core; threads to come inherit it."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    def used(self) -> float:
        """Seconds of processor time so far, of all threads."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def measure(self, what: str, command: Sequence[str], core: int) -> None:
        """One round of a client."""
        before = self.used()
        took = float(subprocess.run([*_on(core), *command], capture_output=True, check=True).stdout)
        self.times.setdefault(what, []).append(took)
        self.times.setdefault(f"{what}: processor", []).append(self.used() - before)


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run."""
    async with lab(open_kernel) as lan:
        machine, neighbour = lan.machine, lan.neighbour
        return await asyncio.to_thread(_compare, machine.namespace, neighbour.namespace, str(neighbour.v4))


def _compare(machine: Path, neighbour: Path, address: str) -> list[Row | str]:
    inside = ["nsenter", f"--net={machine}"]
    with ExitStack() as stack:
        server = stack.enter_context(_program(_inside(neighbour, "server", SERVER_PORT), core=_cores()[0]))
        ours = Side(_OURS, stack.enter_context(_program(_inside(machine, "relay", _OURS, address, SERVER_PORT))))
        theirs = None
        if shutil.which(PROXY):
            theirs = Side(_THEIRS, stack.enter_context(_docker_proxy(inside, address)))
        for core, where in zip(_cores(), ("shared", "apart"), strict=True):
            _rounds([side for side in (ours, theirs) if side], machine, where, core)
        assert server.poll() is None
        return [*_rows(ours, theirs), _memory(machine), *([] if theirs else [MISSING])]


def _rounds(sides: Sequence[Side], machine: Path, where: str, core: int) -> None:
    """The relays on the core, clients where the server is. The first round is not counted."""
    for side in sides:
        side.pin(core)
    for _ in range(ROUNDS + 1):
        for side in sides:
            side.measure(f"transfer {where}", _inside(machine, "transfer", side.port, BYTES), _cores()[0])
            side.measure(f"requests {where}", _inside(machine, "requests", side.port, REQUESTS), _cores()[0])
    for side in sides:
        for times in side.times.values():
            del times[: len(times) - ROUNDS]


def _rows(ours: Side, theirs: Side | None) -> list[Row]:
    """Ratios of seconds, so that less is better, as everywhere: 0.83 is 1.2 times as much in a second."""
    rows = []
    for name, what, limit in (
        ("transfer", f"{BYTES >> 20} MiB through one connection", 0.83),
        ("requests", f"{REQUESTS} times connect, one request, close", 1.0),
    ):
        for place, words, judged in (
            (f"{name} shared", "all on one core", limit),
            (f"{name} shared: processor", "the relay's processor time", None),
            (f"{name} apart", "the relay on a core of its own", None),
        ):
            rows.append(
                _row(f"relay: {what}, {words}", judged, ours.times[place], theirs.times[place] if theirs else None)
            )
    return rows


def _row(what: str, limit: float | None, mine: Sequence[float], other: Sequence[float] | None) -> Row:
    if other is not None:
        return ratio(what, limit, mine, other, against=PROXY)
    middle = statistics.median(mine)
    return Row(what, middle * 1000, unit="ms", seen=milliseconds(middle), samples={"ours": mine})


def _memory(machine: Path) -> Row:
    command = _inside(machine, "ports", PORTS)
    taken = int(subprocess.run(command, capture_output=True, check=True).stdout)
    return Row(f"relay: memory for {PORTS:,} ports", taken / 2**20, 40, "MiB", "the process, with what it shares (PSS)")


def _inside(namespace: Path, *words: object) -> list[str]:
    """One of the programs, in a namespace."""
    return ["nsenter", f"--net={namespace}", sys.executable, "-m", "bench.relayends", *map(str, words)]


def _on(core: int) -> list[str]:
    return ["taskset", "--cpu-list", str(core)]


def _cores() -> tuple[int, int]:
    """One for clients and server, one for a relay apart; the same when there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


@contextmanager
def _program(command: Sequence[str], core: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """One of the programs that serve; they end with their input."""
    argv = [*(_on(core) if core is not None else ()), *command]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"\n":
                raise RuntimeError(f"{' '.join(argv)} does not start")
            yield process
        finally:
            process.kill()


@contextmanager
def _docker_proxy(inside: Sequence[str], address: str) -> Iterator["subprocess.Popen[bytes]"]:
    """As dockerd starts it: it writes to descriptor 3 when it serves."""
    ends = ["-host-ip", "127.0.0.1", "-host-port", str(_THEIRS), "-container-ip", address]
    argv = [*inside, "sh", "-c", 'exec "$@" 3>&1', "sh", PROXY, "-proto", "tcp", *ends]
    command = [*argv, "-container-port", str(SERVER_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith(b"0"):
                raise RuntimeError("docker-proxy does not start")
            yield process
        finally:
            process.kill()

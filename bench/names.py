"""Names beside Docker's: questions per second from inside a container, the slowest answers, losses, and changes.

Both daemons run a container on a network of the same name, and dnsperf asks 127.0.0.11 port 53 in its namespace: so the
redirect to the server's port is in the path of both. The server (all threads of dockerd, our data plane's process) and
dnsperf share one core; the server that external names are forwarded to has the other. aardvark-dns is asked on its
address, as its containers do, from a room of its own. What is compared is measured in turn, in one run.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.enclosure import enclosure, processes_beside
from bench.figures import Row, milliseconds, percentile, ratio
from bench.nameserver import NAMES, PORT
from bench.rooms import Rooms
from bench.sides import Side, sides

ROUNDS, SECONDS = 5, 2
MANY = 1_000_000
AARDVARK = Path("/usr/lib/podman/aardvark-dns")
_OURS = "linkspan-data"  # the name of the process, as the kernel cuts it
_ANSWERED = re.compile(r"^> \w+ \S+ \S+ ([0-9.]+)$", re.MULTILINE)
_COUNTED = re.compile(r"Queries (sent|lost|per second): +([0-9.]+)")


@dataclass
class Place:
    """Where dnsperf asks: the command that leads there, the server's address and port, and what came of it."""

    inside: Sequence[str]
    server: Sequence[str]
    pids: Sequence[int] = ()
    rates: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0
    priority: Sequence[str] = ()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """The server and dnsperf go before everything else on their core: what the machine is busy with beside them
        would otherwise be most of what slow answers show.
        """
        schedule(self.pids, os.SCHED_RR, 1)
        self.priority = ("chrt", "--rr", "1")
        try:
            yield
        finally:
            self.priority = ()
            schedule(self.pids, os.SCHED_OTHER, 0)

    def ask(self, questions: Path, *limits: str) -> str:
        """Run dnsperf; what it prints."""
        pin(self.pids)
        command = [
            *self.inside,
            *self.priority,
            "taskset",
            "--cpu-list",
            str(_cores()[0]),
            "dnsperf",
            "-d",
            str(questions),
        ]
        outcome = subprocess.run(
            [*command, "-c", "8", *self.server, *limits], capture_output=True, text=True, check=False
        )
        if outcome.returncode:
            raise RuntimeError(f"dnsperf: {outcome.stdout[-500:]}{outcome.stderr[-500:]}")
        self.lost += int(counts(outcome.stdout)["lost"])
        return outcome.stdout

    def measure(self, what: str, questions: Path, *limits: str) -> None:
        """Add the questions per second of one more round."""
        printed = self.ask(questions, "-l", str(SECONDS), *limits)
        self.rates.setdefault(what, []).append(counts(printed)["per second"])

    def seconds(self, what: str) -> list[float]:
        """Per question, in each round."""
        return [1 / rate for rate in self.rates[what]]


def counts(printed: str) -> dict[str, float]:
    """What dnsperf has counted."""
    return {name: float(value) for name, value in _COUNTED.findall(printed)}


def _cores() -> tuple[int, int]:
    """One for the measured, one for the rest; the same when there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[-1], cores[0]


def pin(pids: Sequence[int]) -> None:
    """Put every thread of these processes on the measured core; threads to come inherit it."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {_cores()[0]})


def schedule(pids: Sequence[int], policy: int, priority: int) -> None:
    """How all threads of these processes get their turn."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


async def compare(rooms: Rooms) -> list[Row | str]:
    """In turn, in one run."""
    return await asyncio.to_thread(_compare, rooms)


def _compare(rooms: Rooms) -> list[Row | str]:
    place = rooms.directory()
    known, external = place / "known", place / "external"
    known.write_text("web A\n")
    external.write_text("www.example.com A\n")
    with ExitStack() as stack:
        mine, other, notes = stack.enter_context(sides(rooms))
        ours = stack.enter_context(_container(mine, _ours(mine)))
        docker = None if other is None else stack.enter_context(_container(other, [other.first]))
        aardvark = stack.enter_context(_aardvark(rooms)) if AARDVARK.exists() else None
        for _ in range(ROUNDS):
            for each in (docker, ours, aardvark):
                if each is not None:
                    each.measure("known", known)
            for each in (docker, ours):
                if each is not None:
                    each.measure("external", external, "-q", "20")
        slow = _slowest(ours, docker, known)
        before = ours.lost
        ours.ask(known, "-n", str(MANY))
        lost = Row("names: lost of 1,000,000 questions", ours.lost - before, 0, "lost")
    return [*_rates(ours, docker, aardvark), slow, lost, *_updates(rooms, known), *notes]


def _ours(side: Side) -> list[int]:
    found = [pid for pid in processes_beside(side.first) if Path(f"/proc/{pid}/comm").read_text().strip() == _OURS]
    if not found:
        raise RuntimeError("our daemon has no process for the data plane")
    return found


@contextmanager
def _container(side: Side, pids: Sequence[int]) -> Iterator[Place]:
    """A container that is asked about itself, and a server behind its gateway that knows all other names."""
    side.client.call("POST", "/networks/create", {"Name": "shop"})
    gateway = side.client.call("GET", "/networks/shop")["IPAM"]["Config"][0]["Gateway"]
    settings = {"NetworkMode": "shop", "Dns": [gateway]}
    body = {**side.root, "Cmd": ["/bin/busybox", "sleep", "100000"], "HostConfig": settings}
    side.client.call("POST", "/containers/create?name=web", body)
    side.client.call("POST", "/containers/web/start")
    pid = side.client.call("GET", "/containers/web/json")["State"]["Pid"]
    beside = ["nsenter", f"--target={side.first}", "--pid", "--mount"]
    room = ["nsenter", f"--net=/proc/{side.first}/ns/net"]
    with _server([*room, sys.executable, "-m", "bench.nameserver", "upstream", gateway, str(_cores()[1])]):
        yield Place([*beside, "nsenter", "--net", f"--target={pid}"], ["-s", "127.0.0.11"], pids)
    side.remove("web")


@contextmanager
def _server(command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that writes an empty line once it serves."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"\n":
                raise RuntimeError(f"{' '.join(command)} does not start")
            yield process
        finally:
            process.kill()


@contextmanager
def _aardvark(rooms: Rooms) -> Iterator[Place]:
    """aardvark-dns with one container; it ends with its namespace of processes."""
    directory = rooms.directory()
    (directory / "shop").write_text("10.9.0.1\n0123456789ab 10.9.0.2  web\n")
    with rooms.room() as room, enclosure(room) as space:
        for line in ("10.9.0.1/24", "10.9.0.2/24"):
            _run(space.start(["ip", "address", "add", line, "dev", "lo"]))
        _run(space.start([str(AARDVARK), "--config", str(directory), "--port", "53", "run"], stderr=subprocess.DEVNULL))
        pids = [pid for pid in processes_beside(space.first) if "aardvark" in Path(f"/proc/{pid}/comm").read_text()]
        yield Place(["nsenter", f"--net={room.namespace}"], ["-s", "10.9.0.1", "-a", "10.9.0.2"], pids)


def _run(process: "subprocess.Popen[bytes]") -> None:
    if process.wait(30):
        raise RuntimeError(f"{process.args!r} failed")


def _rates(ours: Place, docker: Place | None, aardvark: Place | None) -> list[Row]:
    """Ratios of the seconds per question, so that less is better, as everywhere: 0.83 is 1.2 times as many."""
    rows = []
    for what, limit, name in (("known", 0.83, "a container's name"), ("external", 0.33, "a cached external name")):
        title = f"names: seconds for {name}"
        mine = ours.seconds(what)
        if docker is None:
            rows.append(Row(title, statistics.median(mine) * 1e6, unit="us", samples={"ours": mine}))
        else:
            rows.append(ratio(title, limit, mine, docker.seconds(what), against="dockerd"))
    if aardvark is not None:
        title = "names: seconds for a container's name, beside aardvark-dns"
        rows.append(ratio(title, None, ours.seconds("known"), aardvark.seconds("known"), against="aardvark-dns"))
    return rows


def _slowest(ours: Place, docker: Place | None, known: Path) -> Row:
    """Each at half of what it can bear."""
    shares: dict[str, list[float]] = {}
    loads = dict[str, int]()
    for _ in range(ROUNDS):
        for name, place in (("ours", ours), ("dockerd", docker)):
            if place is not None:
                with place.undisturbed():
                    whole = counts(place.ask(known, "-l", str(SECONDS)))["per second"]
                    loads[name] = int(whole / 2)
                    printed = place.ask(known, "-l", str(SECONDS), "-Q", str(loads[name]), "-v")
                times = list(map(float, _ANSWERED.findall(printed)))
                shares.setdefault(name, []).append(percentile(times, 0.99))
    medians = {name: statistics.median(each) for name, each in shares.items()}
    seen = ", ".join(f"{name} {milliseconds(medians[name])} at {loads[name]}/s" for name in medians)
    return Row("names: 99 of 100 answers, at half the load", medians["ours"] * 1000, 2.0, "ms", seen, shares)


def _updates(rooms: Rooms, known: Path) -> list[Row]:
    """Change one name while it is asked for."""
    with rooms.room() as room:
        inside = ["nsenter", f"--net={room.namespace}"]
        command = [*inside, sys.executable, "-m", "bench.nameserver", "update", str(_cores()[1])]
        with _server(command) as process:
            place = Place(inside, ["-s", "127.0.0.1", "-p", str(PORT)])
            place.ask(known, "-l", "5")
            output, _ = process.communicate(b"")
    times: list[float] = json.loads(output)
    seen = f"{len(times)} changes, median {milliseconds(statistics.median(times))}"
    title = f"names: a change of one among {NAMES:,} while it is asked for"
    return [
        Row(f"{title}, 99 of 100", percentile(times, 0.99) * 1000, 5.0, "ms", seen, {"ours": times}),
        Row(f"{title}: questions lost", place.lost, 0, "lost"),
    ]

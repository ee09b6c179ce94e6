"""Docker beside ours: networks, and what a network and a published port add to the start of a container.

The daemon runs in a room of the bench, with mounts and processes that nobody else sees. /run and its configuration are
empty, its data lies in a temporary directory, its cgroups under a parent made for it; all of it ends with the process
started here. It is asked over its socket, without the docker command, and the clock runs from request to answer.

What something adds to a start is the median of the differences within a round, since the start of a container varies by
more than a network costs. Ours is the whole time for a sandbox on the bridge, with its namespace, and for publishing.
"""

import asyncio
import io
import os
import shutil
import statistics
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.client import Client
from bench.enclosure import PATIENCE, child, end, remove_cgroups
from bench.endpoints import open_engine
from bench.figures import Row, milliseconds
from bench.rooms import Room, Rooms, settle
from linkspan import CreateNetwork, CreateSandbox, Publish, RemoveNetwork, RemoveSandbox
from linkspan.model.requests import Request
from linkspan.wiring import Engine

ROUNDS = 14
BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")
_PAUSE = 0.2
_CGROUP = f"linkspan-bench-{os.getpid()}"
_START = """
mount -t tmpfs tmpfs /run
mkdir /run/empty
[ ! -d /etc/docker ] || mount --bind /run/empty /etc/docker
exec dockerd --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid -H "unix://$1/socket" \
    --cgroup-parent "/$2"
"""
_MODES: dict[str, dict[str, object]] = {
    "none": {"NetworkMode": "none"},
    "bridge": {"NetworkMode": "bridge"},
    "port": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
}
_REQUESTS: dict[str, Request[Any]] = {
    "create": CreateNetwork("net"),
    "remove": RemoveNetwork("net"),
    "bridge": CreateSandbox("box"),
    "port": Publish("box", ["8080:80"]),
}


class DockerError(Exception):
    """Docker cannot be measured here, and why."""


def busybox() -> Path:
    """A busybox that needs no libraries."""
    for path in map(Path, BUSYBOX):
        if path.is_file() and b"/ld-linux" not in path.read_bytes():
            return path
    raise DockerError("there is no static busybox to run in a container (package busybox-static)")


class Docker(Client):
    """A client of dockerd. `first` is the first process of its namespace of processes, dockerd itself."""

    refusal = DockerError
    first = 0


@contextmanager
def daemon(room: Room, place: Path) -> Iterator[Docker]:
    """A daemon in a room, with an image `box`."""
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "nsenter",
        f"--net={room.namespace}",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
    ]
    command += ["--mount-proc", "sh", "-ec", _START, "sh", str(place), _CGROUP]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
    try:
        docker = Docker(place / "socket")
        _wait(docker, process, place / "log")
        docker.first = child(process.pid)
        docker.call("POST", "/images/create?fromSrc=-&repo=box", data=image())
        yield docker
    finally:
        end(process)
        remove_cgroups(_CGROUP)


def _wait(docker: Docker, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            docker.call("GET", "/_ping")
            return
        time.sleep(0.05)
    raise DockerError(f"dockerd does not start: {log.read_text()[-2000:]}")


def image() -> bytes:
    """A file system with busybox in it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(busybox().resolve(), "bin/busybox")
    return archive.getvalue()


def check_installed() -> None:
    """Raises `DockerError`."""
    if shutil.which("dockerd") is None:
        raise DockerError("dockerd is not installed (Debian's package is docker.io)")


async def compare(rooms: Rooms) -> list[Row]:
    """In turn, in one run. Raises `DockerError`."""
    check_installed()
    theirs: dict[str, list[float]] = {}
    ours: dict[str, list[float]] = {}
    with rooms.room() as theirs_room, rooms.room() as ours_room, daemon(theirs_room, rooms.directory()) as docker:
        async with open_engine(ours_room) as engine:
            for _ in range(ROUNDS):
                for name, seconds in await asyncio.to_thread(_docker_round, docker):
                    theirs.setdefault(name, []).append(seconds)
                for name, seconds in await _engine_round(engine):
                    ours.setdefault(name, []).append(seconds)
    return _rows(theirs, ours)


def _docker_round(docker: Docker) -> list[tuple[str, float]]:
    times = [
        ("create", docker.timed("POST", "/networks/create", {"Name": "net", "CheckDuplicate": True})),
        ("remove", docker.timed("DELETE", "/networks/net")),
    ]
    settle()
    for name, settings in _MODES.items():
        body = {"Image": "box", "Cmd": ["/bin/busybox", "sleep", "1000"], "ExposedPorts": {"80/tcp": {}}}
        docker.call("POST", "/containers/create?name=box", body | {"HostConfig": settings})
        times.append((name, docker.timed("POST", "/containers/box/start")))
        docker.call("DELETE", "/containers/box?force=1")
        settle()
    return times


async def _engine_round(engine: Engine) -> list[tuple[str, float]]:
    await asyncio.sleep(_PAUSE)  # what Docker still does after its answers
    times = []
    for name, request in _REQUESTS.items():
        start = time.perf_counter()
        await engine.apply(request)
        times.append((name, time.perf_counter() - start))
    await engine.apply(RemoveSandbox("box"))
    settle()
    return times


def _rows(theirs: dict[str, list[float]], ours: dict[str, list[float]]) -> list[Row]:
    figures = {
        "Docker: create a network": ("create", ""),
        "Docker: remove a network": ("remove", ""),
        "Docker: what a bridge network adds to a start": ("bridge", "none"),
        "Docker: what a published port adds to a start": ("port", "bridge"),
    }
    rows = []
    for what, (name, without) in figures.items():
        docker, engine = statistics.median(_added(theirs, name, without)), statistics.median(ours[name][1:])
        seen = f"{milliseconds(docker)}, ours {milliseconds(engine)}"
        rows.append(Row(what, docker / engine, seen=seen, samples={"docker": theirs[name], "ours": ours[name]}))
    return rows


def _added(times: dict[str, list[float]], name: str, without: str) -> list[float]:
    """Of each round but the first, which pays for what is made once."""
    base = times[without] if without else [0.0] * len(times[name])
    return [one - other for one, other in zip(times[name], base, strict=True)][1:]

"""Our daemon in an enclosure."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.client import Client
from bench.dockerd import busybox
from bench.enclosure import PATIENCE, Enclosure, child, enclosure, remove_cgroups
from bench.rooms import Room


class Linkspan:
    """The daemon of one enclosure; it can be stopped and started, and what it built stays."""

    def __init__(self, space: Enclosure, place: Path) -> None:
        self.space = space
        self.client = Client(place / "socket")
        self.rootfs = make_rootfs(place / "rootfs")
        self.pid = 0
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; returns the seconds until it answers /_ping."""
        room, place = self.space.room, self._place
        roots = ["--data-root", str(room.data_root), "--exec-root", str(room.exec_root)]
        argv = [sys.executable, "-m", "linkspan.daemon", *roots, "--pidfile", str(place / "pid")]
        begin = time.perf_counter()
        with (place / "log").open("ab") as log:
            self._process = self.space.start([*argv, "-H", f"unix://{self.client.path}"], stdout=log, stderr=log)
        self._wait()
        took = time.perf_counter() - begin
        self.pid = child(self._process.pid)
        return took

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                self.client.call("GET", "/_ping")
                return
            time.sleep(0.005)
        raise RuntimeError(f"our daemon does not start: {self.log()}")

    def stop(self) -> None:
        """As a supervisor does it; containers stay."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        if self._process.wait(PATIENCE) != 0:
            raise RuntimeError(f"our daemon ended with an error: {self.log()}")

    def log(self) -> str:
        """The end of what it has said."""
        return (self._place / "log").read_text()[-2000:]


@contextmanager
def linkspan(room: Room, place: Path) -> Iterator[Linkspan]:
    """The daemon, running in a room, with its files in a directory."""
    with inside(room) as space:
        daemon = Linkspan(space, place)
        daemon.start()
        yield daemon


@contextmanager
def inside(room: Room) -> Iterator[Enclosure]:
    """An enclosure for whatever starts containers."""
    try:
        with enclosure(room) as space:
            yield space
    finally:
        containers = room.data_root / "containers"
        if containers.is_dir():
            remove_cgroups(*(f"linkspan/{path.name}" for path in containers.iterdir()))


def make_rootfs(directory: Path) -> Path:
    """A root file system with busybox in it, as Docker's image has it."""
    for name in ("bin", "dev", "etc", "proc", "sys"):
        (directory / name).mkdir(parents=True)
    target = directory / "bin/busybox"
    target.write_bytes(busybox().read_bytes())
    target.chmod(0o755)
    return directory

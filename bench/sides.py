"""Our daemon and dockerd, each in a room, asked by the same clients."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import dockerd
from bench.client import Client
from bench.enclosure import processes_beside
from bench.figures import Row, ratio
from bench.ours import linkspan
from bench.rooms import Rooms

FIRST_PORT = 20_000
LINKSPAN = str(Path(sys.executable).with_name("linkspan"))
_PORTION = 1 << 20
_SLEEP = ["/bin/busybox", "sleep", "100000"]


@dataclass
class Side:
    """A daemon, the first process beside it, what its containers are made of, and the seconds each thing took."""

    client: Client
    first: int
    daemon: int
    root: Mapping[str, object]
    times: dict[str, list[float]] = field(default_factory=dict)

    def create(self, name: str, ports: int = 1, first: int = FIRST_PORT) -> None:
        """A container that publishes so many ports."""
        bindings = {f"{port}/tcp": [{"HostPort": f"{port}"}] for port in range(first, first + ports)}
        exposed: dict[str, object] = {port: {} for port in bindings}
        body = {**self.root, "Cmd": _SLEEP, "ExposedPorts": exposed, "HostConfig": {"PortBindings": bindings}}
        self.client.call("POST", f"/containers/create?name={name}", body)

    def run(self, name: str, ports: int = 1, first: int = FIRST_PORT) -> None:
        """Create and start, as `docker run -d` does."""
        self.create(name, ports, first)
        self.client.call("POST", f"/containers/{name}/start")

    def remove(self, name: str) -> None:
        """Kill and remove, as `docker rm -f` does."""
        self.client.call("DELETE", f"/containers/{name}?force=1")

    def processes(self) -> int:
        """How many there are beside the daemon."""
        return sum(1 for _ in processes_beside(self.first))

    def timed(self, what: str, work: Callable[[], object]) -> None:
        """Do something, and remember how long it took."""
        start = time.perf_counter()
        work()
        self.times.setdefault(what, []).append(time.perf_counter() - start)

    def command(self, program: str, *words: str) -> None:
        """Run a command as a client of this daemon, with an empty configuration; what it prints is read and dropped."""
        process = self._start(program, words, subprocess.DEVNULL)
        assert process.stdout is not None and process.stderr is not None
        while process.stdout.read(_PORTION):
            pass
        said = process.stderr.read()
        if process.wait():
            raise RuntimeError(f"{program} {' '.join(words)}: {said.decode()}")

    def docker(self, *words: str) -> None:
        """The stock client."""
        self.command("docker", *words)

    def docker_process(self, *words: str) -> "subprocess.Popen[bytes]":
        """The stock client, with pipes."""
        return self._start("docker", words, subprocess.PIPE)

    def _start(self, program: str, words: Sequence[str], stdin: int) -> "subprocess.Popen[bytes]":
        home, host = str(self.client.path.parent), f"unix://{self.client.path}"
        environment = {"PATH": os.environ["PATH"], "HOME": home, "DOCKER_HOST": host}
        pipe = subprocess.PIPE
        return subprocess.Popen([program, *words], env=environment, stdin=stdin, stdout=pipe, stderr=pipe)


@contextmanager
def sides(rooms: Rooms) -> Iterator[tuple[Side, Side | None, list[str]]]:
    """Ours, dockerd when it is installed, and a note when it is not."""
    with ExitStack() as stack:
        ours = stack.enter_context(linkspan(stack.enter_context(rooms.room()), rooms.directory()))
        mine = Side(ours.client, ours.space.first, ours.pid, {"Rootfs": str(ours.rootfs)})
        try:
            dockerd.check_installed()
        except dockerd.DockerError as error:
            yield mine, None, [f"ours without Docker's beside it: {error}"]
            return
        docker = stack.enter_context(dockerd.daemon(stack.enter_context(rooms.room()), rooms.directory()))
        yield mine, Side(docker, docker.first, docker.first, {"Image": "box"}), []


def beside(what: str, limit: float | None, ours: list[float], theirs: list[float] | None) -> Row:
    """The medians of two series, or ours alone."""
    if theirs is None:
        return Row(what, sorted(ours)[len(ours) // 2] * 1000, unit="ms", samples={"ours": ours})
    return ratio(what, limit, ours, theirs, against="dockerd")

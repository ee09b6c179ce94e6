"""A room whose processes are its own as well: the kernel ends all of them with the first, whatever way the bench ends.

Containers outlive the daemon that started them, so a daemon in a plain room would leave them to the machine. Here they
live in a namespace of processes that begins with an idle one; daemons come and go beside it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.rooms import Room

PATIENCE = 30.0
# The idle process ignores SIGCHLD, so that nobody it inherits stays a zombie.
_IDLE = """
mount -t tmpfs tmpfs /run
mkdir /run/empty
[ ! -d /etc/linkspan ] || mount --bind /run/empty /etc/linkspan
echo
exec env --ignore-signal=CHLD sleep infinity
"""
_MADE = "setpriv --pdeathsig KILL nsenter --net={} unshare --mount --pid --fork --kill-child --mount-proc".split()


class Enclosure:
    """Starts programs in the namespaces."""

    def __init__(self, first: int, room: Room) -> None:
        self.first = first
        self.room = room

    def start(self, argv: Sequence[str], **settings: object) -> "subprocess.Popen[bytes]":
        """Start a program. The process is that of nsenter, which gives the program's exit status as its own."""
        namespaces = [f"--target={self.first}", "--mount", "--pid", f"--net={self.room.namespace}"]
        command = ["nsenter", *namespaces, f"--wdns={Path.cwd()}", "--", *argv]
        return subprocess.Popen(command, start_new_session=True, **settings)  # type: ignore[call-overload,no-any-return]

    def count(self) -> int:
        """How many processes there are."""
        return sum(1 for _ in processes_beside(self.first))


def processes_beside(pid: int) -> Iterator[int]:
    """Every process in the namespace of `pid` that has not ended, by the ids of the outside."""
    wanted = _namespace(pid)
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _namespace(int(path.name)) == wanted and ") Z " not in (path / "stat").read_text():
                yield int(path.name)


def _namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


@contextmanager
def enclosure(room: Room) -> Iterator[Enclosure]:
    """Namespaces of processes and mounts in a room; every process in them is killed when the block ends."""
    made = [part.format(room.namespace) for part in _MADE]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*made, "sh", "-ec", _IDLE], start_new_session=True, stdout=pipe, stderr=pipe)
    try:
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != b"\n":
            raise RuntimeError(f"no namespace of processes could be made: {process.stderr.read().decode()}")
        yield Enclosure(child(process.pid), room)
    finally:
        end(process)
        process.communicate()


def child(pid: int) -> int:
    """The one child of a process that starts nothing else, once it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return int(found[0])
        time.sleep(0.001)
    raise TimeoutError(f"process {pid} starts nothing")


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the first process of the namespace that `process` made, and with it the kernel ends all others there."""
    for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(each), signal.SIGKILL)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()


def remove_cgroups(*names: str) -> None:
    """Remove control groups that are empty, or are about to be: those of processes that were killed."""
    for _ in range(100):
        found = [path for name in names for path in _cgroups(name)]
        for path in found:
            with suppress(OSError):
                for inner in sorted((p for p in path.rglob("*") if p.is_dir()), reverse=True):
                    inner.rmdir()
                path.rmdir()
        if not found:
            return
        time.sleep(0.02)


def _cgroups(name: str) -> list[Path]:
    """A group in every hierarchy."""
    roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    return [root / name for root in roots if (root / name).is_dir()]

"""Finding and starting the process of an exec root.

Under the exec root are `dataplane.sock`, where the daemon connects; `dataplane.lock`, locked by the process that has
the exec root, with its process id in it; and `dataplane.log`. Whoever starts a process makes socket and lock for it and
hands both over, so that it can be connected to from the first moment, and so that a successor can get the lock from
its predecessor without a moment at which nobody has it.
"""

import asyncio
import fcntl
import hashlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from linkspan.dataplane.ports import Spawn
from linkspan.model.errors import UnavailableError

MODULE = "linkspan.daemon.dataplane"
_DEVNULL = asyncio.subprocess.DEVNULL

LOG_SIZE = 2**20
"""Bytes of the log beyond which a new process begins it anew."""

ENDING = 5.0
"""Seconds a process that cannot be talked to has to end after SIGTERM, and again after SIGKILL."""

_PID_SIZE = 16
"""Bytes of the lock's file: a process id, and spaces (see `linkspan.daemon.dataplane`)."""

_LOOK = 0.02
"""Seconds between two looks at the lock."""

_SOURCES = ("dataplane/**/*.py", "model/*.py", "daemon/dataplane.py", "daemon/logs.py", "kernel/visiting.py")
_FOREIGN = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd says to the daemon alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of the process of an exec root."""

    exec_root: Path

    @property
    def socket(self) -> Path:
        """Where to connect."""
        return self.exec_root / "dataplane.sock"

    @property
    def lock(self) -> Path:
        """Locked by the process, and with its id in it."""
        return self.exec_root / "dataplane.lock"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.exec_root / "dataplane.log"


def build_id() -> str:
    """What the code of a process started now would be: a hash of its sources, and of Python's version."""
    package = Path(__file__).parents[1]
    digest = hashlib.blake2b(sys.version.encode(), digest_size=16)
    for pattern in _SOURCES:
        for path in sorted(package.glob(pattern)):
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def connect(place: Place) -> socket.socket | None:
    """A connection to the process that has the exec root; None when there is none, or it has not taken the last ones.

    Raises OSError.
    """
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    end.setblocking(False)
    try:
        end.connect(str(place.socket))
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        end.close()
        return None
    except OSError:
        end.close()
        raise
    return end


async def take_lock(place: Place) -> int:
    """The locked descriptor, after ending whoever has the lock: a process that could not be talked to.

    Raises `UnavailableError` when it does not end, OSError when there is no room for the file.
    """
    place.exec_root.mkdir(parents=True, exist_ok=True)
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if _lock(lock):
                return _emptied(lock)
            if (pid := holder(place)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            await _locked_within(lock, ENDING)
        if _lock(lock):
            return _emptied(lock)
        raise UnavailableError(f"another process has locked {place.lock}", hint="end it: fuser shows which it is")
    except BaseException:
        os.close(lock)
        raise


def _emptied(lock: int) -> int:
    """Keep the room for the process id: should there be none, it is to be said here and not by the process."""
    os.pwrite(lock, b" " * _PID_SIZE, 0)
    return lock


def _lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _locked_within(lock: int, seconds: float) -> None:
    """Wait for the lock, by looking: a thread that waits in the kernel could not be called back."""
    for _ in range(int(seconds / _LOOK)):
        if _lock(lock):
            return
        await asyncio.sleep(_LOOK)


def holder(place: Place) -> int | None:
    """The id of the data plane's process of an exec root, if one is alive: a number alone could be anybody's by now."""
    try:
        pid = int(place.lock.read_text())
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = MODULE.encode() in argv and os.fsencode(place.socket) in argv
    return pid if ours else None


async def start(place: Place, lock: int, build: str, spawn: Spawn, extra: Sequence[str] = ()) -> socket.socket:
    """Start a process and connect to it. The lock stays ours as well.

    setsid puts it into a session of its own and into the care of init, so nothing that ends us ends it. Its answer to
    the first message tells that it runs; when it cannot, the connection ends instead.
    """
    with _bound(place) as listener, _log(place) as log:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            end.connect(str(place.socket))
            starter = await spawn(
                (
                    *("setsid", "--fork", sys.executable, "-P", "-m", MODULE, "--path", str(place.socket)),
                    *("--build", build, "--lock", str(lock), "--listener", str(listener.fileno()), *extra),
                ),
                sandbox=None,
                env={name: value for name, value in os.environ.items() if name not in _FOREIGN},
                stdin=_DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock, listener.fileno()),
            )
            await starter.wait()
        except BaseException:
            end.close()
            raise
    return end


@contextmanager
def _bound(place: Place) -> Iterator[socket.socket]:
    """A listening socket at the path, which takes the place of an older one in one step."""
    fresh = place.socket.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as listener:
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(8)
        fresh.rename(place.socket)
        yield listener


@contextmanager
def _log(place: Place) -> Iterator[BinaryIO]:
    with suppress(FileNotFoundError):
        if place.log.stat().st_size > LOG_SIZE:
            place.log.unlink()
    with place.log.open("ab") as log:
        yield log

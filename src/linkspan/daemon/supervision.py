"""What a supervisor and other daemons see of this process: notifications and the pid file."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkspan.model.errors import ConflictError, UnavailableError

log = logging.getLogger(__name__)

_LOOKS, _PAUSE = 10, 0.05
"""How often, and after how many seconds, the process of an older pid file is looked for before it counts as alive."""


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), if it started us. `RELOADING=1` carries the time, to be told from an older one.

    Nobody may listen any more, as when the daemon is started by hand in a shell that a service has opened.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if state == "RELOADING=1":
        state += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(state.encode())
        except OSError as error:
            log.warning("the supervisor at %s cannot be told %s: %s", address, state.splitlines()[0], error.strerror)


@contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """The process id in a file while the block runs; refused while the process of an older file lives."""
    other = _holder(path)
    if other is not None:
        raise ConflictError(
            f"process with PID {other} is still running ({path})",
            field="pidfile",
            value=str(path),
            hint="stop that daemon, or give this one another --pidfile",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}")
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}", field="pidfile", value=str(path)) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _holder(path: Path) -> int | None:
    """The living process that an older file names, unless it is this one.

    One that was killed a moment ago is given the time to end: its successor may be started before the kernel has
    taken it apart.
    """
    try:
        number = int(path.read_text())
    except (OSError, ValueError):
        return None
    if number == os.getpid():
        return None
    for _ in range(_LOOKS):
        if not _lives(number):
            return None
        time.sleep(_PAUSE)
    return number


def _lives(number: int) -> bool:
    """Whether there is such a process, and not only its exit status that nobody has asked for."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"

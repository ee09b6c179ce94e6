"""Directories that belong to one engine at a time: the data root and the exec root.

A lock is held by a descriptor and so released by the kernel when we die. It may take a moment longer: a child that we
forked just before, and that is not yet the program it was forked for, has the descriptor too. It has our sockets as
well, which the next of us wants to bind, so that one waits for it. The file names the process that has the lock: while
that one lives, the lock is refused at once.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from linkspan.model.errors import ConflictError, UnavailableError

_HEIR_SECONDS, _HEIR_PAUSE = 10.0, 0.005
"""How long, and how often, a lock is waited for that only a child of a dead process can have."""
_NAME_SIZE = 16
"""Bytes that hold a process id."""


async def lock(file: Path, *, field: str, mode: int) -> int:
    """Lock the directory of `file`, which is made if need be; the descriptor holds the lock until it is closed.

    `field` is what the directory is called (`data_root`), `mode` are its permissions. Raises `ConflictError` when
    another engine has it, `UnavailableError` when it cannot be used.
    """
    descriptor = _open(file, field, mode)
    try:
        deadline = time.monotonic() + _HEIR_SECONDS
        while not _try_to_lock(descriptor):
            if _holder_lives(descriptor) or time.monotonic() > deadline:
                name = field.replace("_", " ")
                raise ConflictError(
                    f"{name} {file.parent} is in use by another engine",
                    field=field,
                    value=str(file.parent),
                    hint=f"stop that engine, or give this one another {name}",
                )
            await asyncio.sleep(_HEIR_PAUSE)  # that a lock is given up is no event
        os.pwrite(descriptor, f"{os.getpid()}\n".ljust(_NAME_SIZE).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(file: Path, field: str, mode: int) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=mode)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        name = field.replace("_", " ")
        raise UnavailableError(f"cannot use {name} {file.parent}: {error.strerror}", field=field) from error


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder_lives(descriptor: int) -> bool:
    """Whether the process that the file names is there; so it is taken to be when none is named yet."""
    name = os.pread(descriptor, _NAME_SIZE, 0).strip()
    return not name.isdigit() or Path(f"/proc/{name.decode()}").exists()

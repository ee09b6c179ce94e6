"""How a container's files differ from those it was made from: what its writable layer holds. Runs in a thread.

overlayfs keeps there what was changed, a character device 0:0 for what was deleted, and marks directories that hide the
whole one below them.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from linkspan.containers.initlayer import PATHS
from linkspan.containers.packing import is_opaque
from linkspan.model.files import ChangeKind, FileChange

_OURS = PATHS | {"/dev/mqueue", "/sbin/docker-init"}
"""What is ours in every container, or was made for what we mount there: it is no change."""


def differences(upper: Path, lower: Path) -> list[FileChange]:
    """Every change, directories before what is in them."""
    return list(_below(upper, lower, ""))


def untouched(upper: Path, lower: Path) -> frozenset[str]:
    """What is in the writable layer only because something of ours was mounted there."""
    changed = {change.path for change in differences(upper, lower)}
    return frozenset(path for path in _OURS - changed if os.path.lexists(f"{upper}{path}"))  # noqa: PTH - no method


def _below(upper: Path, lower: Path, path: str) -> Iterator[FileChange]:
    here, there = Path(f"{upper}{path}"), Path(f"{lower}{path}")
    names = sorted(os.listdir(here)) if here.is_dir() else []  # noqa: PTH208 - names are what is wanted
    for name in names:
        yield from _one(upper, lower, f"{path}/{name}")
    if path and is_opaque(here) and there.is_dir() and not there.is_symlink():
        for name in sorted(set(os.listdir(there)) - set(names)):  # noqa: PTH208
            yield FileChange(f"{path}/{name}", ChangeKind.DELETED)


def _one(upper: Path, lower: Path, path: str) -> Iterator[FileChange]:
    found, before = os.lstat(f"{upper}{path}"), _lstat(f"{lower}{path}")
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
        if before is not None:
            yield FileChange(path, ChangeKind.DELETED)
        return
    inner = list(_below(upper, lower, path)) if stat.S_ISDIR(found.st_mode) else []
    if before is None:
        if path in _OURS and not inner and not (stat.S_ISREG(found.st_mode) and found.st_size):
            return
        yield FileChange(path, ChangeKind.ADDED)
    elif inner or not _same(found, before):
        yield FileChange(path, ChangeKind.MODIFIED)
    yield from inner


def _same(found: os.stat_result, before: os.stat_result) -> bool:
    """Whether a directory is in the writable layer only because something in it once was."""
    return (
        stat.S_ISDIR(found.st_mode)
        and stat.S_ISDIR(before.st_mode)
        and (found.st_mode, found.st_uid, found.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    )


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None

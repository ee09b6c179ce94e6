"""What containers need of the kernel besides their network: root file systems, control groups, abilities."""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from linkspan.kernel import cgroups, native
from linkspan.model.capabilities import capability_set
from linkspan.model.containers import Abilities, Device
from linkspan.model.errors import KernelError, UnavailableError


def mount_overlay(target: Path, lower: Path, upper: Path, work: Path, mark: str) -> None:
    """Mount `lower` at `target`, with changes going to `upper`; the mark stands where others name a device."""
    options = f"lowerdir={_escaped(lower)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    try:
        native.mount_overlay(target, options, mark)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise UnavailableError(
                "this kernel has no overlayfs", hint="load the module (`modprobe overlay`) or use a kernel that has it"
            ) from error
        raise KernelError(
            f"cannot mount {lower} copy-on-write at {target}: {error.strerror}",
            errno=error.errno or 0,
            hint="the data root must be on a file system that overlayfs can write to, such as ext4 or xfs",
        ) from error


def mount_tmpfs(target: Path, size: int) -> None:
    """Mount shared memory of at most `size` bytes at `target`."""
    target.mkdir(exist_ok=True)
    native.mount_tmpfs(target, f"mode=1777,size={size}")


def mount_bind(source: Path, target: Path, *, read_only: bool) -> None:
    """Mount `source` at `target` too."""
    native.bind_mount(source, target)
    if read_only:
        native.make_read_only(target)


def _escaped(path: Path) -> str:
    """Commas end an option, and colons a directory, unless a backslash stands in front."""
    return re.sub(r"([\\:,])", r"\\\1", str(path))


def unmount(target: Path) -> None:
    """Take away everything mounted at `target`; nothing to do when there is nothing."""
    with suppress(FileNotFoundError):
        while True:
            try:
                native.detach_mount(target)
            except OSError as error:
                if error.errno == errno.EINVAL:  # not a mount point
                    return
                raise


def mounts(below: Path) -> Sequence[Path]:
    """Where something is mounted under a directory, the last mounted first."""
    with Path("/proc/thread-self/mountinfo").open("rb") as file:
        found = [Path(os.fsdecode(_unescaped(line.split()[4]))) for line in file]
    return [path for path in reversed(found) if path.is_relative_to(below)]


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes((int(match[1], 8),)), field)


def abilities() -> Abilities:
    """What containers can have on this machine."""
    status = Path("/proc/thread-self/status").read_text()
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return Abilities(capability_set(mask), cgroups.unified(), tuple(_devices()), cgroups.lacking())


def _devices() -> Iterator[Device]:
    """The device nodes of /dev, except terminals, which every container has its own of."""
    for directory, names, files in os.walk("/dev"):
        names[:] = [name for name in names if name not in ("pts", "shm", "mqueue", "fd", "block", "char")]
        for name in files:
            path = f"{directory}/{name}"
            with suppress(FileNotFoundError):
                status = os.lstat(path)
                kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
                if kind is not None and name != "console":
                    number = status.st_rdev
                    yield Device(
                        path,
                        kind,
                        os.major(number),
                        os.minor(number),
                        stat.S_IMODE(status.st_mode),
                        status.st_uid,
                        status.st_gid,
                    )

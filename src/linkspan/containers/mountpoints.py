"""What is mounted in a container, for the runtime: Docker's default mounts and those that were asked for. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkspan.containers import inits
from linkspan.containers.limits import Json
from linkspan.containers.security import security
from linkspan.model.containers import CreateContainer, Mount, MountKind

_NOTHING_EXECUTABLE = ("nosuid", "noexec", "nodev")
_DEFAULT_MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", _NOTHING_EXECUTABLE),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/sys", "sysfs", "sysfs", (*_NOTHING_EXECUTABLE, "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", *_NOTHING_EXECUTABLE)),
    ("/dev/mqueue", "mqueue", "mqueue", _NOTHING_EXECUTABLE),
)
_SHM = "/dev/shm"  # noqa: S108 - a mount point inside, no file of ours
_WRITABLE_WHEN_PRIVILEGED = ("/sys", "/sys/fs/cgroup")
_MARKS = frozenset({"z", "Z", "ro", "rw", "copy", "nocopy", "volume-nocopy"})
"""Options of Docker's that are no mount options."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Paths of the host: `files` and what is mounted of `volumes`, by where; shared memory when others share it.

    `own_shm` is false for who shares the shared memory of the host or of a container; without `shm`, it has none.
    """

    files: Mapping[str, Path]
    volumes: Mapping[str, Path]
    shm: Path | None
    init: Path | None
    own_shm: bool


def mountpoints(wanted: CreateContainer, outside: Outside) -> Iterable[Json]:
    """In the order of their depth, so that none is hidden by one above it; a mount asked for replaces a default one."""
    mounts: dict[str, Json] = {}
    for target, kind, source, options in _DEFAULT_MOUNTS:
        if _writable(wanted, target):
            options = tuple("rw" if option == "ro" else option for option in options)
        mounts[target] = _mount(target, kind, source, options)
    mounts |= _shared_memory(wanted, outside)
    for target, file in outside.files.items():
        mounts[target] = _mount(target, "bind", str(file), ("rbind", "rprivate", "rw"))
    if outside.init is not None:
        mounts[inits.INSIDE] = _mount(inits.INSIDE, "bind", str(outside.init), ("bind", "ro"))
    for mount in wanted.mounts:
        mounts[normal(mount.target)] = _wanted_mount(mount, outside.volumes)
    for target in sorted(mounts, key=lambda target: (target.count("/"), list(mounts).index(target))):
        yield mounts[target]


def _writable(wanted: CreateContainer, target: str) -> bool:
    if target not in _WRITABLE_WHEN_PRIVILEGED:
        return False
    return wanted.privileged or (target == "/sys/fs/cgroup" and security(wanted.security).writable_cgroups)


def _shared_memory(wanted: CreateContainer, outside: Outside) -> Mapping[str, Json]:
    """The mount for POSIX shared memory."""
    if outside.shm is not None:
        return {_SHM: _mount(_SHM, "bind", str(outside.shm), ("rbind", "rprivate", "rw"))}
    if wanted.ipc == "none" or not outside.own_shm:
        return {}
    return {_SHM: _mount(_SHM, "tmpfs", "shm", (*_NOTHING_EXECUTABLE, "mode=1777", f"size={wanted.shm_size}"))}


def normal(target: str) -> str:
    """A path without `.` and empty parts."""
    return "/" + "/".join(part for part in target.split("/") if part not in ("", "."))


def _wanted_mount(mount: Mount, volumes: Mapping[str, Path]) -> Json:
    access = "ro" if mount.read_only else "rw"
    kept = [option for option in mount.options if option not in _MARKS]
    if mount.kind is MountKind.TMPFS:
        return _mount(mount.target, "tmpfs", "tmpfs", (*_NOTHING_EXECUTABLE, *kept, access))
    source = str(volumes[mount.target]) if mount.kind is MountKind.VOLUME else mount.source
    propagation = () if any(option.endswith(("private", "shared", "slave")) for option in kept) else ("rprivate",)
    recursive = () if "bind" in kept else ("rbind",)
    return _mount(mount.target, "bind", source, (*recursive, *propagation, *kept, access))


def _mount(target: str, kind: str, source: str, options: Sequence[str]) -> Json:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}

"""Whether something can be mounted: what is wrong with a mount before its container exists, in Docker's words."""

from pathlib import Path
from posixpath import normpath

from linkspan.model.containers import Mount, MountKind
from linkspan.model.errors import InvalidError

_TMPFS_FLAGS = frozenset(
    {"async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "loud", "mand", "noatime"}
    | {"nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "lazytime", "nomand", "norelatime", "nostrictatime"}
    | {"nosuid", "private", "rbind", "relatime", "remount", "ro", "rprivate", "rshared", "rslave", "runbindable", "rw"}
    | {"shared", "silent", "slave", "strictatime", "suid", "sync", "unbindable"}
)
_TMPFS_VALUES = frozenset({"gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"})
"""What may be said of a tmpfs (moby's pkg/mount, `MergeTmpfsOptions`)."""


def check_mount(mount: Mount) -> None:
    """Raises `InvalidError`."""
    if mount.kind is MountKind.TMPFS and not mount.detailed:
        _check_tmpfs(mount)
        return
    kind = f'invalid mount config for type "{mount.kind}"'
    if normpath(f"/{mount.target}").strip("/") == "":
        raise InvalidError(f"{kind}: invalid specification: destination can't be '/'", field="mounts")
    if not mount.target.startswith("/"):
        raise InvalidError(f"{kind}: {_not_absolute(mount.target)}", field="mounts", value=mount.target)
    if mount.kind is MountKind.BIND:
        _check_source(kind, mount)
    if mount.subpath:
        _check_subpath(kind, mount)


def _check_tmpfs(mount: Mount) -> None:
    if not mount.target.startswith("/"):
        raise InvalidError(_not_absolute(mount.target), field="Tmpfs", value=mount.target)
    if not mount.target.strip("/"):
        raise InvalidError("invalid specification: destination can't be '/'", field="Tmpfs", value=mount.target)
    for option in mount.options:
        name, equals, _ = option.partition("=")
        if name not in (_TMPFS_VALUES if equals else _TMPFS_FLAGS):
            raise InvalidError(f'invalid tmpfs option ["{option}"]', field="Tmpfs", value=option)


def _check_source(kind: str, mount: Mount) -> None:
    if not mount.source.startswith("/"):
        raise InvalidError(f"{kind}: {_not_absolute(mount.source)}", field="mounts", value=mount.source)
    if not mount.create and not Path(mount.source).exists():
        raise InvalidError(f"{kind}: bind source path does not exist: {mount.source}", field="mounts")


def _check_subpath(kind: str, mount: Mount) -> None:
    if mount.anonymous:
        raise InvalidError(f"{kind}: must not set Subpath when using anonymous volumes", field="mounts")
    if mount.subpath.startswith("/") or normpath(mount.subpath).split("/")[0] == "..":
        raise InvalidError(f"{kind}: subpath must be a relative path within the volume", field="mounts")


def _not_absolute(path: str) -> str:
    return f"invalid mount path: '{path}' mount path must be absolute"

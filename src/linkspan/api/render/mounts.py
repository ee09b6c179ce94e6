"""Mounts and volumes as Docker shows them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import UNSET

from linkspan.api.bodies.inspect import PointBody
from linkspan.api.bodies.mounts import BindOptions, DriverConfig, MountBody, TmpfsOptions, VolumeOptions
from linkspan.model.containers import CreateContainer, Mount, MountKind

Locate = Callable[[str], Path]
"""Where the content of a volume is."""

_PROPAGATIONS = ("private", "shared", "slave")


def point_bodies(wanted: CreateContainer, locate: Locate) -> list[PointBody]:
    """The mounts inside; Docker leaves out what came by `--tmpfs`."""
    return [_point(mount, locate) for mount in wanted.mounts if mount.kind is not MountKind.TMPFS or mount.detailed]


def _point(mount: Mount, locate: Locate) -> PointBody:
    volume = mount.kind is MountKind.VOLUME
    return PointBody(
        type=str(mount.kind),
        name=mount.source if volume else UNSET,
        source=str(locate(mount.source)) if volume else mount.source,
        destination=mount.target,
        driver=(mount.driver or "local") if volume else UNSET,
        mode=_mode(mount),
        rw=not mount.read_only,
        propagation=(_propagation(mount) or "rprivate") if mount.kind is MountKind.BIND else "",
    )


def _mode(mount: Mount) -> str:
    """What `-v` says after the second colon; of a volume that has a name, `z` when it says nothing."""
    if mount.detailed:
        return "z" if mount.kind is MountKind.VOLUME else ""
    words = [option for option in mount.options if not option.endswith(_PROPAGATIONS)]
    named = mount.kind is MountKind.VOLUME and not mount.anonymous
    return ",".join((*(("ro",) if mount.read_only else ()), *words)) or ("z" if named else "")


def _propagation(mount: Mount) -> str:
    return next((option for option in mount.options if option.endswith(_PROPAGATIONS)), "")


def binds(wanted: CreateContainer) -> list[str] | None:
    """`HostConfig.Binds`: what came by `-v`."""
    return [_bind(mount) for mount in wanted.mounts if _by_bind(mount)] or None


def _by_bind(mount: Mount) -> bool:
    return not (mount.detailed or mount.anonymous or mount.kind is MountKind.TMPFS)


def _bind(mount: Mount) -> str:
    words = (*(("ro",) if mount.read_only else ()), *(() if mount.copy else ("nocopy",)), *mount.options)
    return ":".join((mount.source, mount.target, *((",".join(words),) if words else ())))


def mount_bodies(wanted: CreateContainer) -> list[MountBody]:
    """`HostConfig.Mounts`: what came by `--mount`."""
    return [_body(mount) for mount in wanted.mounts if mount.detailed]


def _body(mount: Mount) -> MountBody:
    volume = mount.kind is MountKind.VOLUME
    return MountBody(
        type=str(mount.kind),
        source="" if mount.anonymous else mount.source,
        target=mount.target,
        read_only=mount.read_only,
        bind_options=_bind_options(mount) if mount.kind is MountKind.BIND else None,
        volume_options=_volume_options(mount) if volume else None,
        tmpfs_options=_tmpfs_options(mount) if mount.kind is MountKind.TMPFS else None,
    )


def _bind_options(mount: Mount) -> BindOptions | None:
    found = BindOptions(
        propagation=_propagation(mount), non_recursive="bind" in mount.options, create_mountpoint=mount.create
    )
    return found if found != BindOptions() else None


def _volume_options(mount: Mount) -> VolumeOptions | None:
    driver = DriverConfig(name=mount.driver, options=dict(mount.driver_options))
    found = VolumeOptions(
        no_copy=not mount.copy,
        labels=dict(mount.labels),
        driver_config=driver if driver != DriverConfig() else None,
        subpath=mount.subpath,
    )
    return found if found != VolumeOptions() else None


def _tmpfs_options(mount: Mount) -> TmpfsOptions | None:
    values = dict(option.partition("=")[::2] for option in mount.options)
    found = TmpfsOptions(size_bytes=int(values.get("size", 0)), mode=int(values.get("mode", "0"), 8))
    return found if found != TmpfsOptions() else None


def tmpfs(wanted: CreateContainer) -> Iterator[tuple[str, str]]:
    """`HostConfig.Tmpfs`."""
    for mount in wanted.mounts:
        if mount.kind is MountKind.TMPFS and not mount.detailed:
            yield mount.target, ",".join((*(("ro",) if mount.read_only else ()), *mount.options))

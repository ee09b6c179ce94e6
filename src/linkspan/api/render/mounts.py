"""Mounts and volumes as Docker shows them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import UNSET

from linkspan.api.bodies.inspect import PointBody
from linkspan.api.bodies.mounts import BindOptions, MountBody
from linkspan.model.containers import CreateContainer, Mount, MountKind

Locate = Callable[[str], Path]
"""Where the content of a volume is."""


def point_body(mount: Mount, locate: Locate) -> PointBody:
    """A mount inside."""
    volume = mount.kind is MountKind.VOLUME
    words = [option for option in mount.options if not option.endswith(("private", "shared", "slave"))]
    propagation = next((option for option in mount.options if option not in words), "rprivate")
    return PointBody(
        type=str(mount.kind),
        name=mount.source if volume else UNSET,
        source=str(locate(mount.source)) if volume else mount.source,
        destination=mount.target,
        driver=(mount.driver or "local") if volume else UNSET,
        mode=",".join((*(("ro",) if mount.read_only else ()), *words)) or ("z" if volume else ""),
        rw=not mount.read_only,
        propagation=propagation if mount.kind is MountKind.BIND else "",
    )


def binds(wanted: CreateContainer) -> list[str] | None:
    """`HostConfig.Binds`: what came by `-v`."""
    return [_bind(mount) for mount in wanted.mounts if _by_bind(mount)] or None


def _by_bind(mount: Mount) -> bool:
    return (mount.kind is MountKind.BIND and mount.create) or (
        mount.kind is MountKind.VOLUME and not mount.anonymous and not mount.labels and not mount.driver_options
    )


def _bind(mount: Mount) -> str:
    words = (*(("ro",) if mount.read_only else ()), *(() if mount.copy else ("nocopy",)), *mount.options)
    return ":".join((mount.source, mount.target, *((",".join(words),) if words else ())))


def mount_bodies(wanted: CreateContainer) -> list[MountBody]:
    """`HostConfig.Mounts`: the binds that came by `--mount`."""
    return [
        MountBody(
            type="bind",
            source=mount.source,
            target=mount.target,
            read_only=mount.read_only,
            bind_options=BindOptions(propagation=mount.options[0]) if mount.options else None,
        )
        for mount in wanted.mounts
        if mount.kind is MountKind.BIND and not mount.create
    ]


def tmpfs(wanted: CreateContainer) -> Iterator[tuple[str, str]]:
    """`HostConfig.Tmpfs`."""
    for mount in wanted.mounts:
        if mount.kind is MountKind.TMPFS:
            yield mount.target, ",".join((*(("ro",) if mount.read_only else ()), *mount.options))

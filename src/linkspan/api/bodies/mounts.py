"""Bodies about mounts of containers, and about volumes (`docker-networking.md` §4.5; the transcript's §10)."""

from typing import Any

from msgspec import Struct, field

from linkspan.api.bodies.spelling import docker_name


class TmpfsOptions(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """Size in bytes, and mode."""

    size_bytes: int = 0
    mode: int = 0


class BindOptions(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """How mounts below a bind are passed on."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False


class DriverConfig(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """The driver of a volume that does not exist yet."""

    name: str = ""
    options: dict[str, str] = field(default_factory=dict)


class VolumeOptions(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """What a volume is made with, and whether it is filled."""

    no_copy: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    driver_config: DriverConfig | None = None
    subpath: str = ""


class MountBody(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """One `--mount`."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class VolumeCreate(Struct, rename=docker_name, kw_only=True):
    """POST /volumes/create; without a name one is chosen."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    cluster_volume_spec: dict[str, Any] | None = None


class UsageBody(Struct, rename=docker_name, kw_only=True):
    """How large a volume is, and how many containers have it; -1 where that was not asked for."""

    ref_count: int = -1
    size: int = -1


class VolumeBody(Struct, rename=docker_name, kw_only=True):
    """A volume."""

    created_at: str
    driver: str
    labels: dict[str, str] | None
    mountpoint: str
    name: str
    options: dict[str, str] | None
    scope: str = "local"
    usage_data: UsageBody | None = None


class VolumeList(Struct, rename=docker_name, kw_only=True):
    """GET /volumes."""

    volumes: list[VolumeBody]
    warnings: list[str] | None = None


class VolumesPruned(Struct, rename=docker_name, kw_only=True):
    """200 of POST /volumes/prune."""

    volumes_deleted: list[str] | None
    space_reclaimed: int

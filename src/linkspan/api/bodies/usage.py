"""Bodies about disk space, and about what builds keep."""

from msgspec import Struct, field

from linkspan.api.bodies.images import ImageItem
from linkspan.api.bodies.inspect import ContainerItem
from linkspan.api.bodies.mounts import VolumeBody
from linkspan.api.bodies.spelling import docker_name


class CacheItem(Struct, rename=docker_name, kw_only=True):
    """What builds keep for later ones. The program that builds does not tell its parts: there is one item for all."""

    id: str = field(name="ID", default="buildah")
    type: str = "regular"
    description: str = "what builds keep for later ones"
    in_use: bool = False
    shared: bool = False
    size: int
    created_at: str
    last_used_at: str | None = None
    usage_count: int = 0


class DiskUsage(Struct, rename=docker_name, kw_only=True):
    """GET /system/df. What was not asked for is null."""

    layers_size: int = 0
    images: list[ImageItem] | None = None
    containers: list[ContainerItem] | None = None
    volumes: list[VolumeBody] | None = None
    build_cache: list[CacheItem] | None = None
    builder_size: int = 0


class CachePruned(Struct, rename=docker_name, kw_only=True):
    """200 of POST /build/prune."""

    caches_deleted: list[str] | None
    space_reclaimed: int

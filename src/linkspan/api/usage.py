"""GET /system/df: how much disk space everything takes."""

from collections import Counter

from aiohttp import web

from linkspan.api.bodies.images import ImageItem
from linkspan.api.bodies.inspect import ContainerItem
from linkspan.api.bodies.mounts import UsageBody, VolumeBody
from linkspan.api.bodies.usage import CacheItem, DiskUsage
from linkspan.api.calls import Call, Route, answer
from linkspan.api.containers import items
from linkspan.api.render.images import image_item
from linkspan.api.render.times import timestamp
from linkspan.api.volumes import volume_body
from linkspan.images.files import chain_id
from linkspan.model.errors import InvalidError
from linkspan.model.images import Image

_KINDS = ("container", "image", "volume", "build-cache")


async def disk_usage(call: Call) -> web.StreamResponse:
    """GET /system/df."""
    asked = call.request.query.getall("type", [])
    for kind in asked:
        if kind not in _KINDS:
            raise InvalidError(f"unknown object type: {kind}", field="type", value=kind)
    wanted = frozenset(asked or _KINDS)
    usage = DiskUsage()
    if "image" in wanted:
        usage.images, usage.layers_size = _images(call)
    if "container" in wanted:
        usage.containers = await _containers(call)
    if "volume" in wanted:
        usage.volumes = [await _volume(call, volume.name) for volume in call.rooms.containers.volumes.all()]
    if "build-cache" in wanted:
        usage.builder_size = await call.rooms.images.builds_size()
        since = timestamp(call.rooms.images.builds_since())
        usage.build_cache = [CacheItem(size=usage.builder_size, created_at=since)] if usage.builder_size else []
    return answer(usage)


def _images(call: Call) -> tuple[list[ImageItem], int]:
    """The images, each with what it shares, and the bytes of all layers."""
    images = call.rooms.images.all()
    uses = Counter(container.wanted.image_id for container in call.rooms.containers.all())
    holders = Counter(chain for image in images for chain in _layers(image))
    found = []
    for image in images:
        item = image_item(image, uses[image.id], old=call.version < (1, 44))
        item.shared_size = sum(size for chain, size in _layers(image).items() if holders[chain] > 1)
        found.append(item)
    return found, sum({chain: size for image in images for chain, size in _layers(image).items()}.values())


def _layers(image: Image) -> dict[str, int]:
    """The size of each layer, by its place on those below it."""
    diff_ids = [layer.diff_id for layer in image.layers]
    return {chain_id(diff_ids[: place + 1]): layer.size for place, layer in enumerate(image.layers)}


async def _containers(call: Call) -> list[ContainerItem]:
    containers = list(reversed(call.rooms.containers.all()))
    found = items(call, containers)
    for item, container in zip(found, containers, strict=True):
        item.size_rw, item.size_root_fs = await call.rooms.containers.meter.sizes(container)
    return found


async def _volume(call: Call, name: str) -> VolumeBody:
    volumes = call.rooms.containers.volumes
    body = volume_body(call, volumes.get(name))
    body.usage_data = UsageBody(ref_count=len(volumes.users(name)), size=await volumes.size(name))
    return body


ROUTES = (
    Route(
        "GET",
        "/system/df",
        disk_usage,
        "How much disk space everything takes",
        {200: DiskUsage},
        query={"type": f"{', '.join(_KINDS)}; repeated; all by default"},
    ),
)

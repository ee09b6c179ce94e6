"""/volumes: list, create, inspect, remove, prune."""

from aiohttp import web

from linkspan.api.bodies.mounts import VolumeBody, VolumeCreate, VolumeList, VolumesPruned
from linkspan.api.calls import Call, Route, answer, done
from linkspan.api.filters import Filters, parse_filters
from linkspan.api.render.times import timestamp
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.volumes import Volume

ANONYMOUS = "com.docker.volume.anonymous"
"""Docker's label of volumes that were made for a container which named none."""


def volume_body(call: Call, volume: Volume) -> VolumeBody:
    """A volume as Docker shows it."""
    labels = {**volume.labels, **({ANONYMOUS: ""} if volume.anonymous else {})}
    return VolumeBody(
        created_at=timestamp(volume.created.replace(microsecond=0)),
        driver="local",
        labels=labels or None,
        mountpoint=str(call.rooms.containers.volumes.locate(volume.name)),
        name=volume.name,
        options=dict(volume.options) or None,
    )


async def list_volumes(call: Call) -> web.StreamResponse:
    """GET /volumes."""
    volumes = call.rooms.containers.volumes
    filters = parse_filters(call.text("filters"), ("dangling", "driver", "label", "name"))
    dangling = filters.flag("dangling")
    found = [
        volume_body(call, volume)
        for volume in volumes.all()
        if filters.match("name", volume.name)
        and filters.exact("driver", "local")
        and filters.labels(_labels(volume))
        and (dangling is None or dangling is not bool(volumes.users(volume.name)))
    ]
    return answer(VolumeList(volumes=sorted(found, key=lambda body: body.name)))


def _labels(volume: Volume) -> dict[str, str]:
    return {**volume.labels, **({ANONYMOUS: ""} if volume.anonymous else {})}


async def create(call: Call) -> web.StreamResponse:
    """POST /volumes/create."""
    body = await call.body(VolumeCreate)
    if body.cluster_volume_spec:
        raise InvalidError("cluster volumes are not supported", field="ClusterVolumeSpec")
    volume = await call.rooms.containers.volumes.create(
        body.name, driver=body.driver, labels=body.labels, options=body.driver_opts, anonymous=not body.name
    )
    return answer(volume_body(call, volume), 201)


async def inspect(call: Call) -> web.StreamResponse:
    """GET /volumes/{name}."""
    return answer(volume_body(call, call.rooms.containers.volumes.get(call.name("name"))))


async def remove(call: Call) -> web.StreamResponse:
    """DELETE /volumes/{name}."""
    await call.rooms.containers.volumes.remove(call.name("name"), force=call.flag("force"))
    return done()


async def prune(call: Call) -> web.StreamResponse:
    """POST /volumes/prune: those that no container has and, up to API 1.41 or with `all`, that were named too."""
    filters = parse_filters(call.text("filters"), ("all", "label", "label!"))
    every = filters.flag("all") or call.version < (1, 42)
    volumes = call.rooms.containers.volumes
    removed, freed = [], 0
    for volume in volumes.all():
        if (every or volume.anonymous) and _passes(filters, volume) and not volumes.users(volume.name):
            size = await volumes.size(volume.name)
            try:
                await volumes.remove(volume.name)
            except (ConflictError, NotFoundError):  # somebody was faster
                continue
            removed.append(volume.name)
            freed += size
    call.rooms.announce("volume", "prune", "", call.now, reclaimed=str(freed))
    return answer(VolumesPruned(volumes_deleted=removed or None, space_reclaimed=freed))


def _passes(filters: Filters, volume: Volume) -> bool:
    labels = _labels(volume)
    return filters.labels(labels) and not ("label!" in filters and filters.labels(labels, "label!"))


_ONE = "/volumes/{name:.+}"
ROUTES = (
    Route(
        "GET",
        "/volumes",
        list_volumes,
        "List volumes",
        {200: VolumeList},
        query={"filters": "JSON: dangling, driver, label, name"},
    ),
    Route("POST", "/volumes/create", create, "Create a volume", {201: VolumeBody}, body=VolumeCreate, changes=True),
    Route(
        "POST",
        "/volumes/prune",
        prune,
        "Remove volumes that no container has",
        {200: VolumesPruned},
        query={"filters": "JSON: all, label, label!"},
        changes=True,
    ),
    Route("GET", _ONE, inspect, "Inspect a volume", {200: VolumeBody}),
    Route(
        "DELETE",
        _ONE,
        remove,
        "Remove a volume",
        {204: None},
        query={"force": "nothing is wrong when it does not exist"},
        changes=True,
    ),
)

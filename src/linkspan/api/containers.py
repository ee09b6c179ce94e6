"""/containers: create, list, inspect, start, stop, restart, kill, wait, rename, remove, prune, resize."""

from collections.abc import Sequence

from aiohttp import web

from linkspan.api.bodies.containers import ContainerCreate, ContainerCreated, ContainersPruned, WaitBody, WaitError
from linkspan.api.bodies.inspect import ContainerBody, ContainerItem
from linkspan.api.calls import Call, Route, answer, done, encoded
from linkspan.api.creation import container_request, warnings
from linkspan.api.defaults import Source, sourced
from linkspan.api.endpoints import completed
from linkspan.api.filters import parse_filters
from linkspan.api.render.containers import container_body, container_item
from linkspan.api.render.places import located
from linkspan.api.selection import FILTERS, Selection
from linkspan.model.containers import Container, Status
from linkspan.model.errors import InvalidError, LinkspanError
from linkspan.model.sandboxes import Sandbox

PRUNE_FILTERS = frozenset({"label", "label!", "until"})
MAX_WINDOW = 65535


async def create(call: Call) -> web.StreamResponse:
    """POST /containers/create."""
    body = await call.body(ContainerCreate)
    with sourced(call.rooms.images, body, call.text("platform")) as (body, source):
        wanted = call.rooms.preferences.completed(container_request(call.text("name"), body, source))
        container = await call.rooms.containers.create(wanted)
        foreign = _foreign(source, call) if source is not None and not call.text("platform") else []
    said = foreign + warnings(body, call.rooms.containers.abilities.lacking)
    return answer(ContainerCreated(id=container.id, warnings=said), 201)


def _foreign(source: Source, call: Call) -> list[str]:
    """A warning, as Docker's, about an image that is for other machines."""
    found, here = source.image.platform, call.rooms.images.platform
    if (found.os, found.architecture or here.architecture) == (here.os, here.architecture):
        return []
    return [
        f"The requested image's platform ({found}) does not match the detected host platform ({here}) and no specific "
        "platform was requested"
    ]


async def list_containers(call: Call) -> web.StreamResponse:
    """GET /containers/json: the newest first."""
    rooms = call.rooms
    chosen = Selection(parse_filters(call.text("filters"), FILTERS), rooms.engine, rooms.containers)
    limit = call.number("limit")
    every = call.flag("all") or limit > 0 or chosen.wants_all
    pairs = [(container, sandbox_of(call, container)) for container in reversed(rooms.containers.all())]
    taken = [
        container
        for container, sandbox in pairs
        if (every or container.state.active) and chosen.takes(container, sandbox)
    ]
    found = items(call, taken[:limit] if limit > 0 else taken)
    if call.flag("size"):
        for item in found:
            item.size_rw, item.size_root_fs = await rooms.containers.meter.sizes(rooms.containers.get(item.id))
    return answer(found)


def items(call: Call, containers: Sequence[Container]) -> list[ContainerItem]:
    """Containers as a list shows them."""
    rooms = call.rooms
    found = [
        container_item(each, sandbox_of(call, each), rooms.engine.networks, call.now, rooms.containers.volumes.locate)
        for each in containers
    ]
    for item in found:
        if item.image_id:
            item.image = rooms.images.shown(item.image, item.image_id)
    return found


def sandbox_of(call: Call, container: Container) -> Sandbox | None:
    """The sandbox of a container that runs: its own, or the one it shares."""
    if not container.state.running:
        return None
    return call.rooms.engine.sandboxes.get(container.id)


async def inspect(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/json."""
    containers = call.rooms.containers
    container = containers.get(call.name())
    sandbox = sandbox_of(call, container)
    key = "" if sandbox is None else str(call.rooms.engine.sandbox(sandbox.id).namespace or "")
    body = container_body(container, sandbox, call.rooms.engine.networks, key, containers.volumes.locate)
    body.log_path = containers.log_path(container)
    body.exec_ids = list(containers.exec_ids(container)) or None
    if call.flag("size"):
        body.size_rw, body.size_root_fs = await containers.meter.sizes(container)
    located(body, container, containers.places(container), containers.names_places(container))
    return answer(completed(body, container, call))


async def start(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/start: 304 when it runs already."""
    return done(204 if await call.rooms.containers.start(call.name()) else 304)


async def stop(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/stop: 304 when it does not run."""
    timeout, signal = _ending(call)
    return done(204 if await call.rooms.containers.stop(call.name(), timeout=timeout, signal=signal) else 304)


async def restart(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/restart."""
    timeout, signal = _ending(call)
    await call.rooms.containers.restart(call.name(), timeout=timeout, signal=signal)
    return done()


def _ending(call: Call) -> tuple[int | None, str | None]:
    return call.number("t") if call.text("t") else None, call.text("signal") or None


async def kill(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/kill."""
    await call.rooms.containers.kill(call.name(), call.text("signal") or "KILL")
    return done()


async def wait(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/wait.

    The head goes out at once: the docker command starts the container only when it has it.
    """
    waiting = call.rooms.containers.wait(call.name(), call.text("condition") or "not-running")
    try:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(call.request)
        code, reason = await waiting
    finally:
        waiting.close()
    await response.write(encoded(WaitBody(status_code=code, error=WaitError(message=reason) if reason else None)))
    await response.write_eof()
    return response


async def rename(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/rename."""
    if not call.text("name"):
        raise InvalidError("Neither old nor new names may be empty", field="name")
    await call.rooms.containers.rename(call.name(), call.text("name"))
    return done()


async def remove(call: Call) -> web.StreamResponse:
    """DELETE /containers/{id}."""
    if call.flag("link"):
        await call.rooms.containers.unlink(call.name())
        return done()
    await call.rooms.containers.remove(call.name(), force=call.flag("force"), volumes=call.flag("v"))
    return done()


async def prune(call: Call) -> web.StreamResponse:
    """POST /containers/prune: every container that does not run."""
    removed, freed = [], 0
    for container in _ended(call):
        try:
            size, _ = await call.rooms.containers.meter.sizes(container)
            await call.rooms.containers.remove(container.id)
        except LinkspanError:  # somebody started it, or removed it, in the meantime
            continue
        removed.append(container.id)
        freed += size
    call.rooms.announce("container", "prune", "", call.now, reclaimed=str(freed))
    return answer(ContainersPruned(containers_deleted=removed or None, space_reclaimed=freed))


def _ended(call: Call) -> Sequence[Container]:
    """What a prune request means."""
    filters = parse_filters(call.text("filters"), PRUNE_FILTERS)
    before = filters.until(call.now)
    return [
        container
        for container in call.rooms.containers.all()
        if container.state.status in (Status.CREATED, Status.EXITED)
        and (before is None or container.created <= before)
        and filters.labels(container.wanted.labels)
        and not ("label!" in filters and filters.labels(container.wanted.labels, "label!"))
    ]


async def resize(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/resize."""
    await call.rooms.containers.resize(call.name(), *window(call))
    return done(200)


def window(call: Call) -> tuple[int, int]:
    """Height and width of a terminal."""
    size = (call.number("h"), call.number("w"))
    for found in size:
        if not 0 <= found <= MAX_WINDOW:
            raise InvalidError(f"invalid size of a terminal: {found}", field="h", value=found)
    return size


_ONE = "/containers/{id:.+}"
_END = {"t": "seconds until it is killed", "signal": "what tells it to end"}
ROUTES = (
    Route(
        "GET",
        "/containers/json",
        list_containers,
        "List containers",
        {200: list[ContainerItem]},
        query={
            "all": "also those that do not run",
            "limit": "the newest so many",
            "size": "how much they have written, and how large they are",
            "filters": "JSON: keys with the values of which one has to match",
        },
    ),
    Route(
        "POST",
        "/containers/create",
        create,
        "Create a container",
        {201: ContainerCreated},
        body=ContainerCreate,
        query={"name": "its name", "platform": "what the image must be for"},
        changes=True,
    ),
    Route(
        "POST",
        "/containers/prune",
        prune,
        "Remove containers that do not run",
        {200: ContainersPruned},
        query={"filters": "JSON: label, label!, until"},
        changes=True,
    ),
    Route(
        "GET", f"{_ONE}/json", inspect, "Inspect a container", {200: ContainerBody}, query={"size": "how large it is"}
    ),
    Route("POST", f"{_ONE}/start", start, "Start a container", {204: None, 304: None}, changes=True),
    Route("POST", f"{_ONE}/stop", stop, "Stop a container", {204: None, 304: None}, query=_END, changes=True),
    Route("POST", f"{_ONE}/restart", restart, "Restart a container", {204: None}, query=_END, changes=True),
    Route(
        "POST", f"{_ONE}/kill", kill, "Send a signal", {204: None}, query={"signal": "KILL by default"}, changes=True
    ),
    Route(
        "POST",
        f"{_ONE}/wait",
        wait,
        "Wait for a container",
        {200: WaitBody},
        query={"condition": "not-running (default), next-exit or removed"},
    ),
    Route("POST", f"{_ONE}/rename", rename, "Rename a container", {204: None}, query={"name": "new"}, changes=True),
    Route("POST", f"{_ONE}/resize", resize, "Resize its terminal", query={"h": "lines", "w": "columns"}),
    Route(
        "DELETE",
        _ONE,
        remove,
        "Remove a container",
        {204: None},
        query={
            "force": "kill it if it runs",
            "v": "with the volumes that were made for it",
            "link": "remove the link container/alias",
        },
        changes=True,
    ),
)

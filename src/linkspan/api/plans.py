"""/linkspan/v1/plan/…: the dry run of a request, under the same method and path. Nothing is touched."""

from dataclasses import replace

from aiohttp import web

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.linkspan import PlanBody
from linkspan.api.bodies.names import RecordsBody
from linkspan.api.bodies.networks import NetworkConnect, NetworkCreate, NetworkDisconnect
from linkspan.api.calls import Call, Route, answer
from linkspan.api.creation import container_request
from linkspan.api.defaults import sourced
from linkspan.api.names import records_request
from linkspan.api.networks import creation, unused, wished_endpoint
from linkspan.api.render.status import plan_body
from linkspan.api.rooms import Rooms
from linkspan.containers.checks import checked
from linkspan.containers.proxied import proxied
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import ConflictError
from linkspan.model.requests import Connect, CreateSandbox, Disconnect, RemoveNetwork


async def create(call: Call) -> web.StreamResponse:
    """POST …/networks/create."""
    return answer(plan_body(await call.rooms.engine.plan(creation(await call.body(NetworkCreate), call))))


async def connect(call: Call) -> web.StreamResponse:
    """POST …/networks/{id}/connect. For a container that does not run there is nothing to do: it only remembers."""
    body = await call.body(NetworkConnect)
    endpoint = wished_endpoint(body, call)
    sandbox = call.rooms.sandbox_of(body.container)
    return answer(plan_body(*([await call.rooms.engine.plan(Connect(sandbox, endpoint))] if sandbox else [])))


async def disconnect(call: Call) -> web.StreamResponse:
    """POST …/networks/{id}/disconnect."""
    body = await call.body(NetworkDisconnect)
    sandbox = call.rooms.sandbox_of(body.container)
    return answer(plan_body(*([await call.rooms.engine.plan(Disconnect(sandbox, call.name()))] if sandbox else [])))


async def remove(call: Call) -> web.StreamResponse:
    """DELETE …/networks/{id}."""
    return answer(plan_body(await call.rooms.engine.plan(RemoveNetwork(call.name()))))


async def prune(call: Call) -> web.StreamResponse:
    """POST …/networks/prune."""
    previews = [await call.rooms.engine.plan(RemoveNetwork(network.id)) for network in unused(call)]
    return answer(plan_body(*previews))


async def records(call: Call) -> web.StreamResponse:
    """PUT …/networks/{id}/records."""
    return answer(plan_body(await call.rooms.engine.plan(await records_request(call))))


async def run(call: Call) -> web.StreamResponse:
    """POST …/containers/create: the sandbox that starting the container makes."""
    body = await call.body(ContainerCreate)
    with sourced(call.rooms.images, body) as (body, source):
        wanted = container_request(call.text("name"), body, source)
    wanted = checked(replace(wanted, name=wanted.name.removeprefix("/") or "container"))
    return answer(plan_body(await call.rooms.engine.plan(_sandbox(wanted, call.rooms))))


def _sandbox(wanted: CreateContainer, rooms: Rooms) -> CreateSandbox:
    """The request for the sandbox of a container to be."""
    kind, _, reference = wanted.mode.partition(":")
    if kind == "container":
        owner = rooms.sandbox_of(reference)
        if owner is None:
            text = f"cannot join network namespace of a non running container: {reference}"
            raise ConflictError(text, field="mode", value=wanted.mode)
        return CreateSandbox(wanted.name, mode=f"container:{owner}")
    if wanted.mode in ("host", "none"):
        return CreateSandbox(wanted.name, mode=wanted.mode)
    own = "bridge" if wanted.mode in ("", "default") else wanted.mode
    networks = [
        replace(each, network="bridge" if each.network == "default" else each.network) for each in wanted.endpoints
    ]
    return CreateSandbox(
        wanted.name,
        networks=networks or (own,),
        publish=wanted.publish,
        hostname=wanted.hostname,
        dns=wanted.dns,
        proxy_protocol=proxied(wanted),
    )


_PLAN = "/linkspan/v1/plan"
_ANSWER = {200: PlanBody}
ROUTES = (
    Route(
        "POST",
        f"{_PLAN}/containers/create",
        run,
        "What starting a container does to the network",
        _ANSWER,
        body=ContainerCreate,
        query={"name": "its name"},
    ),
    Route("POST", f"{_PLAN}/networks/create", create, "What creating a network does", _ANSWER, body=NetworkCreate),
    Route(
        "POST",
        f"{_PLAN}/networks/prune",
        prune,
        "What removing unused networks does",
        _ANSWER,
        query={"filters": "as for POST /networks/prune"},
    ),
    Route(
        "PUT",
        f"{_PLAN}/networks/{{id:.+}}/records",
        records,
        "What giving a network extra records does",
        _ANSWER,
        body=RecordsBody,
    ),
    Route(
        "POST",
        f"{_PLAN}/networks/{{id:.+}}/connect",
        connect,
        "What connecting a running container does",
        _ANSWER,
        body=NetworkConnect,
    ),
    Route(
        "POST",
        f"{_PLAN}/networks/{{id:.+}}/disconnect",
        disconnect,
        "What disconnecting a running container does",
        _ANSWER,
        body=NetworkDisconnect,
    ),
    Route("DELETE", f"{_PLAN}/networks/{{id:.+}}", remove, "What removing a network does", _ANSWER),
)

"""/linkspan/v1/plan/…: the dry run of a request, under the same method and path. Nothing is touched."""

from aiohttp import web

from linkspan.api.bodies.linkspan import PlanBody
from linkspan.api.bodies.networks import NetworkConnect, NetworkCreate, NetworkDisconnect
from linkspan.api.calls import Call, Route, answer
from linkspan.api.networks import connection, creation, disconnection, unused
from linkspan.api.render.status import plan_body
from linkspan.model.requests import RemoveNetwork


async def create(call: Call) -> web.StreamResponse:
    """POST …/networks/create."""
    return answer(plan_body(await call.rooms.engine.plan(creation(await call.body(NetworkCreate), call))))


async def connect(call: Call) -> web.StreamResponse:
    """POST …/networks/{id}/connect."""
    return answer(plan_body(await call.rooms.engine.plan(connection(await call.body(NetworkConnect), call))))


async def disconnect(call: Call) -> web.StreamResponse:
    """POST …/networks/{id}/disconnect."""
    return answer(plan_body(await call.rooms.engine.plan(disconnection(await call.body(NetworkDisconnect), call))))


async def remove(call: Call) -> web.StreamResponse:
    """DELETE …/networks/{id}."""
    return answer(plan_body(await call.rooms.engine.plan(RemoveNetwork(call.name()))))


async def prune(call: Call) -> web.StreamResponse:
    """POST …/networks/prune."""
    previews = [await call.rooms.engine.plan(RemoveNetwork(network.id)) for network in unused(call)]
    return answer(plan_body(*previews))


_PLAN = "/linkspan/v1/plan"
_ANSWER = {200: PlanBody}
ROUTES = (
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

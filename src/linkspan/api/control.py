"""/containers/{id}: pause, unpause, update."""

from aiohttp import web

from linkspan.api.bodies.resources import UpdateBody, UpdatedBody
from linkspan.api.calls import Call, Route, answer, done
from linkspan.api.limits import discarded, resources, restart_policy


async def pause(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/pause."""
    await call.rooms.containers.pause(call.name())
    return done()


async def unpause(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/unpause."""
    await call.rooms.containers.unpause(call.name())
    return done()


async def update(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/update."""
    body = await call.body(UpdateBody)
    change = resources(body)
    policy = restart_policy(body.restart_policy) if body.restart_policy.name else None
    await call.rooms.containers.update(call.name(), change, policy)
    return answer(UpdatedBody(warnings=discarded(change, call.rooms.containers.abilities.lacking) or None))


_ONE = "/containers/{id:.+}"
ROUTES = (
    Route("POST", f"{_ONE}/pause", pause, "Freeze every process of a container", {204: None}, changes=True),
    Route("POST", f"{_ONE}/unpause", unpause, "Let a paused container go on", {204: None}, changes=True),
    Route(
        "POST",
        f"{_ONE}/update",
        update,
        "Change limits and the restart policy",
        {200: UpdatedBody},
        body=UpdateBody,
        changes=True,
    ),
)

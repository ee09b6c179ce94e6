"""/containers/{id}: top, stats."""

from aiohttp import web

from linkspan.api.bodies.stats import StatsBody, TopBody
from linkspan.api.calls import Call, Route, answer, encoded
from linkspan.api.ports import Measurement
from linkspan.api.query import truth
from linkspan.api.render.stats import stats_body


async def top(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/top."""
    titles, rows = await call.rooms.containers.meter.processes(call.name(), call.text("ps_args"))
    return answer(TopBody(titles=list(titles), processes=[list(row) for row in rows]))


async def stats(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/stats: every second, or once, when CPU times take two measurements."""
    rooms = call.rooms
    id = rooms.containers.get(call.name()).id
    if not truth(call.text("stream") or "1"):
        return await _once(call, id)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    before: Measurement | None = None
    async for found in rooms.containers.meter.follow(id):
        container = rooms.containers.get(id)
        await response.write(encoded(stats_body(container, found, before)))
        before = found
    await response.write_eof()
    return response


async def _once(call: Call, id: str) -> web.StreamResponse:
    meter, before = call.rooms.containers.meter, None
    if not call.flag("one-shot") and call.rooms.containers.get(id).state.running:
        measurements = meter.follow(id)
        before = await anext(measurements)
        found = await anext(measurements)
    else:
        found = await meter.measure(id)
    return answer(stats_body(call.rooms.containers.get(id), found, before))


_ONE = "/containers/{id:.+}"
ROUTES = (
    Route(
        "GET",
        f"{_ONE}/top",
        top,
        "List the processes of a container",
        {200: TopBody},
        query={"ps_args": "arguments for ps, -ef by default"},
    ),
    Route(
        "GET",
        f"{_ONE}/stats",
        stats,
        "What a container uses",
        {200: StatsBody},
        query={"stream": "false for one answer", "one-shot": "do not wait for a second measurement"},
    ),
)

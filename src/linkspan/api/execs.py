"""/exec: one more process in a running container."""

from aiohttp import web

from linkspan.api.bodies.containers import ExecBody, ExecCreate, ExecCreated, ExecStart
from linkspan.api.calls import Call, Route, answer, done
from linkspan.api.containers import window
from linkspan.api.hijack import Hijacked, hijacked
from linkspan.api.render.containers import exec_body
from linkspan.api.streams import Manner, connect, content_type, detach_keys
from linkspan.model.containers import ExecRequest


async def create(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/exec."""
    body = await call.body(ExecCreate)
    request = ExecRequest(
        argv=(body.cmd,) if isinstance(body.cmd, str) else tuple(body.cmd),
        env=tuple(body.env),
        workdir=body.working_dir,
        user=body.user,
        tty=body.tty,
        attach_stdin=body.attach_stdin,
        attach_stdout=body.attach_stdout,
        attach_stderr=body.attach_stderr,
        privileged=body.privileged,
        detach_keys=detach_keys(body.detach_keys, "escape"),
    )
    session = await call.rooms.containers.exec_create(call.name(), request)
    return answer(ExecCreated(id=session.id), 201)


async def start(call: Call) -> web.StreamResponse:
    """POST /exec/{id}/start: a raw stream from then on, unless detached."""
    body = await call.body(ExecStart)
    session = call.rooms.containers.exec(call.name())
    tty, stdin, keys = session.request.tty, session.request.attach_stdin, session.request.detach_keys
    streams = await call.rooms.containers.exec_start(session.id, detach=body.detach)
    if streams is None:
        return done(200)
    try:
        async with hijacked(call.request, content_type(call, tty=tty)) as raw:
            await connect(raw, streams, Manner(stdin, tty, ends_input=True, keys=keys))
    finally:
        await streams.close()
    return Hijacked()


async def inspect(call: Call) -> web.StreamResponse:
    """GET /exec/{id}/json."""
    return answer(exec_body(call.rooms.containers.exec(call.name())))


async def resize(call: Call) -> web.StreamResponse:
    """POST /exec/{id}/resize."""
    await call.rooms.containers.exec_resize(call.name(), *window(call))
    return done(200)


ROUTES = (
    Route(
        "POST",
        "/containers/{id:.+}/exec",
        create,
        "Prepare one more process",
        {201: ExecCreated},
        body=ExecCreate,
        changes=True,
    ),
    Route("POST", "/exec/{id}/start", start, "Start it", {101: None, 200: None}, body=ExecStart),
    Route("GET", "/exec/{id}/json", inspect, "What has become of it", {200: ExecBody}),
    Route("POST", "/exec/{id}/resize", resize, "Resize its terminal", query={"h": "lines", "w": "columns"}),
)

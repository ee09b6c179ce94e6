"""Streams of containers: attach and logs."""

from aiohttp import web

from linkspan.api.calls import Call, Route
from linkspan.api.hijack import Hijacked, hijacked
from linkspan.api.streams import Manner, connect, content_type, detach_keys, framed
from linkspan.model.errors import InvalidError


async def attach(call: Call) -> web.StreamResponse:
    """POST /containers/{id}/attach: a raw stream from then on."""
    containers, container = call.rooms.containers, call.rooms.containers.get(call.name())
    stdin, stdout, stderr = (call.flag(name) for name in ("stdin", "stdout", "stderr"))
    wanted = container.wanted
    manner = Manner(stdin and wanted.open_stdin, wanted.tty, wanted.stdin_once, detach_keys(call.text("detachKeys")))
    streams = None
    if call.flag("stream"):
        streams = await containers.attach(container.id, stdin=manner.stdin, stdout=stdout, stderr=stderr)
    try:
        async with hijacked(call.request, content_type(call, tty=wanted.tty)) as raw:
            if call.flag("logs") and wanted.logging.readable:
                async for chunk in containers.logs(container.id, stdout=stdout, stderr=stderr):
                    await raw.write(framed(chunk, tty=wanted.tty))
            if streams is not None:
                await connect(raw, streams, manner)
    finally:
        if streams is not None:
            await streams.close()
    return Hijacked()


async def logs(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/logs."""
    container = call.rooms.containers.get(call.name())
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not (stdout or stderr):
        raise InvalidError("Bad parameters: you must choose at least one stream", field="stdout")
    tail = call.text("tail")
    chunks = call.rooms.containers.logs(
        container.id,
        stdout=stdout,
        stderr=stderr,
        follow=call.flag("follow"),
        since=call.moment("since"),
        until=call.moment("until") if call.text("until") != "0" else None,  # Docker's clients say so: no end
        tail=int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 10 else None,  # anything else means all
        timestamps=call.flag("timestamps"),
    )
    tty = container.wanted.tty
    response = web.StreamResponse(headers={"Content-Type": content_type(call, tty=tty)})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    async for chunk in chunks:
        await response.write(framed(chunk, tty=tty))
    await response.write_eof()
    return response


_STREAMS = {"stdin": "what is typed", "stdout": "standard output", "stderr": "standard error"}
ROUTES = (
    Route(
        "POST",
        "/containers/{id:.+}/attach",
        attach,
        "Attach to the streams of a container",
        {101: None, 200: None},
        query={
            **_STREAMS,
            "stream": "from now on",
            "logs": "what was written before",
            "detachKeys": "what lets a terminal go",
        },
    ),
    Route(
        "GET",
        "/containers/{id:.+}/logs",
        logs,
        "What a container has written",
        query={
            "stdout": "standard output",
            "stderr": "standard error",
            "follow": "go on until it ends",
            "since": "from this time on",
            "until": "up to this time",
            "timestamps": "put the time in front of each line",
            "tail": "the last so many lines",
            "details": "accepted, and without effect",
        },
    ),
)

"""Streams of containers: attach and logs."""

from collections.abc import AsyncIterator

from aiohttp import web

from linkspan.api.calls import Call, Route
from linkspan.api.hijack import Hijacked, frame, hijacked
from linkspan.api.render.times import fixed_timestamp
from linkspan.api.streams import Manner, connect, content_type, detach_keys, replayed
from linkspan.model.containers import Container, LogEntry
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
            if call.flag("logs"):
                await replayed(_written(call, container, stdout=stdout, stderr=stderr), raw, tty=wanted.tty)
            if streams is not None:
                await connect(raw, streams, manner)
    finally:
        if streams is not None:
            await streams.close()
    return Hijacked()


async def _written(call: Call, container: Container, *, stdout: bool, stderr: bool) -> AsyncIterator[tuple[int, bytes]]:
    async for entry in call.rooms.containers.logs(container.id, stdout=stdout, stderr=stderr):
        yield entry.stream, entry.data


async def logs(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/logs."""
    container = call.rooms.containers.get(call.name())
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not (stdout or stderr):
        raise InvalidError("Bad parameters: you must choose at least one stream", field="stdout")
    tail = call.text("tail")
    entries = call.rooms.containers.logs(
        container.id,
        stdout=stdout,
        stderr=stderr,
        follow=call.flag("follow"),
        since=call.moment("since"),
        until=call.moment("until") if call.text("until") != "0" else None,  # Docker's clients say so: no end
        tail=int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 10 else None,  # anything else means all
    )
    tty = container.wanted.tty
    response = web.StreamResponse(headers={"Content-Type": content_type(call, tty=tty)})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    stamps = Stamps() if call.flag("timestamps") else None
    async for entry in entries:
        data = stamps.stamped(entry) if stamps is not None else entry.data
        await response.write(data if tty else frame(entry.stream, data))
    await response.write_eof()
    return response


class Stamps:
    """Puts the time in front of each line, not of each piece of a long one."""

    def __init__(self) -> None:
        self._within: set[int] = set()

    def stamped(self, entry: LogEntry) -> bytes:
        """What an entry says, and when if it begins a line."""
        begins = entry.stream not in self._within
        if entry.data.endswith(b"\n"):
            self._within.discard(entry.stream)
        else:
            self._within.add(entry.stream)
        return fixed_timestamp(entry.time).encode() + b" " + entry.data if begins else entry.data


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

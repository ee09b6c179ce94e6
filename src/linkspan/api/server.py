"""The HTTP server: routes on sockets, each request finished or ended in an orderly way.

Clients come and go. What only reads or streams ends with its client; what changes something is finished even when the
client has gone, so it runs in a task of the server's own group.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from linkspan.api.calls import Call, Route
from linkspan.api.conventions import Plain, api_version, common_headers, errors_as_answers
from linkspan.api.reading import MAX_BODY
from linkspan.api.rooms import Rooms
from linkspan.api.routes import ROUTES

log = logging.getLogger(__name__)
log.addFilter(lambda record: not _is_clients_mistake(record))

GRACE = 2.0
"""Seconds that requests which change something have to finish when the server stops; aiohttp waits for them twice."""

IDLE = 3600.0
"""Seconds that a connection may be silent between requests: clients keep them in pools, and Docker never ends them."""


MAX_HEAD = 1 << 20
"""Bytes of a request line or a header, as in Go: `docker save` names many images, and a build has every credential."""


@dataclass(frozen=True)
class Listener:
    """A socket to serve on; with a `tls` context, for clients that prove who they are."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Work:
    """The requests that are being answered: those that end with their client, and those that are finished."""

    tasks: asyncio.TaskGroup
    streams: set["asyncio.Task[object]"] = field(default_factory=set)
    changes: set["asyncio.Task[object]"] = field(default_factory=set)


@asynccontextmanager
async def serving(rooms: Rooms, listeners: Sequence[Listener]) -> AsyncIterator[None]:
    """Answer requests while the block runs."""
    async with asyncio.TaskGroup() as tasks:
        work = Work(tasks)
        runner = web.AppRunner(
            application(rooms, work),
            logger=log,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=GRACE,
            keepalive_timeout=IDLE,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
        )
        await runner.setup()
        try:
            for listener in listeners:
                await web.SockSite(runner, listener.socket, ssl_context=listener.tls).start()
            yield
        finally:
            for stream in work.streams:
                stream.cancel()
            await runner.cleanup()
            for change in work.changes:  # what takes longer than the grace; the rooms finish what they have begun
                change.cancel()


def application(rooms: Rooms, work: Work) -> web.Application:
    """Every route, with a version in front of its path and without."""
    app = web.Application(middlewares=[errors_as_answers], client_max_size=MAX_BODY)
    app.on_response_prepare.append(common_headers(f"Linkspan/{rooms.host.version} (linux)"))
    for route in ROUTES:
        handler = _bound(route, rooms, work)
        app.router.add_route(route.method, route.path, handler)
        if not route.path.startswith("/linkspan/"):
            app.router.add_route(route.method, r"/v{version:[0-9.]+}" + route.path, handler)
    return app


def _bound(route: Route, rooms: Rooms, work: Work) -> Plain:
    """A route's handler as aiohttp calls it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(request, rooms, api_version(request.match_info.get("version")))
        if route.changes:
            return await _finished(route.handler(call), work)
        task = asyncio.current_task()
        assert task is not None
        work.streams.add(task)
        try:
            return await route.handler(call)
        finally:
            work.streams.discard(task)

    return handle


def _is_clients_mistake(record: logging.LogRecord) -> bool:
    """Whether aiohttp logs that something was no HTTP, which it has answered with 400."""
    return record.exc_info is not None and isinstance(record.exc_info[1], HttpProcessingError)


async def _finished(change: Awaitable[web.StreamResponse], work: Work) -> web.StreamResponse:
    """The answer of `change`, which goes on when its caller is cancelled."""

    async def outcome() -> web.StreamResponse | Exception:
        try:
            return await change
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's task
            return error

    task = work.tasks.create_task(outcome())
    work.changes.add(task)
    task.add_done_callback(work.changes.discard)
    result = await asyncio.shield(task)
    if isinstance(result, Exception):
        raise result
    return result

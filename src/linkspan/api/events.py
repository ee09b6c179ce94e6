"""GET /events: what has been, and what happens from now on, one JSON object each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

from aiohttp import web

from linkspan.api.bodies.events import EventBody
from linkspan.api.calls import Call, Route, encoded
from linkspan.api.filters import parse_filters
from linkspan.api.render.events import FILTERS, event_body, included
from linkspan.model.errors import InvalidError, UnavailableError
from linkspan.model.events import Event

SHOWN = frozenset({"builder", "container", "daemon", "image", "network", "volume"})
"""Kinds that Docker's clients know; a sandbox is the engine's own word for what lives inside a container."""


async def events(call: Call) -> web.StreamResponse:
    """The head goes out at once: clients wait for it before they do what they want to see."""
    filters = parse_filters(call.text("filters"), FILTERS)
    since, until = call.moment("since"), call.moment("until")
    if since is not None and until is not None and until < since:
        raise InvalidError("`since` time cannot be after `until` time", field="since", value=call.text("since"))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    engine, past = call.rooms.engine, since is not None
    async for event in _until(engine.events(past=past), call.now, until):
        if event.type in SHOWN and (since is None or event.time >= since) and included(event, filters):
            await response.write(encoded(event_body(event)))
    await response.write_eof()
    return response


async def _until(source: AsyncIterator[Event], now: datetime, until: datetime | None) -> AsyncIterator[Event]:
    """The events of a source up to a time (None: for ever). The clock runs only while nothing is there to be read."""
    loop = asyncio.get_running_loop()
    end = None if until is None else loop.time() + (until - now).total_seconds()
    with suppress(TimeoutError, StopAsyncIteration, UnavailableError):  # the last: a client that reads too slowly
        while True:
            async with asyncio.timeout_at(end):
                event = await anext(source)
            if until is None or event.time <= until:
                yield event


ROUTES = (
    Route(
        "GET",
        "/events",
        events,
        "Follow events",
        {200: EventBody},
        query={
            "since": "show events from this time on",
            "until": "end at this time",
            "filters": "JSON: keys with the values of which one has to match",
        },
    ),
)

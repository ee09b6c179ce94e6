"""GET /events: what has been, and what happens from now on, one JSON object each."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from aiohttp import web

from linkspan.api.bodies.events import EventBody
from linkspan.api.calls import Call, Route, encoded
from linkspan.api.filters import parse_filters
from linkspan.api.journal import Journal
from linkspan.api.render.events import FILTERS, event_body, included
from linkspan.model.errors import InvalidError
from linkspan.model.events import Event

SHOWN = frozenset({"container", "network", "image", "volume", "daemon"})
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
    async for event in _between(call.rooms.journal, call.now, since, until):
        if event.type in SHOWN and included(event, filters):
            await response.write(encoded(event_body(event)))
    await response.write_eof()
    return response


async def _between(
    journal: Journal, now: datetime, since: datetime | None, until: datetime | None
) -> AsyncIterator[Event]:
    """The events from `since` (None: from now) to `until` (None: for ever)."""
    with journal.following() as (kept, queue):
        for event in kept:
            if since is not None and event.time >= since and (until is None or event.time <= until):
                yield event
        remaining = None if until is None else (until - now).total_seconds()
        try:
            async with asyncio.timeout(remaining):
                while (live := await queue.get()) is not None:
                    yield live
        except TimeoutError:
            return


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

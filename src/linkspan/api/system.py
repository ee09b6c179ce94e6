"""/_ping, /version, /info, /plugins, and searching for images."""

from aiohttp import web

from linkspan.api.bodies.system import InfoBody, VersionBody
from linkspan.api.calls import NEWEST, OLDEST, Call, Route, answer, shown
from linkspan.api.render.system import info_body, version_body
from linkspan.model.errors import UnimplementedError

_PING_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Builder-Version": "1",  # 2 would make the docker command build with BuildKit, which is not here
    "Swarm": "inactive",
}


async def ping(call: Call) -> web.StreamResponse:
    """GET and HEAD /_ping: the docker command asks it first, for the version it can speak."""
    body = b"OK" if call.request.method == "GET" else b""
    return web.Response(body=body, headers=_PING_HEADERS)


async def version(call: Call) -> web.StreamResponse:
    """GET /version: docker-py asks it first."""
    return answer(version_body(call.rooms.host, shown(NEWEST), shown(OLDEST)))


async def info(call: Call) -> web.StreamResponse:
    """GET /info."""
    rooms = call.rooms
    return answer(
        info_body(
            rooms.host,
            rooms.engine.config,
            id=rooms.engine.id,
            counts=rooms.counts(),
            unified=rooms.containers.abilities.unified,
            problems=rooms.engine.problems,
            now=call.now,
            debug=rooms.preferences.debug,
            logging=rooms.preferences.logging,
        )
    )


async def plugins(call: Call) -> web.StreamResponse:
    """GET /plugins: there are none."""
    return answer([])


async def search(call: Call) -> web.StreamResponse:
    """GET /images/search."""
    raise UnimplementedError("searching for images is not supported: look at the pages of the registry", field="term")


ROUTES = (
    Route("HEAD", "/_ping", ping, "Whether the engine answers"),
    Route("GET", "/_ping", ping, "Whether the engine answers"),
    Route("GET", "/version", version, "Versions", {200: VersionBody}),
    Route("GET", "/info", info, "The engine and its machine", {200: InfoBody}),
    Route("GET", "/plugins", plugins, "Plugins, of which there are none", query={"filters": "no effect"}),
    Route(
        "GET",
        "/images/search",
        search,
        "Not supported",
        query={"term": "what for", "limit": "how many", "filters": "JSON"},
    ),
)

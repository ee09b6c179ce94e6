"""/containers/{id}: archive (copying files), changes, export."""

import base64
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from linkspan.api.bodies.archives import ChangeBody
from linkspan.api.calls import Call, Route, answer, done, encoded
from linkspan.api.render.files import path_stat_body
from linkspan.model.errors import InvalidError
from linkspan.model.files import PathStat

_STAT = "X-Docker-Container-Path-Stat"
_TAR = "application/x-tar"
_CHUNK = 1 << 16


def _path(call: Call) -> str:
    path = call.text("path")
    if not path or "\0" in path:
        raise InvalidError("bad parameter: path cannot be empty", field="path", value=path)
    return path


def _header(found: PathStat) -> dict[str, str]:
    return {_STAT: base64.b64encode(msgspec.json.encode(path_stat_body(found))).decode()}


async def look(call: Call) -> web.StreamResponse:
    """HEAD /containers/{id}/archive."""
    found = await call.rooms.containers.archives.stat(call.name(), _path(call))
    return web.Response(headers=_header(found))


async def get(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/archive."""
    async with call.rooms.containers.archives.pack(call.name(), _path(call)) as (found, stream):
        return await _sent(call, stream, {"Content-Type": _TAR, **_header(found)})


async def put(call: Call) -> web.StreamResponse:
    """PUT /containers/{id}/archive."""
    await call.rooms.containers.archives.unpack(
        call.name(),
        _path(call),
        call.request.content.iter_chunked(_CHUNK),
        keep_kinds=call.flag("noOverwriteDirNonDir"),
        own=call.flag("copyUIDGID"),
    )
    return done(200)


async def changes(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/changes."""
    found = await call.rooms.containers.archives.changes(call.name())
    bodies = [ChangeBody(path=change.path, kind=int(change.kind)) for change in found]
    return answer(bodies) if bodies else web.Response(body=encoded(None), content_type="application/json")


async def export(call: Call) -> web.StreamResponse:
    """GET /containers/{id}/export."""
    async with call.rooms.containers.archives.export(call.name()) as stream:
        return await _sent(call, stream, {"Content-Type": _TAR})


async def _sent(call: Call, stream: AsyncIterator[bytes], headers: dict[str, str]) -> web.StreamResponse:
    """A stream as a body. Its head waits for the first bytes: until then an error can be told."""
    first = await anext(stream, b"")
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    await response.write(first)
    async for chunk in stream:
        await response.write(chunk)
    await response.write_eof()
    return response


_ONE = "/containers/{id:.+}"
_PATH = {"path": "where, inside"}
ROUTES = (
    Route("HEAD", f"{_ONE}/archive", look, "What is at a path of a container", query=_PATH),
    Route("GET", f"{_ONE}/archive", get, "A tar archive of what is at a path of a container", query=_PATH),
    Route(
        "PUT",
        f"{_ONE}/archive",
        put,
        "Unpack a tar archive in a directory of a container",
        query={
            **_PATH,
            "noOverwriteDirNonDir": "a directory and another kind of file never take each other's place",
            "copyUIDGID": "everything belongs to the container's user",
        },
    ),
    Route(
        "GET",
        f"{_ONE}/changes",
        changes,
        "How the files of a container differ from those it was made from",
        {200: list[ChangeBody]},
    ),
    Route("GET", f"{_ONE}/export", export, "A tar archive of all files of a container"),
)

"""One request as a handler sees it, and the answers it gives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from linkspan.api.query import integer, moment, truth
from linkspan.api.reading import read_body
from linkspan.api.rooms import Rooms

Body = TypeVar("Body", bound=msgspec.Struct)
Version: TypeAlias = tuple[int, int]

NEWEST: Version = (1, 51)
OLDEST: Version = (1, 24)


def shown(version: Version) -> str:
    """`1.51`."""
    return ".".join(map(str, version))


@dataclass(frozen=True)
class Call:
    """A request: its rooms, the API version the client speaks, and what it says."""

    request: web.Request
    rooms: Rooms
    version: Version = NEWEST

    def name(self, key: str = "id") -> str:
        """A part of the path."""
        return self.request.match_info[key]

    @cached_property
    def now(self) -> datetime:
        """The time of the request."""
        return datetime.now(UTC)

    def text(self, key: str) -> str:
        """A query parameter; empty when absent."""
        return self.request.query.get(key, "")

    def flag(self, key: str) -> bool:
        """A query parameter that is true or false."""
        return truth(self.text(key))

    def number(self, key: str, default: int = 0) -> int:
        """A query parameter that is a number."""
        return integer(self.text(key), field=key, default=default)

    def moment(self, key: str) -> datetime | None:
        """A query parameter that is a time."""
        return moment(self.text(key), field=key, now=self.now)

    async def body(self, kind: type[Body]) -> Body:
        """The request's body."""
        return await read_body(self.request, kind)


Handler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One operation: how it is reached, what it takes and gives, and what it is for.

    `answers` maps each good status to the type of its body. `changes` marks what is finished even when the client goes
    away; the others end with their client. `path` has parts in braces, the version is put in front of it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any] = field(default_factory=lambda: {200: None})
    body: type[msgspec.Struct] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False


def encoded(value: object) -> bytes:
    """JSON as Docker ends it."""
    return msgspec.json.encode(value) + b"\n"


def answer(value: object, status: int = 200) -> web.Response:
    """A JSON body. The type is exactly `application/json`: with a charset, the docker command shows errors raw."""
    return web.Response(body=encoded(value), status=status, headers={"Content-Type": "application/json"})


def done(status: int = 204) -> web.Response:
    """No body."""
    return web.Response(status=status)

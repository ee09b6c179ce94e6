"""Whatever a client sends: an answer, never a 500 for its mistake, and nothing changed by a refusal."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkspan.api.calls import Route
from linkspan.api.openapi import plain_path
from linkspan.api.reading import field_names
from linkspan.api.routes import ROUTES
from tests.unit.api.desk import Desk, desk

ENDLESS = {"events", "wait", "attach", "start"}
"""The last part of paths whose answers may not end: only their head is awaited."""

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["bridge", "host", "none", "n1", "c1", "10.9.0.0/24", "fd00:9::/64", "80/tcp", "8080", "container:c1"]
    )
)
_NAMES = sorted({name for route in ROUTES if route.body for name in field_names(route.body)})
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
_TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "n1",
        "c1",
        "bridge",
        "-1",
        "1e9",
        "99999999999999999999",
        "10m",
        "2026-01-01",
        "0001-01-01T00:00:00Z",
        "true",
        "no",
    ]
)
_FILTER_KEYS = st.sampled_from(
    ["name", "id", "label", "label!", "until", "type", "dangling", "network", "status", "publish"]
)
_FILTERS = st.dictionaries(
    _FILTER_KEYS, st.lists(_TEXTS, max_size=2) | st.dictionaries(_TEXTS, st.booleans(), max_size=2)
)


@dataclass(frozen=True)
class Shot:
    """One request."""

    route: Route
    path: str
    data: bytes | None

    def __repr__(self) -> str:
        return f"{self.route.method} {self.path} {self.data!r}"


@st.composite
def shots(draw: st.DrawFn) -> Shot:
    """A request to one of the routes, more or less what it wants."""
    route = draw(st.sampled_from(ROUTES))
    part = draw(_TEXTS.filter(bool))
    path = plain_path(route.path).replace("{id}", quote(part, safe=""))
    version = draw(st.sampled_from(["", "", "/v1.24", "/v1.41", "/v1.51", "/v1.99", "/v..", "/v1"]))
    query = {name: draw(_TEXTS) for name in route.query if draw(st.booleans())}
    if "filters" in query:
        query["filters"] = draw(st.just(query["filters"]) | _FILTERS.map(json.dumps))
    joined = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    data = draw(st.none() | st.binary(max_size=20) | _JSON.map(lambda value: json.dumps(value).encode()))
    prefix = "" if path.startswith("/linkspan/") else version
    return Shot(route, f"{prefix}{path}?{joined}", data)


async def fire(client: Desk, shot: Shot) -> tuple[int, bytes]:
    """Status and body; the body is empty where it may not end."""
    endless = shot.route.path.rpartition("/")[2] in ENDLESS or "logs" in shot.route.path
    if not endless:
        reply = await client.ask(shot.route.method, shot.path, data=shot.data)
        return reply.status, reply.body
    headers = {"Content-Type": "application/json"}
    url = client.url(shot.path)
    async with client.session.request(shot.route.method, url, data=shot.data, headers=headers) as answer:
        return answer.status, await answer.read() if answer.status >= 400 else b""


async def play(salvo: Sequence[Shot]) -> None:
    with tempfile.TemporaryDirectory() as rootfs:
        async with desk() as client, asyncio.timeout(20):
            await client.post("/networks/create", {"Name": "n1"})
            await client.post("/containers/create?name=c1", {"Rootfs": rootfs, "Cmd": ["cat"]})
            await client.post("/containers/c1/start")
            for shot in salvo:
                before = (client.quay.content(), await client.world.snapshot(client.engine))
                status, body = await fire(client, shot)
                assert status < 500, (shot, body)
                if status >= 400 and shot.route.method != "HEAD":
                    assert set(json.loads(body)) <= {"message", "hint"}, shot
                    assert (client.quay.content(), await client.world.snapshot(client.engine)) == before, shot


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(shots(), min_size=6, max_size=12))
def test_any_request_has_an_answer_and_a_refused_one_changes_nothing(salvo: Sequence[Shot]) -> None:
    asyncio.run(play(salvo))


_BODIES = [route for route in ROUTES if route.body is not None]


@pytest.mark.slow
@pytest.mark.parametrize("route", _BODIES, ids=lambda route: plain_path(route.path))
def test_bodies_of_the_right_type_are_never_an_unexpected_error(route: Route) -> None:
    assert route.body is not None
    _, schemas = msgspec.json.schema_components([route.body])

    @settings(max_examples=6)
    @given(st.lists(_body(route.body.__name__, schemas), min_size=3, max_size=5))
    def check(bodies: Sequence[object]) -> None:
        path = plain_path(route.path).replace("{id}", "n1" if "networks" in route.path else "c1")
        asyncio.run(play([Shot(route, f"{path}?", json.dumps(body).encode()) for body in bodies]))

    check()


def _body(name: str, schemas: dict[str, dict[str, object]]) -> st.SearchStrategy[object]:
    """Values that a schema allows, or nearly."""
    return _value(schemas[name], schemas)


def _value(schema: dict[str, object], schemas: dict[str, dict[str, object]]) -> st.SearchStrategy[object]:
    if "$ref" in schema:
        return _body(str(schema["$ref"]).rpartition("/")[2], schemas)
    if "anyOf" in schema:
        return st.one_of([_value(each, schemas) for each in schema["anyOf"]])  # type: ignore[attr-defined]
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        fields: dict[str, dict[str, object]] = schema["properties"]  # type: ignore[assignment]
        return st.fixed_dictionaries({}, optional={key: _value(each, schemas) for key, each in fields.items()})
    if kind == "object":
        values = schema.get("additionalProperties")
        inner = _value(values, schemas) if isinstance(values, dict) else _JSON
        return st.dictionaries(_TEXTS, inner, max_size=2)
    if kind == "array":
        return st.lists(_value(schema.get("items") or {}, schemas), max_size=2)  # type: ignore[arg-type]
    simple: dict[object, st.SearchStrategy[object]] = {
        "string": _TEXTS,
        "integer": st.integers(-5, 2**64),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return simple.get(kind, _JSON)


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"POST /exec/x/start HTTP/1.1\r\n"])
    )
)
@settings(max_examples=15)
def test_what_is_no_http_ends_its_own_connection_and_no_more(pieces: Sequence[bytes]) -> None:
    async def send() -> None:
        async with desk() as client, asyncio.timeout(20):
            reader, writer = await asyncio.open_unix_connection(client.path)
            writer.write(b"".join(pieces))
            writer.write_eof()
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
            assert (await client.get("/_ping")).body == b"OK"

    asyncio.run(send())

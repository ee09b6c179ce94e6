"""Whatever a client sends: an answer, never a 500 for its mistake, and nothing changed by a refusal."""

import asyncio
import io
import json
import tarfile
import tempfile
from base64 import urlsafe_b64encode
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
from tests.support.images import Entry, Picture, archive, layer
from tests.support.patience import PATIENCE
from tests.unit.api.client import ApiClient, api_client
from tests.unit.images.test_building import context

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
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"{self.route.method} {self.path} {self.headers} {self.data!r}"


_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["", "e30=", "e30", "bnVsbA==", "{}", "W10=", "eyJ1c2VybmFtZSI6MX0=", "%" * 9])
        | _JSON.map(lambda value: urlsafe_b64encode(json.dumps(value).encode()).decode())
        for name in ("X-Registry-Auth", "X-Registry-Config")
    }
    | {"Content-Type": st.sampled_from(["application/json", "application/x-tar", "text/plain", "a/b; c", ";"])},
)


@st.composite
def shots(draw: st.DrawFn) -> Shot:
    """A request to one of the routes, more or less what it wants."""
    route = draw(st.sampled_from(ROUTES))
    version = draw(st.sampled_from(["", "", "/v1.24", "/v1.41", "/v1.51", "/v1.99", "/v..", "/v1"]))
    query = {name: draw(_TEXTS) for name in route.query if draw(st.booleans())}
    if "filters" in query:
        query["filters"] = draw(st.just(query["filters"]) | _FILTERS.map(json.dumps))
    joined = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    data = draw(st.none() | st.binary(max_size=20) | _JSON.map(lambda value: json.dumps(value).encode()) | archives())
    path = named(route, draw(_TEXTS.filter(bool)))
    prefix = "" if path.startswith("/linkspan/") else version
    return Shot(route, f"{prefix}{path}?{joined}", data, tuple(draw(_HEADERS).items()))


def named(route: Route, name: str) -> str:
    """A route's path with a name in it."""
    path = plain_path(route.path)
    for part in ("{id}", "{name}"):
        path = path.replace(part, quote(name, safe=""))
    return path


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """An archive that may hold an image or something to build; cut, changed, compressed, or with hostile members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=draw(st.sampled_from(["w", "w:gz", "w:xz"]))) as tar:
        for name, text in draw(st.dictionaries(_MEMBERS, _CONTENTS, max_size=4)).items():
            info = tarfile.TarInfo(name)
            info.type = draw(st.sampled_from([tarfile.REGTYPE] * 6 + [tarfile.SYMTYPE, tarfile.LNKTYPE, b"Z"]))
            info.linkname = draw(_MEMBERS)
            info.size = len(text) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(text))
    data = draw(st.just(buffer.getvalue()) | st.sampled_from(WHOLE))
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    place = draw(st.integers(0, max(0, len(data) - 1)))
    return data[:place] + draw(st.binary(max_size=2)) + data[place + 2 :] if draw(st.booleans()) else data


PICTURE = Picture([layer(Entry("file", b"text"))], config={"Cmd": ["cat"]})
WHOLE = (archive([(PICTURE, ["c1:latest"])]), archive([(PICTURE, [])]), context({"Dockerfile": "FROM c1\nRUN false"}))
_MEMBERS = st.sampled_from(
    ["manifest.json", "index.json", "oci-layout", "Dockerfile", ".dockerignore", "../up", "/root", "a/../../b", "x/y"]
) | st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text)
_CONTENTS = st.binary(max_size=40) | st.sampled_from(
    [
        b"FROM scratch",
        b"FROM n1\nCOPY a /",
        b"FROM scratch\nRUN false",
        b'[{"Config":"x","RepoTags":["c1:1"],"Layers":["y"]}]',
        b'[{"Config":null,"Layers":{}}]',
        b"[" * 40,
        b'{"schemaVersion":2,"manifests":[]}',
    ]
)


MEANT = (501, 503)
"""What is an answer, and no failure: not here, and in no swarm."""


async def fire(client: ApiClient, shot: Shot) -> tuple[int, bytes]:
    """Status and body; the body is empty where it may not end."""
    endless = shot.route.path.rpartition("/")[2] in ENDLESS or "logs" in shot.route.path
    if not endless:
        reply = await client.ask(shot.route.method, shot.path, data=shot.data, headers=dict(shot.headers))
        return reply.status, reply.body
    headers = {"Content-Type": "application/json", **dict(shot.headers)}
    url = client.url(shot.path)
    async with client.session.request(shot.route.method, url, data=shot.data, headers=headers) as answer:
        return answer.status, await answer.read() if answer.status >= 400 else b""


async def play(salvo: Sequence[Shot]) -> None:
    with tempfile.TemporaryDirectory() as rootfs:
        async with api_client() as client, asyncio.timeout(PATIENCE):
            await client.post("/networks/create", {"Name": "n1"})
            await client.post("/containers/create?name=c1", {"Rootfs": rootfs, "Cmd": ["cat"]})
            await client.post("/containers/c1/start")
            before = await content(client)
            for shot in salvo:
                status, body = await fire(client, shot)
                after = await content(client)
                assert status < 500 or status in MEANT, (shot, body)
                if status >= 400 and shot.route.method != "HEAD":
                    assert set(json.loads(body)) <= {"message", "hint"}, shot
                    assert after == before, shot
                before = after


async def content(client: ApiClient) -> object:
    """Everything there is, to be compared: what the engine has and the kernel, containers, volumes, images, files."""
    images = [(image.id, tuple(image.names)) for image in client.rooms.images.all()]
    files = {name for name in client.gallery.files() if not name.startswith("tmp")}
    return client.containers.content(), await client.world.snapshot(client.engine), images, files


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(shots(), min_size=6, max_size=12))
def test_any_request_has_an_answer_and_a_refused_one_changes_nothing(salvo: Sequence[Shot]) -> None:
    asyncio.run(play(salvo))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/images/load", "/images/create?fromSrc=-&repo=x", "/build?t=x", "/containers/c1/archive?path=/"]
)
def test_any_archive_has_an_answer_and_leaves_all_or_nothing(path: str) -> None:
    method = "PUT" if "archive" in path else "POST"
    (route,) = (
        one for one in ROUTES if one.method == method and path.startswith(named(one, "c1") + ("?" * ("?" in path)))
    )

    @settings(max_examples=25)
    @given(st.lists(archives(), min_size=2, max_size=5))
    def check(found: Sequence[bytes]) -> None:
        asyncio.run(play([Shot(route, path, data, (("Content-Type", "application/x-tar"),)) for data in found]))

    check()


BODIES = [route for route in ROUTES if route.body is not None]


@pytest.mark.slow
@pytest.mark.parametrize("route", BODIES, ids=lambda route: plain_path(route.path))
def test_bodies_of_the_right_type_are_never_an_unexpected_error(route: Route) -> None:
    @settings(max_examples=6)
    @given(st.lists(typed(route), min_size=3, max_size=5))
    def check(found: Sequence[Shot]) -> None:
        asyncio.run(play(found))

    check()


def typed(route: Route) -> st.SearchStrategy[Shot]:
    """A request whose body is what the route takes, or nearly."""
    assert route.body is not None
    _, schemas = msgspec.json.schema_components([route.body])
    path = named(route, "n1" if "networks" in route.path else "c1")
    bodies = _body(route.body.__name__, schemas)
    return bodies.map(lambda body: Shot(route, f"{path}?", json.dumps(body).encode()))


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
        async with api_client() as client, asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(client.path)
            writer.write(b"".join(pieces))
            writer.write_eof()
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
            assert (await client.get("/_ping")).body == b"OK"

    asyncio.run(send())

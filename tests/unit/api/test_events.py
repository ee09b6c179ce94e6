"""/events: the bodies against the transcript, the stream against an engine."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from linkspan.api.filters import Filters
from linkspan.api.render.events import event_body, included
from linkspan.model.events import Event
from tests.support.patience import PATIENCE
from tests.unit.api.client import ApiClient, api_client

TIME = datetime(2026, 11, 24, 3, 5, 55, 534939, UTC)
STARTED = Event("container", "start", "74b6", TIME, (("image", "busybox"), ("name", "boyd"), ("k", "v")))
CONNECTED = Event("network", "connect", "d069", TIME, (("container", "74b6"), ("name", "bridge"), ("type", "bridge")))


def shown(event: Event) -> Any:
    return json.loads(msgspec.json.encode(event_body(event)))


def test_an_event_about_a_container_repeats_itself_for_older_clients() -> None:
    assert shown(STARTED) == {
        "status": "start",
        "id": "74b6",
        "from": "busybox",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "74b6", "Attributes": {"image": "busybox", "name": "boyd", "k": "v"}},
        "scope": "local",
        "time": 1795489555,
        "timeNano": 1795489555534939000,
    }


def test_an_event_about_a_network_does_not() -> None:
    assert shown(CONNECTED) == {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "d069", "Attributes": {"container": "74b6", "name": "bridge", "type": "bridge"}},
        "scope": "local",
        "time": 1795489555,
        "timeNano": 1795489555534939000,
    }


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "both"),
        ({"type": ("network",)}, "connected"),
        ({"event": ("start", "die")}, "started"),
        ({"container": ("74",)}, "started"),
        ({"container": ("bo",)}, "started"),
        ({"network": ("bridge",)}, "connected"),
        ({"image": ("busybox",)}, "started"),
        ({"label": ("k=v",)}, "started"),
        ({"label": ("k=w",)}, "none"),
        ({"node": ("x",)}, "none"),
        ({"scope": ("local",)}, "both"),
        ({"type": ("container",), "event": ("connect",)}, "none"),
    ],
)
def test_filters_match_as_dockers(filters: dict[str, tuple[str, ...]], expected: str) -> None:
    passed = {
        name for name, event in (("started", STARTED), ("connected", CONNECTED)) if included(event, Filters(filters))
    }
    assert passed == {"both": {"started", "connected"}, "none": set()}.get(expected, {expected})


async def read(reply: aiohttp.ClientResponse, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [json.loads(await reply.content.readline()) for _ in range(count)]


async def following(client: ApiClient, query: str = "") -> aiohttp.ClientResponse:
    return await client.session.get(f"http://api/events{query}")


async def test_the_head_comes_at_once_and_then_what_happens() -> None:
    async with api_client() as client, await following(client) as reply:
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.headers["Transfer-Encoding"] == "chunked"
        await client.post("/networks/create", {"Name": "n1"})
        await client.ask("DELETE", "/networks/n1")
        created, destroyed = await read(reply, 2)
    assert (created["Type"], created["Action"]) == ("network", "create")
    assert created["Actor"]["Attributes"] == {"name": "n1", "type": "bridge"}
    assert (destroyed["Action"], destroyed["Actor"]["ID"]) == ("destroy", created["Actor"]["ID"])


async def test_the_end_of_what_builds_kept_is_told() -> None:
    async with api_client() as client, await following(client, "?filters=%7B%22type%22:[%22builder%22]%7D") as reply:
        await client.post("/build/prune")
        (pruned,) = await read(reply, 1)
    assert (pruned["Action"], pruned["Actor"]["Attributes"]) == ("prune", {"reclaimed": "0"})


async def test_what_has_been_is_told_and_the_stream_ends_in_time() -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1"})
        event = client.world.surroundings.now()
        since, until = (event - timedelta(1)).timestamp(), datetime.now(UTC).timestamp() - 1
        filters = quote(json.dumps({"type": ["network"]}))
        reply = await client.get(f"/events?since={since}&until={until}&filters={filters}")
    assert [json.loads(line)["Action"] for line in reply.body.splitlines()] == ["create"]


async def test_since_zero_is_since_the_beginning() -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1"})
        until = datetime.now(UTC).timestamp() - 1
        reply = await client.get(f"/events?since=0&until={until}")
    assert [json.loads(line)["Action"] for line in reply.body.splitlines()] == ["create"]


async def test_times_in_the_wrong_order_are_refused() -> None:
    async with api_client() as client:
        reply = await client.get("/events?since=200&until=100")
    assert (reply.status, reply.message) == (400, "`since` time cannot be after `until` time")


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with api_client() as client:
        async with await following(client):
            assert len(client.engine._announcer._queues) == 1
        async with asyncio.timeout(PATIENCE):
            while client.engine._announcer._queues:
                await client.get("/_ping")


async def test_streams_end_when_the_server_stops() -> None:
    async with api_client() as client:
        reader, writer = await asyncio.open_unix_connection(client.path)
        writer.write(b"GET /events HTTP/1.1\r\nHost: api\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    async with asyncio.timeout(PATIENCE):
        assert b"{" not in await reader.read()
    writer.close()


async def test_pruning_is_announced() -> None:
    async with api_client() as client, await following(client) as reply:
        for path in ("/networks/prune", "/containers/prune"):
            await client.post(path)
        pruned = await read(reply, 2)
    assert [(event["Type"], event["Action"], event["Actor"]) for event in pruned] == [
        ("network", "prune", {"ID": "", "Attributes": {"reclaimed": "0"}}),
        ("container", "prune", {"ID": "", "Attributes": {"reclaimed": "0"}}),
    ]

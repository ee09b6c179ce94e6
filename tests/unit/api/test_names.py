"""Aliases, links and records, as clients give them and see them."""

from typing import Any

import pytest

from linkspan.model.config import Config
from linkspan.model.errors import UnavailableError
from tests.support.engines import World
from tests.unit.api.client import ApiClient, api_client

ROOT = {"Rootfs": "/", "Cmd": ["true"]}
RECORDS = [
    {"Name": "db", "Type": "A", "Value": "10.9.0.9", "TTL": 60},
    {"Name": "_sip._udp", "Type": "SRV", "Value": "10 5 5060 sip.example.", "TTL": 600},
]


def named() -> World:
    return World(config=Config(names=True))


async def started(client: ApiClient, name: str, network: str = "shop", /, **fields: Any) -> str:
    if (await client.get(f"/networks/{network}")).status == 404:
        await client.post("/networks/create", {"Name": network})
    endpoint = {key: fields.pop(key) for key in ("Aliases", "Links") if key in fields}
    body = {
        **ROOT,
        "HostConfig": {"NetworkMode": network, "Links": fields.pop("HostLinks", [])},
        "NetworkingConfig": {"EndpointsConfig": {network: endpoint}},
        **fields,
    }
    made = await client.post(f"/containers/create?name={name}", body)
    assert made.status == 201, made.message
    reply = await client.post(f"/containers/{name}/start")
    assert reply.status == 204, reply.message
    id: str = made.json["Id"]
    return id


async def endpoint_of(client: ApiClient, name: str, network: str, version: str = "v1.51") -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/{version}/containers/{name}/json")).json
    endpoint: dict[str, Any] = found["NetworkSettings"]["Networks"][network]
    return endpoint


async def test_inspect_shows_aliases_and_every_name() -> None:
    async with api_client(named()) as client:
        id = await started(client, "web", Aliases=["www", "front"], Hostname="store")
        endpoint = await endpoint_of(client, "web", "shop")
    assert endpoint["Aliases"] == ["www", "front"]
    assert endpoint["DNSNames"][:4] == ["web", "www", "front", id[:12]]  # the host name is for who makes the sandbox


async def test_older_clients_find_the_short_id_among_the_aliases() -> None:
    async with api_client(named()) as client:
        id = await started(client, "web", Aliases=["www"], Hostname="store")
        endpoint = await endpoint_of(client, "web", "shop", "v1.44")
    assert endpoint["Aliases"] == ["www", id[:12], "store"]


async def test_the_default_network_shows_no_names() -> None:
    async with api_client(named()) as client:
        await started(client, "web", "bridge")
        endpoint = await endpoint_of(client, "web", "bridge", "v1.44")
    assert endpoint["DNSNames"] is None and endpoint["Aliases"] is None


async def test_aliases_come_with_a_connection_too() -> None:
    async with api_client(named()) as client:
        await started(client, "web")
        await client.post("/networks/create", {"Name": "yard"})
        body = {"Container": "web", "EndpointConfig": {"Aliases": ["gate"], "Links": ["web:self"]}}
        assert (await client.post("/networks/yard/connect", body)).status == 200
        endpoint = await endpoint_of(client, "web", "yard")
    assert (endpoint["Aliases"], endpoint["Links"]) == (["gate"], ["web:self"])


@pytest.mark.parametrize("fields", [{"Links": ["db:database"]}, {"HostLinks": ["db:database"]}])
async def test_links_on_a_users_network_are_the_endpoints(fields: dict[str, Any]) -> None:
    async with api_client(named()) as client:
        await started(client, "db")
        await started(client, "web", **fields)
        found = (await client.get("/containers/web/json")).json
    assert found["NetworkSettings"]["Networks"]["shop"]["Links"] == ["db:database"]
    assert found["HostConfig"]["Links"] is None


async def test_links_on_the_default_network_are_shown_as_docker_does() -> None:
    async with api_client(named()) as client:
        await started(client, "db", "bridge")
        await started(client, "web", "bridge", HostLinks=["db:database"])
        found = (await client.get("/containers/web/json")).json
    assert found["HostConfig"]["Links"] == ["/db:/web/database"]


async def test_a_link_is_removed_by_its_name() -> None:
    async with api_client(named()) as client:
        await started(client, "db", "bridge")
        await started(client, "web", "bridge", HostLinks=["db:database"])
        removed = await client.ask("DELETE", "/containers/web/database?link=1")
        assert removed.status == 204
        assert (await client.get("/containers/web/json")).json["HostConfig"]["Links"] is None
        for name in ("web/database", "web", "no/database"):
            assert (await client.ask("DELETE", f"/containers/{name}?link=1")).status == 404


async def test_records_are_put_and_read() -> None:
    async with api_client(named()) as client:
        await client.post("/networks/create", {"Name": "shop"})
        put = await client.ask("PUT", "/linkspan/v1/networks/shop/records", {"Records": RECORDS})
        assert (put.status, put.json) == (200, {"Records": RECORDS})
        assert (await client.get("/linkspan/v1/networks/shop/records")).json == {"Records": RECORDS}
        await client.ask("PUT", "/linkspan/v1/networks/shop/records", {"Records": []})
        assert (await client.get("/linkspan/v1/networks/shop/records")).json == {"Records": []}


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ({"Name": "x", "Type": "MX", "Value": "10 mail"}, 400),
        ({"Name": "x", "Type": "A", "Value": "nonsense"}, 400),
        ({"Name": "x", "Type": "A"}, 400),
        ({"Name": "x", "Type": "A", "Value": "10.0.0.1", "TTL": -1}, 400),
    ],
)
async def test_a_bad_record_changes_nothing(record: dict[str, Any], status: int) -> None:
    async with api_client(named()) as client:
        await client.post("/networks/create", {"Name": "shop"})
        await client.ask("PUT", "/linkspan/v1/networks/shop/records", {"Records": RECORDS})
        reply = await client.ask("PUT", "/linkspan/v1/networks/shop/records", {"Records": [record]})
        assert reply.status == status, reply.body
        assert (await client.get("/linkspan/v1/networks/shop/records")).json == {"Records": RECORDS}


async def test_the_default_network_takes_no_records() -> None:
    async with api_client(named()) as client:
        reply = await client.ask("PUT", "/linkspan/v1/networks/bridge/records", {"Records": RECORDS})
        assert reply.status == 403
        assert (await client.get("/linkspan/v1/networks/nosuch/records")).status == 404


async def test_a_dry_run_of_records_changes_nothing() -> None:
    async with api_client(named()) as client:
        await client.post("/networks/create", {"Name": "shop"})
        plan = await client.ask("PUT", "/linkspan/v1/plan/networks/shop/records", {"Records": RECORDS})
        assert plan.status == 200 and plan.json["Operations"]
        assert (await client.get("/linkspan/v1/networks/shop/records")).json == {"Records": []}


async def test_dns_shows_networks_and_resolvers() -> None:
    async with api_client(named()) as client:
        await started(client, "web", Aliases=["www"])
        await started(client, "lone", "bridge")
        found = (await client.get("/linkspan/v1/dns")).json
    assert found["Enabled"] and found["HostResolver"] == "" and found["Domain"] == "linkspan"
    assert [(zone["Network"], zone["Containers"]) for zone in found["Zones"]] == [("shop", 1)]
    assert [(each["Container"], each["Forwards"]) for each in found["Resolvers"]] == [("web", True)]
    assert found["Resolvers"][0]["Names"]["shop"][:2] == ["web", "www"]


async def test_a_trace_is_asked_as_the_container() -> None:
    async with api_client(named()) as client:
        await started(client, "db", Aliases=["store"])
        await started(client, "web")
        found = (await client.get("/linkspan/v1/dns/trace?container=web&name=store")).json
    assert (found["Container"], found["Name"], found["Type"], found["Status"]) == ("web", "store", "A", "NOERROR")
    assert found["Answers"] == ["172.18.0.2"] and found["Steps"][0]["Where"] == "zones"


async def test_who_has_no_name_server_cannot_be_traced() -> None:
    async with api_client(named()) as client:
        await started(client, "lone", "bridge")
        await client.post("/containers/create?name=idle", ROOT)
        replies = [
            await client.get(f"/linkspan/v1/dns/trace?{query}")
            for query in ("container=lone&name=x", "container=idle&name=x", "container=no&name=x", "name=x")
        ]
    assert [reply.status for reply in replies] == [409, 409, 404, 400]
    assert "linkspan network connect" in replies[0].json["hint"]


async def test_status_counts_what_is_served() -> None:
    async with api_client(named()) as client:
        await started(client, "web")
        plane = (await client.get("/linkspan/v1/status")).json["DataPlane"]
    assert (plane["Resolvers"], plane["Names"], plane["Networks"]) == (1, 1, 1) and plane["Pid"] > 0


async def test_a_data_plane_that_is_silent_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> None:
        raise UnavailableError("the data plane's process does not answer", hint="see the log")

    async with api_client(named()) as client:
        monkeypatch.setattr(client.engine, "load", silent)
        found = (await client.get("/linkspan/v1/status")).json
    assert found["DataPlane"]["Pid"] == 0
    assert [(p["Subject"], p["Hint"]) for p in found["Problems"] if p["Subject"] == "data plane"] == [
        ("data plane", "see the log")
    ]

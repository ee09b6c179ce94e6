"""/networks, as clients use it: statuses and texts from the transcript."""

import json
from urllib.parse import quote

import pytest

from linkspan.model.requests import CreateSandbox
from tests.unit.api.client import ApiClient, api_client


def filtered(path: str, filters: object) -> str:
    return f"{path}?filters={quote(json.dumps(filters))}"


async def names(client: ApiClient, filters: object) -> set[str]:
    return {network["Name"] for network in (await client.get(filtered("/networks", filters))).json}


async def test_a_network_is_created_listed_inspected_and_removed() -> None:
    async with api_client() as client:
        created = await client.post("/v1.41/networks/create", {"Name": "n1", "CheckDuplicate": True})
        assert created.status == 201 and set(created.json) == {"Id", "Warning"}
        for reference in ("n1", created.json["Id"], created.json["Id"][:12]):
            assert (await client.get(f"/networks/{reference}")).json["Id"] == created.json["Id"]
        assert await names(client, {}) == {"bridge", "host", "none", "n1"}
        removed = await client.ask("DELETE", "/networks/n1")
        assert (removed.status, removed.body) == (204, b"")
        assert (await client.get("/networks/n1")).status == 404


async def test_every_wish_reaches_the_network() -> None:
    wish = {
        "Name": "n2",
        "Driver": "bridge",
        "Internal": True,
        "EnableIPv6": True,
        "IPAM": {
            "Driver": "default",
            "Config": [
                {
                    "Subnet": "10.77.0.0/24",
                    "IPRange": "10.77.0.128/25",
                    "Gateway": "10.77.0.1",
                    "AuxiliaryAddresses": {"h": "10.77.0.5"},
                },
                {"Subnet": "fd00:77::/64", "Gateway": "fd00:77::1"},
            ],
        },
        "Options": {"com.docker.network.bridge.name": "brn2", "com.docker.network.driver.mtu": "1400"},
        "Labels": {"k": "v"},
    }
    async with api_client() as client:
        await client.post("/networks/create", wish)
        found = (await client.get("/networks/n2")).json
    for field in ("Internal", "EnableIPv6", "Options", "Labels"):
        assert found[field] == wish[field]
    assert found["IPAM"]["Config"] == wish["IPAM"]["Config"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"Name": "n1"}, 409, "network with name n1 already exists"),
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network"),
        ({"Name": "nx", "Driver": "nosuch"}, 404, 'plugin "nosuch" not found'),
        ({"Name": "h2", "Driver": "host"}, 403, 'only one instance of "host" network is allowed'),
        (
            {"Name": "clash", "IPAM": {"Config": [{"Subnet": "10.77.0.0/25"}]}},
            403,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
        (
            {"Name": "b", "IPAM": {"Config": [{"Subnet": "10.79.0.1/24"}]}},
            400,
            "invalid subnet 10.79.0.1/24: it should be",
        ),
        ({"Name": "b", "IPAM": {"Config": [{"Subnet": "10.79.0.0/33"}]}}, 400, "invalid subnet 10.79.0.0/33"),
        ({"Name": "b", "IPAM": {"Driver": "nosuch"}}, 404, 'plugin "nosuch" not found'),
        ({"Name": "ov", "Driver": "overlay"}, 403, "This node is not a swarm manager."),
        ({"Name": "ov", "Scope": "global"}, 403, "This node is not a swarm manager."),
        ({"Name": "ov", "Scope": "swarm"}, 403, "cannot create a swarm scoped network when swarm is not active"),
        ({"Name": "b", "IPAM": {"Driver": "null"}}, 400, "ipv4 pool is empty"),
        ({"Name": "c", "ConfigOnly": True}, 400, "not supported"),
        ({"Name": "none of them", "EnableIPv4": False}, 400, ""),
        ({}, 400, "invalid network name"),
    ],
)
async def test_what_cannot_be_created_is_refused_in_dockers_words(body: object, status: int, message: str) -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1", "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}})
        before = await client.world.snapshot(client.engine)
        reply = await client.post("/networks/create", body)
        assert reply.status == status and message in reply.message
        assert await client.world.snapshot(client.engine) == before


async def test_clients_before_1_48_do_not_turn_ipv4_off() -> None:
    async with api_client() as client:
        await client.post("/v1.47/networks/create", {"Name": "n1", "EnableIPv4": False})
        assert (await client.get("/networks/n1")).json["EnableIPv4"] is True
        await client.post("/v1.48/networks/create", {"Name": "n2", "EnableIPv4": False, "EnableIPv6": True})
        assert (await client.get("/networks/n2")).json["EnableIPv4"] is False


async def test_a_family_can_be_enabled_by_an_option_where_the_request_says_nothing() -> None:
    option = {"com.docker.network.enable_ipv6": "true"}
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1", "Options": option})
        assert (await client.get("/networks/n1")).json["EnableIPv6"] is True
        await client.post("/networks/create", {"Name": "n2", "EnableIPv6": False, "Options": option})
        assert (await client.get("/networks/n2")).json["EnableIPv6"] is False


async def test_what_has_no_effect_is_warned_of() -> None:
    subnets = [{"Subnet": "10.79.0.0/24"}, {"Subnet": "fd00:79::/64"}]
    async with api_client() as client:
        created = await client.post("/networks/create", {"Name": "n1", "IPAM": {"Config": subnets}})
        assert created.json["Warning"].startswith("fd00:79::/64: no effect")
        created = await client.post("/networks/create", {"Name": "n2"})
        assert created.json["Warning"] == ""


async def test_what_is_only_kept_is_shown() -> None:
    wish = {"Name": "n1", "Attachable": True, "IPAM": {"Options": {"a": "b"}}}
    async with api_client() as client:
        await client.post("/networks/create", wish)
        found = (await client.get("/networks/n1")).json
    assert found["Attachable"] is True and found["IPAM"]["Options"] == {"a": "b"}


@pytest.mark.parametrize("mode", ["host", "none"])
async def test_who_has_no_endpoints_is_a_member_of_its_mode_s_network(mode: str) -> None:
    async with api_client() as client:
        box = await client.engine.apply(CreateSandbox("box", mode=mode))
        await client.engine.apply(CreateSandbox("guest", mode="container:box"))
        members = (await client.get(f"/networks/{mode}")).json["Containers"]
        assert {id: member["Name"] for id, member in members.items()} == {box.id: "box"}
        assert (await client.get("/networks/bridge")).json["Containers"] == {}


async def test_filters_take_both_forms_and_match_as_dockers() -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "app_front", "Labels": {"k": "v", "x": ""}})
        await client.post("/networks/create", {"Name": "app_back"})
        id = (await client.get("/networks/app_back")).json["Id"]
        assert await names(client, {"name": {"front": True}}) == {"app_front"}
        assert await names(client, {"name": ["^app_"]}) == {"app_front", "app_back"}
        assert await names(client, {"id": [id[:5]]}) == {"app_back"}
        assert await names(client, {"label": ["k=v", "x"]}) == {"app_front"}
        assert await names(client, {"label": ["k=v", "x=y"]}) == set()
        assert await names(client, {"driver": {"host": True, "null": True}}) == {"host", "none"}
        assert await names(client, {"type": ["custom"]}) == {"app_front", "app_back"}
        assert await names(client, {"scope": ["swarm"]}) == set()
        assert await names(client, {"dangling": ["true"]}) == {"app_front", "app_back"}
        assert await names(client, {"dangling": ["false"], "type": ["builtin"]}) == {"bridge", "host", "none"}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("{bad", "invalid filter"),
        ('{"zz":["1"]}', "invalid filter 'zz'"),
        ('{"name":1}', "invalid filter"),
        ('{"dangling":["maybe"]}', "invalid filter 'dangling=[maybe]'"),
        ('{"type":["odd"]}', "invalid filter: 'type'='odd'"),
        ('{"name":["(a+)+$"]}', "too complex"),
    ],
)
async def test_a_bad_filter_is_a_clients_mistake(filters: str, message: str) -> None:
    async with api_client() as client:
        reply = await client.get(f"/networks?filters={quote(filters)}")
    assert reply.status == 400 and message in reply.message


async def test_sandboxes_are_connected_shown_and_disconnected() -> None:
    async with api_client() as client:
        sandbox = await client.engine.apply(CreateSandbox("c1"))
        await client.post("/networks/create", {"Name": "n1", "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}})
        wish = {
            "IPAMConfig": {"IPv4Address": "10.77.0.9"},
            "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0"},
        }
        connected = await client.post("/networks/n1/connect", {"Container": "c1", "EndpointConfig": wish})
        assert (connected.status, connected.body, connected.headers["Content-Length"]) == (200, b"", "0")
        member = (await client.get("/networks/n1")).json["Containers"][sandbox.id]
        assert (member["Name"], member["IPv4Address"]) == ("c1", "10.77.0.9/24")
        assert (await client.get("/networks")).json[-1]["Containers"] == {}
        again = await client.post("/networks/n1/connect", {"Container": "c1"})
        assert (again.status, again.message) == (403, "endpoint with name c1 already exists in network n1")
        busy = await client.ask("DELETE", "/networks/n1")
        assert busy.status == 403 and busy.message.startswith(
            'error while removing network: network n1 has active endpoints (name:"c1" id:"'
        )
        assert (await client.post("/networks/n1/disconnect", {"Container": "c1"})).status == 200
        assert (await client.get("/networks/n1")).json["Containers"] == {}


async def test_connecting_what_is_not_there_is_not_found() -> None:
    async with api_client() as client:
        network = await client.post("/networks/nosuch/connect", {"Container": "c1"})
        container = await client.post("/networks/bridge/connect", {"Container": "nosuch"})
    assert (network.status, network.message) == (404, "network nosuch not found")
    assert (container.status, container.message) == (404, "No such container: nosuch")


async def test_prune_removes_what_nobody_uses() -> None:
    async with api_client() as client:
        for name, labels in (("used", {}), ("idle", {}), ("kept", {"keep": "1"})):
            await client.post("/networks/create", {"Name": name, "Labels": labels})
        await client.engine.apply(CreateSandbox("c1", networks=["used"]))
        nothing = await client.post(filtered("/networks/prune", {"label": {"zzz": True}}))
        assert nothing.json == {"NetworksDeleted": None}
        assert (await client.post(filtered("/networks/prune", {"until": ["2020-01-01"]}))).json[
            "NetworksDeleted"
        ] is None
        some = await client.post(filtered("/networks/prune", {"label!": ["keep"]}))
        assert some.json == {"NetworksDeleted": ["idle"]}
        assert (await client.post("/networks/prune")).json == {"NetworksDeleted": ["kept"]}
        assert await names(client, {"type": ["custom"]}) == {"used"}


async def test_the_daemons_options_are_for_networks_that_do_not_set_them() -> None:
    mtu = "com.docker.network.driver.mtu"
    async with api_client() as client:
        client.rooms.preferences.network_options = {"bridge": {mtu: "1400"}}
        await client.post("/networks/create", {"Name": "n1"})
        await client.post("/networks/create", {"Name": "n2", "Options": {mtu: "1300"}})
        shown = [(await client.get(f"/networks/{name}")).json["Options"] for name in ("n1", "n2")]
    assert shown == [{mtu: "1400"}, {mtu: "1300"}]

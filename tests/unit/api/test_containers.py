"""/containers, as clients use it."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.patience import PATIENCE
from tests.unit.api.client import ApiClient, Reply, api_client


@pytest.fixture
def rootfs(tmp_path: Path) -> str:
    return str(tmp_path)


async def created(client: ApiClient, rootfs: str, name: str, *argv: str, **fields: Any) -> str:
    body = {"Rootfs": rootfs, "Cmd": list(argv) or ["cat"], **fields}
    reply = await client.post(f"/v1.51/containers/create?name={name}", body)
    assert reply.status == 201, reply.body
    id: str = reply.json["Id"]
    return id


async def running(client: ApiClient, rootfs: str, name: str, *argv: str, **fields: Any) -> str:
    id = await created(client, rootfs, name, *argv, **fields)
    assert (await client.post(f"/containers/{name}/start")).status == 204
    return id


async def listed(client: ApiClient, filters: object = None, **query: str) -> list[str]:
    pairs = [f"{key}={value}" for key, value in query.items()]
    if filters is not None:
        pairs.append(f"filters={quote(json.dumps(filters))}")
    reply = await client.get(f"/containers/json?{'&'.join(pairs)}")
    assert reply.status == 200, reply.body
    return [name for item in reply.json for name in item["Names"]]


async def test_a_life(rootfs: str) -> None:
    async with api_client() as client:
        id = await created(client, rootfs, "c1")
        assert (await client.get("/containers/c1/json")).json["State"] == {
            "Status": "created",
            "Running": False,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 0,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": "0001-01-01T00:00:00Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
        }
        statuses = [
            (await client.post(f"/containers/{path}")).status
            for path in ("c1/start", "c1/start", "c1/rename?name=c2", "c2/restart?t=0", "c2/stop?t=1", "c2/stop")
        ]
        assert statuses == [204, 304, 204, 204, 204, 304]
        assert (await client.get(f"/containers/{id[:8]}/json")).json["Name"] == "/c2"
        assert (await client.ask("DELETE", "/containers/c2?v=1")).status == 204
        assert (await client.get("/containers/c2/json")).message == "No such container: c2"


async def test_a_running_container_is_shown_with_its_network(rootfs: str) -> None:
    async with api_client() as client:
        bindings = {"80/tcp": [{"HostPort": "8080"}], "81/udp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}]}
        id = await running(client, rootfs, "c1", ExposedPorts={"7000/tcp": {}}, HostConfig={"PortBindings": bindings})
        body = (await client.get("/containers/c1/json")).json
        item = (await client.get("/containers/json")).json[0]
        member = (await client.get("/networks/bridge")).json["Containers"]
        endpoint = client.engine.sandboxes[id].endpoints[0]
    settings = body["NetworkSettings"]
    assert settings["Ports"] == {
        "7000/tcp": None,
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
        "81/udp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}],
    }
    expected = {
        "NetworkID": endpoint.network,
        "EndpointID": endpoint.id,
        "Gateway": "172.17.0.1",
        "IPAddress": "172.17.0.2",
        "IPPrefixLen": 16,
        "MacAddress": endpoint.mac,
        "GlobalIPv6Address": "",
        "IPAMConfig": None,
    }
    assert expected.items() <= settings["Networks"]["bridge"].items()
    legacy = {key: value for key, value in expected.items() if key not in ("NetworkID", "IPAMConfig")}
    assert legacy.items() <= settings.items() and settings["SandboxID"] == id
    assert body["HostConfig"]["PortBindings"]["80/tcp"] == [{"HostIp": "", "HostPort": "8080"}]
    assert item["Ports"] == [
        {"PrivatePort": 7000, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 81, "PublicPort": 8081, "Type": "udp"},
    ]
    assert member == {
        id: {
            "Name": "c1",
            "EndpointID": endpoint.id,
            "MacAddress": endpoint.mac,
            "IPv4Address": "172.17.0.2/16",
            "IPv6Address": "",
        }
    }


async def test_a_stopped_container_keeps_its_wishes_and_shows_no_addresses(rootfs: str) -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "int1", "IPAM": {"Config": [{"Subnet": "10.92.0.0/24"}]}})
        endpoints = {"int1": {"IPAMConfig": {"IPv4Address": "10.92.0.50"}}}
        await running(
            client,
            rootfs,
            "s1",
            HostConfig={"NetworkMode": "int1"},
            NetworkingConfig={"EndpointsConfig": endpoints},
        )
        network = (await client.get("/networks/int1")).json["Id"]
        await client.post("/containers/s1/stop")
        settings = (await client.get("/containers/s1/json")).json["NetworkSettings"]
        assert (await client.get("/networks/int1")).json["Containers"] == {}
    assert settings["Ports"] == {}
    assert settings["Networks"]["int1"] == {
        "IPAMConfig": {"IPv4Address": "10.92.0.50"},
        "Links": None,
        "Aliases": None,
        "MacAddress": "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": network,
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


async def test_networks_are_joined_and_left_through_containers(rootfs: str) -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1"})
        id = await running(client, rootfs, "c1")
        assert (await client.post("/networks/n1/connect", {"Container": "c1"})).status == 200
        assert list((await client.get("/containers/c1/json")).json["NetworkSettings"]["Networks"]) == ["bridge", "n1"]
        again = await client.post("/networks/n1/connect", {"Container": id[:12]})
        assert (again.status, again.message) == (403, "endpoint with name c1 already exists in network n1")
        assert (await client.post("/networks/n1/disconnect", {"Container": "c1"})).status == 200
        stopped = await client.post("/linkspan/v1/plan/networks/n1/connect", {"Container": "c1"})
        assert stopped.json["Operations"]


async def test_a_container_that_does_not_run_only_remembers_its_networks(rootfs: str) -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1"})
        await created(client, rootfs, "c1")
        plan = await client.post("/linkspan/v1/plan/networks/n1/connect", {"Container": "c1"})
        assert plan.json == {"Operations": [], "Lines": []}
        assert (await client.post("/networks/n1/connect", {"Container": "c1"})).status == 200
        assert list((await client.get("/containers/c1/json")).json["NetworkSettings"]["Networks"]) == ["bridge", "n1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        (
            "POST",
            "containers/create?name=c1",
            {"Rootfs": "ROOT", "Cmd": ["x"]},
            409,
            'The container name "/c1" is already',
        ),
        ("POST", "containers/create?name=w", {"Rootfs": "ROOT", "Cmd": ["x"]}, 400, "Invalid container name (w), only"),
        ("POST", "containers/create", {"Image": "busybox"}, 404, "No such image: busybox:latest"),
        ("POST", "containers/create", {}, 400, "Config cannot be empty in order to create a container"),
        ("POST", "containers/create", {"Rootfs": "ROOT"}, 400, "no command specified"),
        ("POST", "containers/create", {"Rootfs": "/nosuch", "Cmd": ["x"]}, 400, "invalid rootfs"),
        (
            "POST",
            "containers/create",
            {
                "Rootfs": "ROOT",
                "Cmd": ["x"],
                "HostConfig": {"NetworkMode": "container:c1", "PortBindings": {"80/tcp": [{"HostPort": "80"}]}},
            },
            400,
            "conflicting options: port publishing and the container type network mode",
        ),
        ("POST", "containers/nosuch/start", None, 404, "No such container: nosuch"),
        ("POST", "containers/nosuch/stop", None, 404, "No such container: nosuch"),
        ("POST", "containers/c1/stop?t=x", None, 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("POST", "containers/c1/kill", None, 409, "cannot kill container: c1: container"),
        ("POST", "containers/c1/kill?signal=ODD", None, 400, ""),
        ("POST", "containers/c1/wait?condition=odd", None, 400, 'invalid condition: "odd"'),
        ("POST", "containers/c1/rename", None, 400, "Neither old nor new names may be empty"),
        ("POST", "containers/c1/resize?h=1&w=x", None, 400, "invalid syntax"),
        ("POST", "containers/c1/resize?h=70000&w=1", None, 400, "invalid size"),
        ("POST", "containers/c1/exec", {"Cmd": ["x"]}, 409, "is not running"),
        ("POST", "containers/c1/attach?detachKeys=ctrl-%F0", None, 400, "Invalid detach keys"),
        ("GET", "containers/c1/logs", None, 400, "Bad parameters: you must choose at least one stream"),
        ("GET", "containers/c1/logs?stdout=1&since=x", None, 400, "not a time"),
        ("GET", "exec/nosuch/json", None, 404, "No such exec instance: nosuch"),
        ("POST", "exec/nosuch/start", {}, 404, "No such exec instance: nosuch"),
        ("DELETE", "containers/nosuch", None, 404, "No such container: nosuch"),
        ("GET", 'containers/json?filters={"status":["odd"]}', None, 400, "invalid filter 'status=odd'"),
        ("GET", 'containers/json?filters={"before":["nosuch"]}', None, 404, "No such container: nosuch"),
        ("GET", 'containers/json?filters={"health":["odd"]}', None, 400, "unrecognised filter value for health: odd"),
        ("GET", 'containers/json?filters={"is-task":["x"]}', None, 400, "invalid filter 'is-task=[x]'"),
        ("GET", "containers/json?limit=x", None, 400, "invalid syntax"),
    ],
)
async def test_what_cannot_be_is_refused_in_dockers_words(
    method: str, path: str, body: object, status: int, message: str, rootfs: str
) -> None:
    async with api_client() as client:
        await created(client, rootfs, "c1")
        before = (client.containers.content(), await client.world.snapshot(client.engine))
        text = json.dumps(body).replace("ROOT", rootfs)
        reply = await client.ask(method, f"/v1.51/{quote(path, safe='/?=&%')}", json.loads(text))
        assert reply.status == status and message in reply.message
        assert (client.containers.content(), await client.world.snapshot(client.engine)) == before


async def test_a_port_that_is_taken_is_500_as_in_docker(rootfs: str) -> None:
    async with api_client() as client:
        host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
        await running(client, rootfs, "p1", HostConfig=host)
        await created(client, rootfs, "p2", HostConfig=host)
        reply = await client.post("/containers/p2/start")
    assert reply.status == 500 and "Bind for 0.0.0.0:8080 failed: port is already allocated" in reply.message


async def test_that_all_ports_are_published_is_shown_apart_from_those_that_are_by_name(rootfs: str) -> None:
    async with api_client() as client:
        bindings = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
        host = {"PortBindings": bindings, "PublishAllPorts": True}
        await running(client, rootfs, "all", HostConfig=host, ExposedPorts={"80/tcp": {}, "90/tcp": {}})
        body = (await client.get("/containers/all/json")).json
    assert (body["HostConfig"]["PublishAllPorts"], body["HostConfig"]["PortBindings"]) == (True, bindings)
    assert body["NetworkSettings"]["Ports"]["90/tcp"]


async def test_a_list_quotes_words_with_spaces_as_docker_does(rootfs: str) -> None:
    async with api_client() as client:
        await created(client, rootfs, "words", "echo", "it's", 'a "b" c', "")
        assert (await client.get("/containers/json?all=1")).json[0]["Command"] == "echo it's 'a \"b\" c' "


async def test_lists_are_filtered_as_dockers(rootfs: str) -> None:
    async with api_client() as client:
        await client.post("/networks/create", {"Name": "n1"})
        await created(client, rootfs, "old", Labels={"k": "v"})
        host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}, "NetworkMode": "n1"}
        web = await running(client, rootfs, "web", Labels={"k": "w"}, HostConfig=host, ExposedPorts={"7000/tcp": {}})
        await running(client, rootfs, "gone", "exit", "3")
        assert await listed(client) == ["/web"]
        assert await listed(client, all="1") == ["/gone", "/web", "/old"]
        assert await listed(client, limit="2") == ["/gone", "/web"]
        assert await listed(client, limit="-1", all="0") == ["/web"]
        for filters, names in (
            ({"label": ["k"]}, ["/web", "/old"]),
            ({"label": {"k=v": True}}, ["/old"]),
            ({"name": ["^/we"]}, ["/web"]),
            ({"id": [web[:10]]}, ["/web"]),
            ({"status": ["created", "exited"]}, ["/gone", "/old"]),
            ({"exited": ["3"]}, ["/gone"]),
            ({"exited": ["0"]}, []),
            ({"network": ["n1"]}, ["/web"]),
            ({"publish": ["8080"]}, ["/web"]),
            ({"publish": ["8080/udp"]}, []),
            ({"publish": ["80"]}, []),
            ({"expose": ["80"]}, ["/web"]),
            ({"isolation": ["default"]}, ["/gone", "/web", "/old"]),
            ({"is-task": ["true"]}, []),
            ({"expose": ["7000-7001/tcp"]}, ["/web"]),
            ({"ancestor": [rootfs]}, ["/gone", "/web", "/old"]),
            ({"before": ["web"]}, ["/old"]),
            ({"since": ["web"]}, ["/gone"]),
            ({"health": ["healthy"]}, []),
            ({"volume": ["/data"]}, []),
        ):
            assert await listed(client, filters, all="1") == names, filters


async def test_prune_removes_what_does_not_run(rootfs: str) -> None:
    async with api_client() as client:
        old = await created(client, rootfs, "old")
        await running(client, rootfs, "web")
        assert (await client.post("/containers/prune")).json == {"ContainersDeleted": [old], "SpaceReclaimed": 10}
        assert (await client.post("/containers/prune")).json == {"ContainersDeleted": None, "SpaceReclaimed": 0}
        assert await listed(client, all="1") == ["/web"]


async def test_wait_sends_its_head_before_the_container_has_ended(rootfs: str) -> None:
    async with api_client() as client:
        await created(client, rootfs, "c1")
        async with client.session.post("http://api/containers/c1/wait?condition=next-exit") as reply:
            assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
            await client.post("/containers/c1/start")
            await client.containers.end("c1", 3)
            async with asyncio.timeout(PATIENCE):
                assert await reply.json() == {"Error": None, "StatusCode": 3}
        over = await client.post("/containers/c1/wait")
        assert over.body == b'{"Error":null,"StatusCode":3}\n'


async def test_wait_for_removal_answers_when_it_is_gone(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs, "c1", HostConfig={"AutoRemove": True})
        async with client.session.post("http://api/containers/c1/wait?condition=removed") as reply:
            await client.containers.end("c1", 0)
            async with asyncio.timeout(PATIENCE):
                assert (await reply.json())["StatusCode"] == 0
        assert (await client.get("/containers/c1/json")).status == 404


async def test_a_change_is_finished_when_its_client_has_gone(rootfs: str) -> None:
    async with api_client() as client:
        await created(client, rootfs, "c1")
        reader, writer = await asyncio.open_unix_connection(client.path)
        events = client.engine.events()
        writer.write(b"POST /containers/c1/start HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if (event.type, event.action) == ("container", "start"):
                    break
        assert await listed(client) == ["/c1"]
        assert await reader.read() == b""


async def test_logs_are_framed_and_stamped(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs, "c1", "say", "started")
        client.containers.write("c1", 2, b"wrong\n")
        both: Reply = await client.get("/containers/c1/logs?stdout=1&stderr=1")
        assert both.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"
        assert both.body == b"\x01\0\0\0\0\0\0\x08started\n\x02\0\0\0\0\0\0\x06wrong\n"
        assert (await client.get("/containers/c1/logs?stderr=1&tail=1")).body == b"\x02\0\0\0\0\0\0\x06wrong\n"
        stamped = await client.get("/containers/c1/logs?stdout=1&timestamps=1&tail=all")
        assert stamped.body[8:] == b"2026-01-01T00:00:00.000000000Z started\n"
        older = await client.get("/v1.41/containers/c1/logs?stdout=1")
        assert older.headers["Content-Type"] == "application/vnd.docker.raw-stream"


async def test_the_daemons_resolvers_are_for_containers_that_name_none(rootfs: str) -> None:
    async with api_client() as client:
        client.rooms.preferences.dns = ("192.0.2.53",)
        client.rooms.preferences.dns_search = ("x.test",)
        await created(client, rootfs, "c1")
        await created(client, rootfs, "c2", HostConfig={"Dns": ["192.0.2.54"]})
        await created(client, rootfs, "c3", HostConfig={"NetworkMode": "container:c1"})
        hosts = [(await client.get(f"/containers/{name}/json")).json["HostConfig"] for name in ("c1", "c2", "c3")]
    assert [host["Dns"] for host in hosts] == [["192.0.2.53"], ["192.0.2.54"], []]
    assert [host["DnsSearch"] for host in hosts] == [["x.test"], ["x.test"], []]

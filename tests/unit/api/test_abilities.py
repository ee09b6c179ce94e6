"""Pause, update, top, stats, copied files and volumes, over the API."""

import base64
import json
from pathlib import Path

import pytest

from tests.unit.api.client import ApiClient, api_client


@pytest.fixture
def rootfs(tmp_path: Path) -> str:
    return str(tmp_path)


async def running(client: ApiClient, rootfs: str, name: str = "web", **host: object) -> str:
    body = {"Rootfs": rootfs, "Cmd": ["cat"], "HostConfig": host}
    id: str = (await client.post(f"/containers/create?name={name}", body)).json["Id"]
    await client.post(f"/containers/{id}/start")
    return id


async def test_a_paused_container_is_shown_as_one_and_goes_on(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        assert (await client.post("/containers/web/pause")).status == 204
        state = (await client.get("/containers/web/json")).json["State"]
        assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
        row = (await client.get("/containers/json")).json[0]
        assert row["State"] == "paused" and row["Status"].endswith("(Paused)")
        assert (await client.post("/containers/web/pause")).status == 409
        assert (await client.post("/containers/web/unpause")).status == 204
        assert (await client.post("/containers/web/unpause")).status == 409


async def test_an_update_changes_what_it_names(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs, Memory=64 << 20, PidsLimit=10)
        reply = await client.post(
            "/containers/web/update",
            {"Memory": 128 << 20, "MemorySwap": 256 << 20, "RestartPolicy": {"Name": "always"}, "PidsLimit": None},
        )
        assert (reply.status, reply.json) == (200, {"Warnings": None})
        host = (await client.get("/containers/web/json")).json["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (128 << 20, 256 << 20, 10)
        assert host["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}


async def test_an_update_that_does_not_fit_is_refused(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs, Memory=64 << 20)
        reply = await client.post("/containers/web/update", {"Memory": 1024})
        assert (reply.status, reply.message) == (400, "Minimum memory limit allowed is 6MB")


async def test_the_processes_of_a_container(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        assert (await client.get("/containers/web/top")).json == {
            "Titles": ["UID", "PID", "CMD"],
            "Processes": [["root", "7", "httpd -f"], ["root", "8", "sleep 1"]],
        }
        assert (await client.get("/containers/web/top?ps_args=odd")).status == 400


async def test_one_answer_about_usage_holds_two_measurements(rootfs: str) -> None:
    async with api_client() as client:
        id = await running(client, rootfs)
        found = (await client.get("/containers/web/stats?stream=0")).json
        assert (found["name"], found["id"], found["pids_stats"]) == ("/web", id, {"current": 3, "limit": 50})
        assert found["cpu_stats"]["cpu_usage"]["total_usage"] == 2_000_000_000
        assert found["precpu_stats"]["system_cpu_usage"] == 4_000_000_000
        assert found["memory_stats"]["limit"] == 64 << 20
        assert found["networks"]["eth0"]["tx_bytes"] == 2000


async def test_a_stream_about_usage_has_a_line_for_each_measurement(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        lines = (await client.get("/containers/web/stats")).body.splitlines()
        first, second = map(json.loads, lines)
        assert first["preread"].startswith("0001-01-01") and second["preread"] == first["read"]


async def test_what_does_not_run_uses_nothing(rootfs: str) -> None:
    async with api_client() as client:
        await client.post("/containers/create?name=idle", {"Rootfs": rootfs, "Cmd": ["cat"]})
        found = (await client.get("/containers/idle/stats?stream=false")).json
        assert found["read"].startswith("0001-01-01") and found["memory_stats"] == {}


async def test_a_path_is_described_in_a_header(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        reply = await client.ask("HEAD", "/containers/web/archive?path=/etc/motd")
        described = json.loads(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))
        assert described == {
            "name": "motd",
            "size": 6,
            "mode": 0o644,
            "mtime": "2026-01-01T00:00:00Z",
            "linkTarget": "",
        }


async def test_files_come_out_and_go_in_as_archives(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        reply = await client.get("/containers/web/archive?path=/etc/motd")
        assert (reply.headers["Content-Type"], reply.body) == ("application/x-tar", b"a tar archive")
        reply = await client.ask("PUT", "/containers/web/archive?path=/tmp", data=b"an archive")
        assert (reply.status, client.containers.archives.unpacked) == (200, b"an archive")
        assert (await client.get("/containers/web/export")).body == b"everything"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/containers/web/archive?path=/nosuch", 404),
        ("GET", "/containers/web/archive", 400),
        ("PUT", "/containers/web/archive?path=/etc/motd", 400),
        ("GET", "/containers/nosuch/changes", 404),
    ],
)
async def test_files_that_are_not_there(rootfs: str, method: str, path: str, status: int) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        assert (await client.ask(method, path)).status == status


async def test_changes_are_numbered(rootfs: str) -> None:
    async with api_client() as client:
        await running(client, rootfs)
        found = (await client.get("/containers/web/changes")).json
        assert found == [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/motd", "Kind": 1}]


async def test_a_volume_lives_and_goes() -> None:
    async with api_client() as client:
        made = await client.post("/volumes/create", {"Name": "vv", "Labels": {"a": "b"}})
        assert made.status == 201
        assert made.json["Mountpoint"].endswith("/volumes/vv/_data")
        assert (await client.get("/volumes/vv")).json == made.json
        assert (await client.get('/volumes?filters={"label":["a=b"]}')).json["Volumes"] == [made.json]
        assert (await client.get('/volumes?filters={"label":["a=c"]}')).json["Volumes"] == []
        assert (await client.ask("DELETE", "/volumes/vv")).status == 204
        gone = await client.get("/volumes/vv")
        assert (gone.status, gone.message) == (404, "get vv: no such volume")


async def test_a_volume_that_a_container_has_is_not_removed(rootfs: str) -> None:
    async with api_client() as client:
        id = await running(client, rootfs, Binds=["v1:/data"])
        reply = await client.ask("DELETE", "/volumes/v1?force=1")
        assert (reply.status, reply.message) == (409, f"remove v1: volume is in use - [{id}]")
        assert (await client.get('/volumes?filters={"dangling":["true"]}')).json["Volumes"] == []
        points = (await client.get("/containers/web/json")).json["Mounts"]
        assert [(each["Type"], each["Name"], each["Destination"]) for each in points] == [("volume", "v1", "/data")]


async def test_prune_takes_volumes_without_a_name_and_all_when_asked() -> None:
    async with api_client() as client:
        await client.post("/volumes/create", {"Name": "named"})
        nameless = (await client.post("/volumes/create", {})).json
        assert nameless["Labels"] == {"com.docker.volume.anonymous": ""}
        assert (await client.post("/volumes/prune")).json["VolumesDeleted"] == [nameless["Name"]]
        assert (await client.post('/volumes/prune?filters={"all":["1"]}')).json["VolumesDeleted"] == ["named"]
        assert (await client.post("/volumes/prune")).json == {"VolumesDeleted": None, "SpaceReclaimed": 0}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"Name": "a b"}, 400),
        ({"Name": "a/b"}, 400),
        ({"Name": ".."}, 400),
        ({"Name": "vv", "Driver": "nfs"}, 404),
        ({"Name": "vv", "DriverOpts": {"odd": "x"}}, 400),
        ({"Name": "vv", "DriverOpts": {"type": "tmpfs"}}, 400),
    ],
)
async def test_a_volume_that_cannot_be_is_refused(body: dict[str, object], status: int) -> None:
    async with api_client() as client:
        assert (await client.post("/volumes/create", body)).status == status
        assert (await client.get("/volumes")).json["Volumes"] == []

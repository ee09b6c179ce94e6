"""POST /build as the classic builder answers, and /system/df."""

import base64
import json
from urllib.parse import urlencode

import pytest

from linkspan.model.images import Credentials
from tests.support.images import Entry, Picture, archive, layer
from tests.unit.api.client import ApiClient, Reply, api_client
from tests.unit.images.test_building import context

FILES = {"Dockerfile": "FROM scratch\nCOPY a /b", "a": "text"}
TAR = {"Content-Type": "application/x-tar"}


async def build(client: ApiClient, query: object = (), files: dict[str, str] | None = None) -> Reply:
    path = f"/build?{urlencode(query)}"  # type: ignore[arg-type]
    return await client.ask("POST", path, data=context(FILES if files is None else files), headers=TAR)


def messages(reply: Reply) -> list[dict[str, object]]:
    return [json.loads(line) for line in reply.body.splitlines()]


async def test_the_stream_is_that_of_the_classic_builder() -> None:
    async with api_client() as client:
        reply = await build(client, [("t", "my:1"), ("t", "other")])
        id = client.rooms.images.get("my:1").id
        assert reply.status == 200 and messages(reply) == [
            {"stream": "Step 1/2 : FROM scratch\n"},
            {"stream": "Step 2/2 : COPY a /b\n"},
            {"stream": f" ---> {id[7:19]}\n"},
            {"aux": {"ID": id}},
            {"stream": f"Successfully built {id[7:19]}\n"},
            {"stream": "Successfully tagged my:1\n"},
            {"stream": "Successfully tagged other:latest\n"},
        ]


async def test_quietly_only_the_id_is_told() -> None:
    async with api_client() as client:
        reply = await build(client, {"q": "1", "t": "my"})
        assert messages(reply) == [{"stream": f"{client.rooms.images.get('my').id}\n"}]


async def test_what_fails_is_told_with_the_exit_status() -> None:
    async with api_client() as client:
        reply = await build(client, files={"Dockerfile": "FROM scratch\nRUN false"})
        text = "The command '/bin/sh -c false' returned a non-zero code: 1"
        assert reply.status == 200
        assert messages(reply)[-1] == {"errorDetail": {"code": 1, "message": text}, "error": text}


async def test_the_query_is_read() -> None:
    async with api_client() as client:
        query = {
            "dockerfile": "Dockerfile",
            "buildargs": '{"A":"1","B":null}',
            "labels": '{"k":"v"}',
            "target": "one",
            "networkmode": "none",
            "nocache": "1",
            "pull": "1",
            "extrahosts": "h:1.2.3.4",
            "ulimits": '[{"Name":"nofile","Soft":1,"Hard":2}]',
            "platform": "linux/amd64",
        }
        identities = {"registry.test": {"username": "ann", "password": "p"}, "https://index.docker.io/v1/": {}}
        header = base64.urlsafe_b64encode(json.dumps(identities).encode()).decode()
        path = f"/build?{urlencode(query)}"
        reply = await client.ask("POST", path, data=context(FILES), headers={**TAR, "X-Registry-Config": header})
        assert reply.status == 200
        (request,) = client.gallery.builder.requests
        assert request.arguments == {"A": "1"} and request.labels == {"k": "v"} and request.hosts == ("h:1.2.3.4",)
        assert (request.target, request.network, request.platform) == ("one", "none", "linux/amd64")
        assert request.no_cache and request.pull and request.ulimits == ("nofile=1:2",)
        assert request.identities == {"registry.test": Credentials("ann", "p", "", "")}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"remote": "https://example.test/x.git"}, 400),
        ({"version": "2"}, 501),
        ({"networkmode": "--x"}, 400),
        ({"ulimits": "["}, 400),
        ({"squash": "1"}, 400),
        ({"t": "INVALID"}, 400),
        ({"buildargs": "["}, 400),
        ({"buildargs": '{"--squash":"1"}'}, 400),
        ({"target": "--squash"}, 400),
        ({"platform": "--x"}, 400),
        ({"extrahosts": "h"}, 400),
        ({"dockerfile": "\0"}, 400),
        ({"dockerfile": "nosuch"}, 400),
    ],
)
async def test_what_cannot_be_is_refused_before_the_stream(query: dict[str, str], status: int) -> None:
    async with api_client() as client:
        reply = await build(client, query)
        assert reply.status == status and reply.message
        assert not client.rooms.images.all()


async def test_without_the_program_the_answer_names_its_package() -> None:
    async with api_client() as client:
        client.gallery.builder.missing = True
        reply = await build(client)
        assert reply.status == 501 and "buildah" in reply.message


async def test_disk_usage_counts_what_images_share() -> None:
    below = layer(Entry("a", b"12345"))
    one, two = Picture([below, layer(Entry("b", b"1"))]), Picture([below, layer(Entry("c", b"22"))])
    async with api_client() as client:
        await client.ask("POST", "/images/load", data=archive([(one, ["one"]), (two, ["two"])]), headers=TAR)
        await client.post("/volumes/create", {"Name": "v1"})
        await client.post(
            "/containers/create?name=c1", {"Image": "one", "Cmd": ["cat"], "HostConfig": {"Binds": ["v1:/v"]}}
        )
        await build(client)
        found = (await client.get("/system/df")).json
        by_tag = {item["RepoTags"][0]: item for item in found["Images"] if item["RepoTags"]}
        assert found["LayersSize"] == 12
        assert [by_tag[name]["SharedSize"] for name in ("one:latest", "two:latest")] == [5, 5]
        assert [by_tag[name]["Containers"] for name in ("one:latest", "two:latest")] == [1, 0]
        assert found["Containers"][0]["Names"] == ["/c1"] and "SizeRootFs" in found["Containers"][0]
        assert found["Volumes"][0]["UsageData"]["RefCount"] == 1
        assert found["BuildCache"][0]["Size"] == found["BuilderSize"] == 8


async def test_disk_usage_of_one_kind_alone() -> None:
    async with api_client() as client:
        found = (await client.get("/system/df?type=volume")).json
        assert found["Volumes"] == [] and found["Images"] is None and found["BuildCache"] is None
        assert (await client.get("/system/df?type=nosuch")).status == 400


async def test_what_builds_keep_is_pruned() -> None:
    async with api_client() as client:
        await build(client)
        long_ago = urlencode({"filters": '{"until":["1h"]}'})
        assert (await client.post(f"/build/prune?{long_ago}")).json == {"CachesDeleted": None, "SpaceReclaimed": 0}
        assert (await client.post("/build/prune?all=1")).json == {"CachesDeleted": ["buildah"], "SpaceReclaimed": 8}
        assert (await client.post("/build/prune")).json == {"CachesDeleted": None, "SpaceReclaimed": 0}
        assert (await client.get("/system/df")).json["BuildCache"] == []

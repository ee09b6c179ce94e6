"""/images, /auth and /distribution, on a registry in memory."""

import base64
import json
from typing import Any

import pytest

from tests.support.images import Entry, Picture, archive, digest, layer
from tests.unit.api.client import ApiClient, Reply, api_client

ONE = Picture([layer(Entry("bin/say"))], config={"Cmd": ["say", "one"], "Labels": {"k": "v"}, "Env": ["A=b"]})
TWO = Picture([layer(Entry("bin/other"))], created="2025-01-01T00:00:00Z")
TOOL = "registry.test/tool:1"


async def load(at: ApiClient, *pictures: tuple[Picture, list[str]]) -> Reply:
    return await at.ask("POST", "/images/load?quiet=1", data=archive(pictures))


def said(reply: Reply) -> list[Any]:
    return [json.loads(line) for line in reply.body.splitlines()]


async def test_load_says_what_it_loaded() -> None:
    async with api_client() as at:
        reply = await load(at, (ONE, ["one:1", "one:2"]), (TWO, []))
        assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
        assert said(reply) == [
            {"stream": "Loaded image: one:1\n"},
            {"stream": "Loaded image: one:2\n"},
            {"stream": f"Loaded image ID: {TWO.id}\n"},
        ]
        again = await load(at, (TWO, ["one:1"]))
        old = f"The image one:1 already exists, renaming the old one with ID {ONE.id} to empty string\n"
        assert said(again)[0] == {"stream": old}


async def test_an_archive_that_is_none_is_an_error_in_the_stream() -> None:
    async with api_client() as at:
        reply = await at.ask("POST", "/images/load", data=b"junk")
        (message,) = said(reply)
        assert reply.status == 200 and message["error"] == message["errorDetail"]["message"]
        assert message["error"].startswith("invalid archive")


async def test_the_list_shows_the_newest_first() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]), (TWO, []))
        new, old = (await at.get("/images/json")).json
        assert new["Id"] == TWO.id and new["RepoTags"] == [] and new["RepoDigests"] == []
        assert old == {
            "Containers": -1,
            "Created": 1704067200,
            "Id": ONE.id,
            "Labels": {"k": "v"},
            "ParentId": "",
            "RepoDigests": [],
            "RepoTags": ["one:1"],
            "SharedSize": -1,
            "Size": 0,
        }


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"dangling": ["true"]}, [TWO.id]),
        ({"dangling": {"false": True}}, [ONE.id]),
        ({"label": ["k=v"]}, [ONE.id]),
        ({"reference": ["one"]}, [ONE.id]),
        ({"reference": ["o*:?"]}, [ONE.id]),
        ({"reference": ["two*"]}, []),
        ({"reference": ["*/one"]}, []),
        ({"since": ["one:1"]}, [TWO.id]),
        ({"before": [TWO.id]}, [ONE.id]),
        ({"until": ["2024-06-01T00:00:00Z"]}, [ONE.id]),
    ],
)
async def test_the_list_can_be_narrowed(filters: Any, expected: list[str]) -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]), (TWO, []))
        text = json.dumps(filters).replace('"', "%22").replace(" ", "%20")
        assert [each["Id"] for each in (await at.get(f"/images/json?filters={text}")).json] == expected


async def test_inspect_shows_the_image() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]))
        found = (await at.get("/images/one:1/json")).json
        assert (found["Id"], found["RepoTags"], found["Architecture"], found["Os"]) == (
            ONE.id,
            ["one:1"],
            "amd64",
            "linux",
        )
        assert found["RootFS"] == {"Type": "layers", "Layers": [digest(ONE.layers[0])]}
        assert found["Config"] == {"Cmd": ["say", "one"], "Labels": {"k": "v"}, "Env": ["A=b"]}
        assert found["Created"] == "2024-01-01T00:00:00Z"
        old = (await at.get("/v1.41/images/one:1/json")).json
        assert old["Config"]["Entrypoint"] is None and old["VirtualSize"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/images/nosuch/json", 404, "No such image: nosuch:latest"),
        ("GET", "/images/nosuch/history", 404, "No such image: nosuch:latest"),
        ("DELETE", "/images/nosuch", 404, "No such image: nosuch:latest"),
        ("POST", "/images/nosuch/tag?repo=x", 404, "No such image: nosuch:latest"),
        ("GET", "/images/get?names=nosuch", 404, "No such image: nosuch"),
        ("GET", "/images/a..b/json", 400, "invalid reference format"),
        ("POST", "/images/create?fromImage=UPPER", 400, "must be lowercase"),
        ("POST", "/images/create?fromImage=registry.test/no&tag=1", 404, "manifest for registry.test/no:1 not found"),
        ("POST", "/images/create", 400, "fromSrc"),
    ],
)
async def test_what_cannot_be_is_refused_in_docker_s_words(method: str, path: str, status: int, message: str) -> None:
    async with api_client() as at:
        reply = await at.ask(method, path)
        assert reply.status == status and message in reply.message


async def test_a_push_names_the_repository_before_it_fails() -> None:
    async with api_client() as at:
        lines = said(await at.ask("POST", "/images/registry.test/x/push"))
        assert lines[0] == {"status": "The push refers to repository [registry.test/x]"}
        assert lines[1]["error"] == "An image does not exist locally with the tag: registry.test/x"


async def test_history_shows_the_last_step_first() -> None:
    picture = Picture([layer(Entry("a", b"1")), layer(Entry("b", b"22"))])
    async with api_client() as at:
        await load(at, (picture, ["x:1"]))
        last, first = (await at.get("/images/x:1/history")).json
        assert (last["Id"], last["CreatedBy"], last["Size"], last["Tags"]) == (picture.id, "step 1", 2, ["x:1"])
        assert (first["Id"], first["CreatedBy"], first["Size"], first["Tags"]) == ("<missing>", "step 0", 1, None)


async def test_a_tag_is_made_and_removed() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]))
        assert (await at.post("/images/one:1/tag?repo=docker.io/library/two&tag=x")).status == 201
        assert (await at.get("/images/two:x/json")).json["Id"] == ONE.id
        reply = await at.ask("DELETE", "/images/two:x")
        assert (reply.status, reply.json) == (200, [{"Untagged": "two:x"}])
        reply = await at.ask("DELETE", "/images/one:1")
        assert reply.json == [{"Untagged": "one:1"}, {"Deleted": ONE.id}]


async def test_a_pull_streams_messages_that_the_command_draws() -> None:
    async with api_client() as at:
        found = at.gallery.registry.put(ONE, TOOL)
        reply = await at.post("/images/create?fromImage=registry.test/tool&tag=1")
        messages = said(reply)
        short = digest(ONE.packed()[0])[7:19]
        assert reply.status == 200
        assert messages[0] == {"status": "Pulling from tool", "progressDetail": {}, "id": "1"}
        assert messages[1] == {"status": "Pulling fs layer", "progressDetail": {}, "id": short}
        assert messages[-2:] == [
            {"status": f"Digest: {found}"},
            {"status": f"Status: Downloaded newer image for {TOOL}"},
        ]


async def test_without_a_tag_every_one_is_pulled() -> None:
    async with api_client() as at:
        at.gallery.registry.put(ONE, "registry.test/tool:1", "registry.test/tool:2")
        await at.post("/images/create?fromImage=registry.test/tool")
        (found,) = (await at.get("/images/json")).json
        assert found["RepoTags"] == ["registry.test/tool:1", "registry.test/tool:2"]


def header(**fields: str) -> dict[str, str]:
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}


async def test_credentials_come_in_docker_s_header() -> None:
    async with api_client() as at:
        at.gallery.registry.put(ONE, TOOL)
        at.gallery.registry.password = "p"
        path = "/images/create?fromImage=registry.test/tool&tag=1"
        refused = await at.ask("POST", path)
        assert (refused.status, refused.message) == (500, "unauthorized: authentication required")
        assert (await at.ask("POST", path, headers=header(username="ann", password="p"))).status == 200
        assert (await at.ask("POST", path, headers={"X-Registry-Auth": "!"})).status == 500


async def test_a_login_is_tried_at_the_registry() -> None:
    async with api_client() as at:
        at.gallery.registry.password = "p"
        body = {"username": "ann", "password": "p", "serveraddress": "registry.test"}
        assert (await at.post("/auth", body)).json == {"Status": "Login Succeeded", "IdentityToken": ""}
        assert (await at.post("/auth", {**body, "password": "x"})).status == 401


async def test_a_push_ends_with_what_the_registry_has() -> None:
    async with api_client() as at:
        await load(at, (ONE, [TOOL]))
        messages = said(await at.post("/images/registry.test/tool/push?tag=1"))
        assert messages[0] == {"status": "The push refers to repository [registry.test/tool]"}
        aux = messages[-1]["aux"]
        assert aux["Tag"] == "1" and aux["Digest"].startswith("sha256:") and aux["Size"] > 0
        reply = await at.get("/distribution/registry.test/tool:1/json")
        assert reply.json["Descriptor"]["digest"] == aux["Digest"]
        assert reply.json["Platforms"] == [{"architecture": "amd64", "os": "linux"}]


async def test_what_is_saved_loads_again() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]))
        one, many = await at.get("/images/one:1/get"), await at.get("/images/get?names=one:1")
        assert one.headers["Content-Type"] == "application/x-tar" and one.body == many.body
        await at.ask("DELETE", "/images/one:1")
        assert said(await at.ask("POST", "/images/load", data=one.body)) == [{"stream": "Loaded image: one:1\n"}]


async def test_an_import_says_the_id() -> None:
    async with api_client() as at:
        path = "/images/create?fromSrc=-&repo=made&tag=2&message=m&changes=USER%20ann&changes=CMD%20x"
        (message,) = said(await at.ask("POST", path, data=layer(Entry("a"))))
        found = (await at.get("/images/made:2/json")).json
        assert found["Id"] == message["status"] and found["Comment"] == "m"
        assert found["Config"] == {"User": "ann", "Cmd": ["/bin/sh", "-c", "x"]}


async def test_prune_removes_what_has_no_name_or_all() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]), (TWO, []))
        reply = (await at.post("/images/prune")).json
        assert reply["ImagesDeleted"] == [{"Deleted": TWO.id}] and reply["SpaceReclaimed"] > 0
        assert (await at.post("/images/prune")).json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
        reply = (await at.post("/images/prune?filters=%7B%22dangling%22:[%22false%22]%7D")).json
        assert reply["ImagesDeleted"] == [{"Untagged": "one:1"}, {"Deleted": ONE.id}]


async def test_a_container_is_made_of_an_image_and_shows_it() -> None:
    async with api_client() as at:
        await load(at, (ONE, ["one:1"]))
        id = (await at.post("/containers/create?name=c1", {"Image": "one:1", "Env": ["C=d"]})).json["Id"]
        found = (await at.get(f"/containers/{id}/json")).json
        assert found["Image"] == ONE.id and found["Config"]["Image"] == "one:1"
        assert found["Config"]["Cmd"] == ["say", "one"] and found["Config"]["Env"] == ["C=d", "A=b"]
        assert (found["Path"], found["Args"]) == ("say", ["one"])
        (item,) = (await at.get("/containers/json?all=1&filters=%7B%22ancestor%22:[%22one:1%22]%7D")).json
        assert (item["Image"], item["ImageID"]) == ("one:1", ONE.id)
        await load(at, (TWO, ["one:1"]))
        (item,) = (await at.get("/containers/json?all=1")).json
        assert item["Image"] == ONE.id


async def test_an_image_that_is_not_there_is_not_found() -> None:
    async with api_client() as at:
        reply = await at.post("/containers/create", {"Image": "nosuch"})
        assert (reply.status, reply.message) == (404, "No such image: nosuch:latest")


async def test_an_image_without_a_command_needs_one() -> None:
    async with api_client() as at:
        await load(at, (TWO, ["two:1"]))
        reply = await at.post("/containers/create", {"Image": "two:1"})
        assert (reply.status, reply.message) == (400, "no command specified")


async def test_a_pull_ends_with_the_last_client_that_follows_it() -> None:
    async with api_client() as at:
        at.gallery.registry.put(ONE, TOOL)
        at.gallery.registry.open.clear()
        url = at.url("/images/create?fromImage=registry.test/tool&tag=1")
        async with at.session.post(url) as first, at.session.post(url) as second:
            await at.gallery.registry.waiting.wait()
            assert await first.content.readline() == await second.content.readline()
            first.close()
            at.gallery.registry.open.set()
            assert b"Downloaded newer image" in await second.read()
        at.gallery.registry.open.clear()
        at.gallery.registry.waiting.clear()
        at.gallery.registry.put(TWO, TOOL)
        async with at.session.post(url) as alone:
            await at.gallery.registry.waiting.wait()
            alone.close()
        await at.gallery.registry.given_up.wait()
        assert [each["Id"] for each in (await at.get("/images/json")).json] == [ONE.id]

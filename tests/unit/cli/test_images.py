"""Images through the command: what is asked, what is printed."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from linkspan.cli.pulling import split, tagged
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_daemon import FakeDaemon, chunked, reply

Capture = pytest.CaptureFixture[str]
ID = "sha256:" + "a" * 64
DIGEST = "sha256:" + "d" * 64
IMAGES = [
    {
        "Id": ID,
        "RepoTags": ["busybox:1", "r.test:5000/b:x"],
        "RepoDigests": [f"r.test:5000/b@{DIGEST}"],
        "Created": 0,
        "Size": 1_982_278,
        "Labels": {"k": "v"},
    },
    {"Id": "sha256:" + "b" * 64, "RepoTags": [], "RepoDigests": [], "Created": 0, "Size": 7, "Labels": None},
]


def lines(*messages: dict[str, Any]) -> bytes:
    return chunked(*(json.dumps(message).encode() + b"\r\n" for message in messages))


def query(daemon: FakeDaemon, at: int = -1) -> dict[str, list[str]]:
    return parse_qs(daemon.asked[at].target.partition("?")[2])


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("busybox:1", ("busybox", "1")),
        ("r.test:5000/b", ("r.test:5000/b", "latest")),
        ("r.test:5000/b:x", ("r.test:5000/b", "x")),
        (f"r.test:5000/b@{DIGEST}", ("r.test:5000/b", DIGEST)),
    ],
)
def test_a_name_is_taken_apart(image: str, parts: tuple[str, str]) -> None:
    assert split(tagged(image)) == parts


def test_images_are_a_table_of_their_names(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["GET /v1.51/images/json"] = reply(200, IMAGES)
    assert run("images", "--format", r"table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Size}}") == 0
    assert capfd.readouterr().out.splitlines() == [
        "REPOSITORY      TAG       IMAGE ID       SIZE",
        "busybox         1         aaaaaaaaaaaa   1.98MB",
        "r.test:5000/b   x         aaaaaaaaaaaa   1.98MB",
        "<none>          <none>    bbbbbbbbbbbb   7B",
    ]


def test_an_image_that_does_not_say_when_it_was_made_is_of_no_age(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["GET /v1.51/images/json"] = reply(200, IMAGES[:1])
    assert run("images", "--format", "{{.CreatedSince}}") == 0
    assert capfd.readouterr().out == "N/A\nN/A\n"


def test_digests_are_shown_where_there_are_some(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["GET /v1.51/images/json"] = reply(200, IMAGES)
    assert run("image", "ls", "--digests", "--format", "{{.Repository}} {{.Digest}}") == 0
    assert capfd.readouterr().out.splitlines()[:2] == ["busybox <none>", f"r.test:5000/b {DIGEST}"]


def test_a_name_narrows_the_list(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["GET /v1.51/images/json"] = reply(200, [])
    assert run("images", "busybox", "-f", "dangling=true") == 0
    found = json.loads(query(daemon)["filters"][0])
    assert found == {"dangling": {"true": True}, "reference": {"busybox": True}}


def test_a_pull_prints_each_step_once(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["POST /v1.51/images/create"] = lines(
        {"status": "Pulling from library/busybox", "id": "latest"},
        {"status": "Downloading", "id": "abc", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Downloading", "id": "abc", "progressDetail": {"current": 2, "total": 2}},
        {"status": "Pull complete", "id": "abc"},
        {"status": "Status: done"},
    )
    assert run("pull", "busybox", "--platform", "linux/arm64") == 0
    assert query(daemon) == {"fromImage": ["busybox"], "tag": ["latest"], "platform": ["linux/arm64"]}
    assert capfd.readouterr().out.splitlines() == [
        "latest: Pulling from library/busybox",
        "abc: Downloading",
        "abc: Pull complete",
        "Status: done",
        "busybox:latest",
    ]


def test_an_error_in_the_stream_is_an_error(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["POST /v1.51/images/create"] = lines({"status": "a"}, {"error": "no luck", "errorDetail": {}})
    assert run("pull", "-q", "busybox") == 1
    assert capfd.readouterr() == ("", "linkspan: no luck\n")


def test_a_pull_says_who_asks(run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = base64.b64encode(b"ann:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r.test:5000": {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    daemon.answers["POST /v1.51/images/create"] = lines({"status": "done"})
    assert run("pull", "r.test:5000/b") == 0
    header = daemon.asked[-1].headers["x-registry-auth"]
    assert json.loads(base64.urlsafe_b64decode(header)) == {"auth": auth}
    assert run("pull", "busybox") == 0
    assert "x-registry-auth" not in daemon.asked[-1].headers


def test_run_pulls_an_image_that_is_not_there(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["POST /v1.51/containers/create"] = reply(404, {"message": "No such image: busybox:latest"})
    daemon.answers["POST /v1.51/images/create"] = lines({"status": "Status: done"})
    assert run("run", "busybox", "true") == 125
    asked = [each.target.partition("?")[0].removeprefix("/v1.51") for each in daemon.asked]
    assert asked == ["/containers/create", "/images/create", "/containers/create"]
    assert capfd.readouterr().err.startswith("Unable to find image 'busybox:latest' locally\nStatus: done\n")


def test_run_pulls_as_it_is_told(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["POST /v1.51/containers/create"] = reply(404, {"message": "No such image: busybox:latest"})
    daemon.answers["POST /v1.51/images/create"] = lines({"status": "Status: done"})
    assert run("create", "--pull", "never", "busybox") == 1
    assert len(daemon.asked) == 1
    assert run("create", "--pull", "always", "busybox") == 1
    assert "images/create" in daemon.asked[1].target and len(daemon.asked) == 3


def test_the_first_word_is_the_image(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["POST /v1.51/containers/create"] = reply(201, {"Id": "c" * 64})
    assert run("create", "busybox", "echo", "-n", "x") == 0
    assert (daemon.asked[0].body["Image"], daemon.asked[0].body["Cmd"]) == ("busybox", ["echo", "-n", "x"])
    assert "Rootfs" not in daemon.asked[0].body


def test_rmi_goes_on_after_a_failure(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["DELETE /v1.51/images/no"] = reply(404, {"message": "No such image: no:latest"})
    daemon.answers["DELETE /v1.51/images/yes"] = reply(200, [{"Untagged": "yes:latest"}, {"Deleted": ID}])
    assert run("rmi", "no", "yes") == 1
    assert capfd.readouterr() == (f"Untagged: yes:latest\nDeleted: {ID}\n", "linkspan: No such image: no:latest\n")
    assert run("image", "rm", "-f", "no", "yes") == 0


def test_a_saved_archive_is_whole_or_absent(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    whole = chunked(b"one", b"two", kind="application/x-tar")
    daemon.answers["GET /v1.51/images/get"] = whole
    assert run("save", "-o", str(tmp_path / "a.tar"), "busybox", "b:2") == 0
    assert query(daemon) == {"names": ["busybox", "b:2"]}
    assert (tmp_path / "a.tar").read_bytes() == b"onetwo"
    daemon.answers["GET /v1.51/images/get"] = whole[:-10]
    assert run("save", "-o", str(tmp_path / "b.tar"), "busybox") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_inspect_finds_images_too(run: Run, daemon: FakeDaemon, capfd: Capture) -> None:
    daemon.answers["GET /v1.51/images/busybox/json"] = reply(200, IMAGES[0])
    assert run("inspect", "-f", "{{.Id}}", "busybox") == 0
    assert capfd.readouterr().out == f"{ID}\n"
    daemon.answers["GET /v1.51/images/NET/json"] = reply(400, {"message": "invalid reference format: …"})
    daemon.answers["GET /v1.51/networks/NET"] = reply(200, {"Id": "n"})
    assert run("inspect", "-f", "{{.Id}}", "NET") == 0

"""Images through the docker command and docker-py: load, run, tag, remove, save, import, pull, push."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
import pytest

from tests.clients.harbour import Harbour
from tests.support.images import Entry, Picture, archive, busybox, digest, layer, nginx
from tests.support.registry import PASSWORD, USER, registry

DANGLING = Picture([layer(Entry("x"))])


async def load(harbour: Harbour, *pictures: tuple[Picture, list[str]]) -> str:
    path = harbour.root / "images.tar"
    path.write_bytes(archive(pictures))
    outcome = await harbour.docker("load", "-i", str(path))
    assert outcome.status == 0, outcome.err
    return outcome.out


async def done(harbour: Harbour, *words: str) -> str:
    """What the docker command prints when it succeeds."""
    outcome = await harbour.docker(*words)
    assert outcome.status == 0, outcome.err
    return outcome.out


async def test_an_image_is_loaded_shown_and_run(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox()
    assert await load(harbour, (picture, ["busybox:latest"])) == "Loaded image: busybox:latest"
    assert await done(harbour, "images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}") == (
        f"busybox latest {picture.id[7:19]}"
    )
    assert await done(harbour, "run", "--rm", "busybox", "echo", "hello") == "hello"
    assert (await harbour.docker("run", "--rm", "busybox", "false")).status == 1
    assert await done(harbour, "run", "--rm", "-u", "ann", "-w", "/tmp", "busybox", "sh", "-c", "id -un; pwd") == (
        "ann\n/tmp"
    )
    assert await done(harbour, "ps", "-aq") == ""


async def test_containers_have_the_files_of_their_image_each_for_itself(harbour: Harbour) -> None:
    await harbour.serve()
    await load(harbour, (busybox(), ["busybox:latest"]))
    change = "rm /etc/group; echo mine > /etc/passwd; cat /etc/passwd"
    assert await done(harbour, "run", "--name", "c1", "busybox", "sh", "-c", change) == "mine"
    assert (await done(harbour, "run", "--rm", "busybox", "cat", "/etc/passwd")).startswith("root:")
    assert await done(harbour, "start", "-a", "c1") == "mine"


async def test_nginx_of_an_image_serves_the_lan(harbour: Harbour) -> None:
    await harbour.serve()
    await load(harbour, (nginx(), ["nginx:latest"]))
    await done(harbour, "run", "-d", "--name", "web", "-p", "8080:80", "nginx")
    assert (
        await done(harbour, "ps", "--format", "{{.Image}} {{.Ports}}")
        == "nginx 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    )
    patient = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "10")
    assert await harbour.neighbour.run("curl", "-s", *patient, f"http://{harbour.address}:8080") == "nginx serves\n"
    shown = "{{.Config.StopSignal}} {{json .Config.Entrypoint}} {{json .Config.ExposedPorts}}"
    assert await done(harbour, "inspect", "-f", shown, "web") == 'SIGQUIT ["nginx"] {"80/tcp":{}}'


async def test_names_come_and_go_by_docker_s_rules(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox()
    await load(harbour, (picture, ["busybox:latest"]))
    await done(harbour, "tag", "busybox", "other:x")
    assert await done(harbour, "rmi", "other:x") == "Untagged: other:x"
    await done(harbour, "run", "--name", "c1", "busybox", "true")
    refused = await harbour.docker("rmi", "busybox")
    assert refused.status == 1 and "(must force) - container" in refused.err
    await done(harbour, "rm", "c1")
    assert await done(harbour, "rmi", "busybox") == f"Untagged: busybox:latest\nDeleted: {picture.id}"
    missing = await harbour.docker("rmi", "busybox")
    assert (missing.status, missing.err) == (1, "Error response from daemon: No such image: busybox:latest")


async def test_a_running_container_outlives_its_image_and_the_daemon(harbour: Harbour) -> None:
    daemon = await harbour.serve()
    await load(harbour, (busybox(), ["busybox:latest"]))
    await done(harbour, "run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert await done(harbour, "rmi", "-f", "busybox") == "Untagged: busybox:latest"
    await daemon.end()
    await harbour.serve()
    assert await done(harbour, "exec", "c1", "cat", "/etc/group")
    await done(harbour, "restart", "-t", "0", "c1")
    assert await done(harbour, "exec", "c1", "echo", "still here") == "still here"


async def test_what_is_saved_is_loaded_by_docker_and_read_by_skopeo(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox()
    await load(harbour, (picture, ["busybox:latest"]))
    path = harbour.root / "saved.tar"
    await done(harbour, "tag", "busybox", "other:x")
    await done(harbour, "save", "-o", str(path), "busybox", "other:x")
    await done(harbour, "rmi", "busybox", "other:x")
    assert await done(harbour, "load", "-i", str(path)) == "Loaded image: busybox:latest\nLoaded image: other:x"
    assert await done(harbour, "run", "--rm", "other:x", "echo", "again") == "again"
    read = await harbour.run("skopeo", "inspect", "--raw", f"docker-archive:{path}:other:x")
    assert read.json["config"]["digest"] == picture.id


async def test_an_archive_that_is_cut_says_so_and_leaves_nothing(harbour: Harbour) -> None:
    await harbour.serve()
    data = archive([(busybox(), ["busybox:latest"])])
    for cut in (100, len(data) // 2, len(data) - 12_000):
        outcome = await harbour.docker("load", stdin=data[:cut])
        assert outcome.status == 1 and "invalid archive" in outcome.err
    assert await done(harbour, "images", "-aq") == ""
    assert [path for path in (harbour.root / "data/images").rglob("*") if path.is_file()] == []


async def test_a_file_system_is_imported_with_changes(harbour: Harbour) -> None:
    await harbour.serve()
    words = ("import", "-m", "by hand", "-c", 'CMD ["echo", "imported"]', "-c", "ENV A=b", "-", "made:1")
    outcome = await harbour.docker(*words, stdin=busybox().layers[0])
    assert outcome.status == 0 and outcome.out.startswith("sha256:")
    assert await done(harbour, "run", "--rm", "made:1") == "imported"
    assert "A=b" in (await done(harbour, "run", "--rm", "made:1", "env")).splitlines()
    assert (await done(harbour, "history", "--format", "{{.Comment}}", "made:1")) == "by hand"


async def test_prune_removes_what_has_no_name(harbour: Harbour) -> None:
    await harbour.serve()
    await load(harbour, (busybox(), ["busybox:latest"]), (DANGLING, []))
    assert await done(harbour, "images", "-q", "--filter", "dangling=true") == DANGLING.id[7:19]
    assert f"deleted: {DANGLING.id}" in await done(harbour, "image", "prune", "-f")
    assert "untagged: busybox:latest" in await done(harbour, "image", "prune", "-af")
    assert await done(harbour, "images", "-aq") == ""


async def test_what_is_pushed_is_pulled_by_name_and_by_digest(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox()
    async with registry(harbour.machine, harbour.root / "registry") as server:
        name = f"{server.name}/my/busybox:1"
        await load(harbour, (picture, [name]))
        pushed = await done(harbour, "push", name)
        found = pushed.splitlines()[-1].split()[2]
        assert pushed.startswith(f"The push refers to repository [{server.name}/my/busybox]\n")
        await done(harbour, "rmi", name)
        lines = (await done(harbour, "pull", name)).splitlines()
        assert lines[0] == "1: Pulling from my/busybox"
        assert [line.partition(": ")[2] for line in lines[1:4]] == [
            "Pulling fs layer",
            "Download complete",
            "Pull complete",
        ]
        assert lines[-3:] == [f"Digest: {found}", f"Status: Downloaded newer image for {name}", name]
        assert f"Status: Image is up to date for {name}" in await done(harbour, "pull", name)
        assert await done(harbour, "images", "--digests", "--format", "{{.Digest}} {{.ID}}") == (
            f"{found} {picture.id[7:19]}"
        )
        await done(harbour, "rmi", "-f", picture.id)
        by_digest = f"{server.name}/my/busybox@{found}"
        await done(harbour, "pull", by_digest)
        assert await done(harbour, "run", "--rm", by_digest, "echo", "by digest") == "by digest"


async def test_run_pulls_what_is_not_there(harbour: Harbour) -> None:
    await harbour.serve()
    async with registry(harbour.machine, harbour.root / "registry") as server:
        name = f"{server.name}/busybox"
        await load(harbour, (busybox(), [f"{name}:latest"]))
        await done(harbour, "push", "-q", name)
        await done(harbour, "rmi", name)
        outcome = await harbour.docker("run", "--rm", name, "echo", "pulled")
        assert outcome.out == "pulled" and f"Unable to find image '{name}:latest' locally" in outcome.err
        missing = await harbour.docker("run", "--rm", f"{name}:no", "true")
        assert missing.status == 125 and f"manifest for {name}:no not found: manifest unknown" in missing.err


async def test_a_registry_that_is_not_there_is_named(harbour: Harbour) -> None:
    await harbour.serve()
    outcome = await harbour.docker("pull", "127.0.0.1:5001/x")
    assert outcome.status == 1 and "dial tcp 127.0.0.1:5001: connect: connection refused" in outcome.err


async def test_credentials_and_certificates_count(harbour: Harbour) -> None:
    async with registry(harbour.machine, harbour.root / "registry", harbour.address, tls=True) as server:
        daemon = await harbour.serve()
        name = f"{server.name}/busybox:1"
        await load(harbour, (busybox(), [name]))
        outcome = await harbour.docker("push", name)
        assert outcome.status == 1 and "certificate signed by unknown authority" in outcome.err
        await daemon.end()
        await harbour.serve(prefix=("env", f"SSL_CERT_FILE={server.certificate}"))
        outcome = await harbour.docker("push", name)
        assert outcome.status == 1 and "authentication required" in outcome.err
        wrong = await harbour.docker("login", "-u", USER, "--password-stdin", server.name, stdin=b"wrong")
        assert wrong.status == 1 and "unauthorized" in wrong.err
        right = await harbour.docker("login", "-u", USER, "--password-stdin", server.name, stdin=PASSWORD.encode())
        assert right.status == 0 and "Login Succeeded" in right.out
        await done(harbour, "push", name)
        await done(harbour, "rmi", name)
        await done(harbour, "pull", name)
        assert PASSWORD not in harbour.log()


async def test_events_tell_of_images_as_docker_does(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox(config={"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"k": "v"}})
    await load(harbour, (picture, ["busybox:latest"]))
    await done(harbour, "tag", "busybox", "b:2")
    await done(harbour, "rmi", "b:2")
    period = ("--since", "10m", "--until", f"{time.time():.6f}")
    told = await done(harbour, "events", *period, "--format", "{{json .}}", "--filter", "type=image")
    seen = [json.loads(line) for line in told.splitlines()]
    assert [(each["Action"], each["Actor"]["ID"]) for each in seen] == [
        ("load", picture.id),
        ("tag", picture.id),
        ("untag", picture.id),
    ]
    assert [each["Actor"]["Attributes"] for each in seen] == [
        {"k": "v", "name": picture.id},
        {"k": "v", "name": "b:2"},
        {"k": "v", "name": picture.id},
    ]


async def test_docker_py_has_images(harbour: Harbour) -> None:
    await harbour.serve()
    picture = busybox()
    async with registry(harbour.machine, harbour.root / "registry") as server:
        await asyncio.to_thread(_with_docker_py, harbour.socket, picture, server.name)


def _with_docker_py(socket: Path, picture: Picture, name: str) -> None:
    client = docker.DockerClient(base_url=f"unix://{socket}")
    try:
        (image,) = client.images.load(archive([(picture, ["busybox:latest"])]))
        assert image.id == picture.id and image.tags == ["busybox:latest"]
        assert client.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
        assert image.tag(f"{name}/busybox", "1")
        said: list[Any] = list(client.images.push(f"{name}/busybox", "1", stream=True, decode=True))
        assert said[-1]["aux"]["Digest"].startswith("sha256:")
        client.images.remove(picture.id, force=True)
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get("busybox")
        assert client.images.pull(f"{name}/busybox", "1").id == picture.id
        data = b"".join(client.images.get(f"{name}/busybox:1").save(named=True))
        assert digest(picture.layers[0]) in client.images.get(f"{name}/busybox:1").attrs["RootFS"]["Layers"]
        client.images.prune({"dangling": False})
        assert [each.tags for each in client.images.load(data)] == [[f"{name}/busybox:1"]]
    finally:
        client.close()


async def test_a_registry_that_is_called_insecure_may_speak_plain_http(harbour: Harbour) -> None:
    await harbour.serve("--insecure-registry", f"{harbour.address}/32")
    async with registry(harbour.machine, harbour.root / "registry", harbour.address) as server:
        name = f"{server.name}/busybox:1"
        await load(harbour, (busybox(), [name]))
        await done(harbour, "push", "-q", name)
        await done(harbour, "rmi", name)
        assert await done(harbour, "pull", "-q", name) == name

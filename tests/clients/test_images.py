"""Images through the docker command and docker-py: load, run, tag, remove, save, import, pull, push."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
import pytest

from tests.clients.machine import DockerMachine, bracketed
from tests.support.images import Entry, Picture, archive, busybox, digest, layer, nginx
from tests.support.registry import PASSWORD, USER, registry

DANGLING = Picture([layer(Entry("x"))])


async def load(machine: DockerMachine, *pictures: tuple[Picture, list[str]]) -> str:
    path = machine.root / "images.tar"
    path.write_bytes(archive(pictures))
    outcome = await machine.docker("load", "-i", str(path))
    assert outcome.status == 0, outcome.err
    return outcome.out


async def done(machine: DockerMachine, *words: str) -> str:
    """What the docker command prints when it succeeds."""
    outcome = await machine.docker(*words)
    assert outcome.status == 0, outcome.err
    return outcome.out


async def test_an_image_is_loaded_shown_and_run(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    assert await load(machine, (picture, ["busybox:latest"])) == "Loaded image: busybox:latest"
    assert await done(machine, "images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}") == (
        f"busybox latest {picture.id[7:19]}"
    )
    assert await done(machine, "run", "--rm", "busybox", "echo", "hello") == "hello"
    assert (await machine.docker("run", "--rm", "busybox", "false")).status == 1
    assert await done(machine, "run", "--rm", "-u", "ann", "-w", "/tmp", "busybox", "sh", "-c", "id -un; pwd") == (
        "ann\n/tmp"
    )
    assert await done(machine, "ps", "-aq") == ""


async def test_containers_have_the_files_of_their_image_each_for_itself(machine: DockerMachine) -> None:
    await machine.serve()
    await load(machine, (busybox(), ["busybox:latest"]))
    change = "rm /etc/group; echo mine > /etc/passwd; cat /etc/passwd"
    assert await done(machine, "run", "--name", "c1", "busybox", "sh", "-c", change) == "mine"
    assert (await done(machine, "run", "--rm", "busybox", "cat", "/etc/passwd")).startswith("root:")
    assert await done(machine, "start", "-a", "c1") == "mine"


async def test_nginx_of_an_image_serves_the_lan(machine: DockerMachine) -> None:
    await machine.serve()
    await load(machine, (nginx(), ["nginx:latest"]))
    await done(machine, "run", "-d", "--name", "web", "-p", "8080:80", "nginx")
    listed = await done(machine, "ps", "--format", "{{.Image}} {{.Ports}}")
    assert bracketed(listed) == "nginx 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    patient = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "10")
    assert await machine.neighbour.run("curl", "-s", *patient, f"http://{machine.address}:8080") == "nginx serves\n"
    shown = "{{.Config.StopSignal}} {{json .Config.Entrypoint}} {{json .Config.ExposedPorts}}"
    assert await done(machine, "inspect", "-f", shown, "web") == 'SIGQUIT ["nginx"] {"80/tcp":{}}'


async def test_names_come_and_go_by_docker_s_rules(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    await load(machine, (picture, ["busybox:latest"]))
    await done(machine, "tag", "busybox", "other:x")
    assert await done(machine, "rmi", "other:x") == "Untagged: other:x"
    await done(machine, "run", "--name", "c1", "busybox", "true")
    refused = await machine.docker("rmi", "busybox")
    assert refused.status == 1 and "(must force) - container" in refused.err
    await done(machine, "rm", "c1")
    assert await done(machine, "rmi", "busybox") == f"Untagged: busybox:latest\nDeleted: {picture.id}"
    missing = await machine.docker("rmi", "busybox")
    assert (missing.status, missing.err) == (1, "Error response from daemon: No such image: busybox:latest")


async def test_a_running_container_outlives_its_image_and_the_daemon(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await load(machine, (busybox(), ["busybox:latest"]))
    await done(machine, "run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert await done(machine, "rmi", "-f", "busybox") == "Untagged: busybox:latest"
    await daemon.end()
    await machine.serve()
    assert await done(machine, "exec", "c1", "cat", "/etc/group")
    await done(machine, "restart", "-t", "0", "c1")
    assert await done(machine, "exec", "c1", "echo", "still here") == "still here"


async def test_what_is_saved_is_loaded_by_docker_and_read_by_skopeo(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    await load(machine, (picture, ["busybox:latest"]))
    path = machine.root / "saved.tar"
    await done(machine, "tag", "busybox", "other:x")
    await done(machine, "save", "-o", str(path), "busybox", "other:x")
    await done(machine, "rmi", "busybox", "other:x")
    assert await done(machine, "load", "-i", str(path)) == "Loaded image: busybox:latest\nLoaded image: other:x"
    assert await done(machine, "run", "--rm", "other:x", "echo", "again") == "again"
    read = await machine.run("skopeo", "inspect", "--raw", f"docker-archive:{path}:other:x")
    assert read.json["config"]["digest"] == picture.id


async def test_an_archive_that_is_cut_says_so_and_leaves_nothing(machine: DockerMachine) -> None:
    await machine.serve()
    data = archive([(busybox(), ["busybox:latest"])])
    for cut in (100, len(data) // 2, len(data) - 12_000):
        outcome = await machine.docker("load", stdin=data[:cut])
        assert outcome.status == 1 and "invalid archive" in outcome.err
    assert await done(machine, "images", "-aq") == ""
    assert [path for path in (machine.root / "data/images").rglob("*") if path.is_file()] == []


async def test_a_file_system_is_imported_with_changes(machine: DockerMachine) -> None:
    await machine.serve()
    words = ("import", "-m", "by hand", "-c", 'CMD ["echo", "imported"]', "-c", "ENV A=b", "-", "made:1")
    outcome = await machine.docker(*words, stdin=busybox().layers[0])
    assert outcome.status == 0 and outcome.out.startswith("sha256:")
    assert await done(machine, "run", "--rm", "made:1") == "imported"
    assert "A=b" in (await done(machine, "run", "--rm", "made:1", "env")).splitlines()
    assert (await done(machine, "history", "--format", "{{.Comment}}", "made:1")) == "by hand"


async def test_prune_removes_what_has_no_name(machine: DockerMachine) -> None:
    await machine.serve()
    await load(machine, (busybox(), ["busybox:latest"]), (DANGLING, []))
    assert await done(machine, "images", "-q", "--filter", "dangling=true") == DANGLING.id[7:19]
    assert f"deleted: {DANGLING.id}" in await done(machine, "image", "prune", "-f")
    assert "untagged: busybox:latest" in await done(machine, "image", "prune", "-af")
    assert await done(machine, "images", "-aq") == ""


async def test_what_is_pushed_is_pulled_by_name_and_by_digest(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    async with registry(machine.site, machine.root / "registry") as server:
        name = f"{server.name}/my/busybox:1"
        await load(machine, (picture, [name]))
        pushed = await done(machine, "push", name)
        found = pushed.splitlines()[-1].split()[2]
        assert pushed.startswith(f"The push refers to repository [{server.name}/my/busybox]\n")
        await done(machine, "rmi", name)
        lines = (await done(machine, "pull", name)).splitlines()
        assert lines[0] == "1: Pulling from my/busybox"
        assert [line.partition(": ")[2] for line in lines[1:4]] == [
            "Pulling fs layer",
            "Download complete",
            "Pull complete",
        ]
        assert lines[-3:] == [f"Digest: {found}", f"Status: Downloaded newer image for {name}", name]
        assert f"Status: Image is up to date for {name}" in await done(machine, "pull", name)
        assert await done(machine, "images", "--digests", "--format", "{{.Digest}} {{.ID}}") == (
            f"{found} {picture.id[7:19]}"
        )
        await done(machine, "rmi", "-f", picture.id)
        by_digest = f"{server.name}/my/busybox@{found}"
        await done(machine, "pull", by_digest)
        assert await done(machine, "run", "--rm", by_digest, "echo", "by digest") == "by digest"


async def test_run_pulls_what_is_not_there(machine: DockerMachine) -> None:
    await machine.serve()
    async with registry(machine.site, machine.root / "registry") as server:
        name = f"{server.name}/busybox"
        await load(machine, (busybox(), [f"{name}:latest"]))
        await done(machine, "push", "-q", name)
        await done(machine, "rmi", name)
        outcome = await machine.docker("run", "--rm", name, "echo", "pulled")
        assert outcome.out == "pulled" and f"Unable to find image '{name}:latest' locally" in outcome.err
        missing = await machine.docker("run", "--rm", f"{name}:no", "true")
        assert missing.status == 125 and f"manifest for {name}:no not found: manifest unknown" in missing.err


async def test_a_registry_that_is_not_there_is_named(machine: DockerMachine) -> None:
    await machine.serve()
    outcome = await machine.docker("pull", "127.0.0.1:5001/x")
    assert outcome.status == 1 and "dial tcp 127.0.0.1:5001: connect: connection refused" in outcome.err


async def test_credentials_and_certificates_count(machine: DockerMachine) -> None:
    async with registry(machine.site, machine.root / "registry", machine.address, tls=True) as server:
        daemon = await machine.serve()
        name = f"{server.name}/busybox:1"
        await load(machine, (busybox(), [name]))
        outcome = await machine.docker("push", name)
        assert outcome.status == 1 and "certificate signed by unknown authority" in outcome.err
        await daemon.end()
        await machine.serve(prefix=("env", f"SSL_CERT_FILE={server.certificate}"))
        outcome = await machine.docker("push", name)
        assert outcome.status == 1 and "authentication required" in outcome.err
        wrong = await machine.docker("login", "-u", USER, "--password-stdin", server.name, stdin=b"wrong")
        assert wrong.status == 1 and "unauthorized" in wrong.err
        right = await machine.docker("login", "-u", USER, "--password-stdin", server.name, stdin=PASSWORD.encode())
        assert right.status == 0 and "Login Succeeded" in right.out
        await done(machine, "push", name)
        await done(machine, "rmi", name)
        await done(machine, "pull", name)
        assert PASSWORD not in machine.log()


async def test_events_tell_of_images_as_docker_does(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox(config={"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"k": "v"}})
    await load(machine, (picture, ["busybox:latest"]))
    await done(machine, "tag", "busybox", "b:2")
    await done(machine, "rmi", "b:2")
    period = ("--since", "10m", "--until", f"{time.time():.6f}")
    told = await done(machine, "events", *period, "--format", "{{json .}}", "--filter", "type=image")
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


async def test_docker_py_has_images(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    async with registry(machine.site, machine.root / "registry") as server:
        await asyncio.to_thread(_with_docker_py, machine.socket, picture, server.name)


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


async def test_a_registry_that_is_called_insecure_may_speak_plain_http(machine: DockerMachine) -> None:
    await machine.serve("--insecure-registry", f"{machine.address}/32")
    async with registry(machine.site, machine.root / "registry", machine.address) as server:
        name = f"{server.name}/busybox:1"
        await load(machine, (busybox(), [name]))
        await done(machine, "push", "-q", name)
        await done(machine, "rmi", name)
        assert await done(machine, "pull", "-q", name) == name

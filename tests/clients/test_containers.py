"""Containers through the docker command. They are created over the API, since a root file system is no image."""

import asyncio
import json

import pytest

from tests.clients.machine import DockerMachine, bracketed
from tests.support.patience import PATIENCE

BYTES = bytes(range(256)) * 8192


async def test_a_container_runs_is_shown_and_ends(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "n1")
    host = {"NetworkMode": "n1", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    await machine.create("web", "sh", "-c", "echo out; echo err >&2; sleep 1000", HostConfig=host, Labels={"k": "v"})
    assert (await machine.docker("start", "web")).out == "web"
    row = (await machine.docker("ps", "--filter", "label=k=v", "--format", "{{.Names}} {{.State}} {{.Ports}}")).out
    assert bracketed(row) == "web running 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    assert bracketed((await machine.docker("port", "web")).out) == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"
    await machine.until_said("web", "out", "err")
    log = await machine.docker("logs", "web")
    assert (log.out, log.err) == ("out", "err")
    address = '{{(index .NetworkSettings.Networks "n1").IPAddress}}'
    assert (await machine.docker("inspect", "-f", address, "web")).out == "172.18.0.2"
    assert (await machine.docker("rename", "web", "shop")).status == 0
    assert (await machine.docker("stop", "-t", "0", "shop")).out == "shop"
    assert (await machine.docker("inspect", "-f", "{{.State.ExitCode}}", "shop")).out == "137"
    assert (await machine.docker("rm", "shop")).out == "shop"
    assert (await machine.docker("ps", "-aq")).out == ""


async def test_what_is_published_is_reached_from_the_lan(machine: DockerMachine) -> None:
    await machine.serve()
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    serve = "mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w"
    await machine.create("web", "sh", "-c", serve, HostConfig=host)
    await machine.docker("start", "web")
    patient = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "10")
    reply = await machine.neighbour.run("curl", "-s", *patient, f"http://{machine.address}:8080")
    assert reply == "hello\n"


async def test_input_and_output_pass_unchanged_and_end_by_halves(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create(
        "c1", "sh", "-c", "cat; echo done >&2; exit 3", OpenStdin=True, StdinOnce=True, AttachStdin=True
    )
    process = await machine.start_docker("start", "-a", "-i", "c1")
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(BYTES)
    assert out == BYTES and err == b"done\n" and process.returncode == 3


async def test_a_terminal_is_a_terminal(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "sh", Tty=True, OpenStdin=True, StdinOnce=True, AttachStdin=True)
    status, _ = await machine.terminal(
        ["start", "-a", "-i", "c1"], until=[(b"# ", b"tty; exit 5\n"), (b"/dev/pts/0", b"")]
    )
    assert status == 5


async def test_a_terminal_is_let_go_by_the_detach_keys(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "sh", Tty=True, OpenStdin=True, AttachStdin=True)
    await machine.docker("start", "c1")
    await machine.terminal(["attach", "c1"], until=[(b"", b"echo he''llo\n"), (b"hello", b"\x10\x11")])
    assert (await machine.docker("inspect", "-f", "{{.State.Running}}", "c1")).out == "true"


async def test_one_more_process(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "sleep", "1000")
    await machine.docker("start", "c1")
    both = await machine.docker("exec", "-e", "A=b", "c1", "sh", "-c", "echo $A; echo e >&2; exit 4")
    assert (both.status, both.out, both.err) == (4, "b", "e")
    assert (await machine.docker("exec", "-i", "c1", "cat", stdin=b"data")).out == "data"
    assert (await machine.docker("exec", "-d", "c1", "touch", "/made")).status == 0
    made = await machine.docker("exec", "c1", "sh", "-c", "until test -e /made; do sleep 0.05; done; ls /made")
    assert made.out == "/made"
    absent = await machine.docker("exec", "c1", "nosuch")
    assert absent.status in (126, 127) and "executable file not found" in absent.out + absent.err
    status, _ = await machine.terminal(["exec", "-it", "c1", "sh"], until=[(b"# ", b"exit 6\n")])
    assert status == 6


async def test_wait_gives_the_exit_status(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "sleep", "1000")
    await machine.docker("start", "c1")
    waiting = await machine.start_docker("wait", "c1")
    await machine.docker("kill", "c1")
    async with asyncio.timeout(PATIENCE):
        out, _ = await waiting.communicate()
    assert out == b"137\n"


async def test_a_log_is_followed_to_the_end(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "sh", "-c", "for i in 1 2 3; do echo $i; done; read x; echo $x", OpenStdin=True)
    await machine.docker("start", "c1")
    await machine.until_said("c1", "3")
    following = await machine.start_docker("logs", "-f", "--tail", "1", "c1")
    assert following.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await following.stdout.readline() == b"3\n"
        await machine.docker("stop", "-t", "0", "c1")
        out, _ = await following.communicate()
    assert out == b""


async def test_a_command_that_is_not_there_is_said_in_dockers_words(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.create("c1", "nosuch")
    failed = await machine.docker("start", "c1")
    assert failed.status == 1 and 'exec: "nosuch": executable file not found in $PATH' in failed.err


async def test_a_port_that_is_taken(machine: DockerMachine) -> None:
    await machine.serve()
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    for name in ("p1", "p2"):
        await machine.create(name, "sleep", "1000", HostConfig=host)
    await machine.docker("start", "p1")
    refused = await machine.docker("start", "p2")
    assert refused.status == 1 and "Bind for 0.0.0.0:8080 failed: port is already allocated" in refused.err


async def test_events_of_a_life(machine: DockerMachine) -> None:
    await machine.serve()
    following = await machine.start_docker(
        "events", "--since", "1", "--filter", "container=c1", "--format", "{{json .}}"
    )
    seen: list[str] = []
    assert following.stdout is not None
    await machine.create("c1", "true", HostConfig={"AutoRemove": True})
    await machine.docker("start", "-a", "c1")
    async with asyncio.timeout(PATIENCE):
        while "destroy" not in seen:
            seen.append(json.loads(await following.stdout.readline())["status"])
    following.kill()
    await following.wait()
    assert seen == ["create", "attach", "start", "die", "destroy"]


@pytest.mark.slow
async def test_containers_outlive_the_daemon_and_are_taken_over(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await machine.create("c1", "sh", "-c", "read x; exit 7", OpenStdin=True)
    await machine.create("c2", "sleep", "1000")
    await machine.docker("start", "c1", "c2")
    assert await daemon.end() == 0
    assert await daemon.told() == "STOPPING=1"
    assert not machine.socket.exists() and not (machine.root / "pid").exists()
    await machine.serve()
    assert sorted((await machine.docker("ps", "--format", "{{.Names}}")).out.split()) == ["c1", "c2"]
    assert (await machine.docker("exec", "c2", "echo", "alive")).out == "alive"

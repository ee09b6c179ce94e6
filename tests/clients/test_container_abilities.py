"""Limits, pause, update, top, stats, restarts, health, cp, diff and export, by docker CLI and docker-py."""

import asyncio
import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import docker  # type: ignore[import-untyped]
import pytest

from tests.clients.machine import DockerMachine
from tests.support.images import archive, busybox
from tests.support.patience import PATIENCE


async def served(machine: DockerMachine) -> None:
    """A daemon with a busybox image."""
    await machine.serve()
    path = machine.root / "images.tar"
    path.write_bytes(archive([(busybox(), ["busybox:latest"])]))
    assert (await machine.docker("load", "-i", str(path))).status == 0


async def done(machine: DockerMachine, *words: str, stdin: bytes = b"") -> str:
    """What the docker command prints when it succeeds."""
    outcome = await machine.docker(*words, stdin=stdin)
    assert outcome.status == 0, (words, outcome.err)
    return outcome.out


async def until(machine: DockerMachine, form: str, name: str, holds: Callable[[str], bool]) -> str:
    """What `docker inspect -f` prints, once it is what is waited for."""
    async with asyncio.timeout(PATIENCE):
        while not holds(found := await done(machine, "inspect", "-f", form, name)):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.05)
    return found


async def test_what_a_container_may_use(machine: DockerMachine) -> None:
    await served(machine)
    limits = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "20", "--cpuset-cpus", "0", "--ulimit", "core=10:20")
    await done(machine, "run", "-d", "--name", "web", *limits, "busybox", "sleep", "1000")
    host = "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.NanoCpus}} {{.PidsLimit}} {{.CpusetCpus}}{{end}}"
    assert await done(machine, "inspect", "-f", host, "web") == "67108864 134217728 500000000 20 0"
    assert await done(machine, "update", "--memory", "96m", "--restart", "always", "web") == "web"
    assert await done(machine, "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}", "web") == (
        "100663296 always"
    )
    row = await done(machine, "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}} {{.NetIO}}", "web")
    name, used, slash, limit, pids, *net = row.split()
    assert (name, slash, limit, pids) == ("web", "/", "96MiB", "1") and used.endswith("iB") and used != "0B" and net
    top = await done(machine, "top", "web")
    assert top.splitlines()[0].split()[-1] == "CMD" and top.splitlines()[1].endswith("sleep 1000")
    assert (await done(machine, "top", "web", "-o", "pid,comm")).split()[1:] != []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (["--cpus", "1000"], "range of CPUs is from 0.01"),
        (["--restart", "odd"], "invalid restart policy"),
        (["--security-opt", "apparmor=mine"], "apparmor profiles are not supported"),
        (["--ipc", "odd"], "invalid IPC mode: odd"),
        (["-v", "a:/b:odd"], "invalid mode"),
        (["-v", "a!:/b"], "includes invalid characters for a local volume name"),
        (["--device", "/nosuch"], "no such file or directory"),
        (["--volumes-from", "nosuch"], "No such container: nosuch"),
    ],
)
async def test_what_cannot_be_is_refused_with_125(machine: DockerMachine, flags: list[str], said: str) -> None:
    await served(machine)
    outcome = await machine.docker("run", *flags, "busybox", "true")
    assert outcome.status == 125 or (flags[0] == "--device" and outcome.status == 127), outcome
    assert said in outcome.err


async def test_pause_shows_and_stops_what_runs(machine: DockerMachine) -> None:
    await served(machine)
    await done(machine, "run", "-d", "--name", "web", "busybox", "sleep", "1000")
    assert await done(machine, "pause", "web") == "web"
    assert (await done(machine, "ps", "--format", "{{.Status}}")).endswith("(Paused)")
    assert (await done(machine, "ps", "-q", "--filter", "status=paused")) != ""
    refused = await machine.docker("exec", "web", "true")
    assert refused.status == 1 and "is paused, unpause the container before exec" in refused.err
    assert await done(machine, "unpause", "web") == "web"
    assert await done(machine, "exec", "web", "echo", "again") == "again"
    await done(machine, "pause", "web")
    assert await done(machine, "rm", "-f", "web") == "web"


async def test_a_container_that_fails_is_started_again(machine: DockerMachine) -> None:
    await served(machine)
    await done(machine, "run", "-d", "--name", "web", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 3")
    form = "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}"
    assert await until(machine, form, "web", lambda text: text.startswith("exited 2")) == "exited 2 3"
    await done(machine, "run", "-d", "--name", "again", "--restart", "always", "busybox", "false")
    await until(machine, "{{.RestartCount}}", "again", lambda text: int(text) >= 3)
    refused = await machine.docker("rm", "again")
    assert refused.status == 1 and "stop the container before removing or force remove" in refused.err
    await until(machine, "{{.State.Status}}", "again", lambda text: text == "restarting")
    status = await done(machine, "ps", "--format", "{{.Status}}", "--filter", "name=again")
    assert status.startswith(("Restarting (1)", "Up"))
    assert await done(machine, "stop", "again") == "again"
    assert await done(machine, "inspect", "-f", "{{.State.Status}}", "again") == "exited"


async def test_policies_outlive_the_daemon(machine: DockerMachine) -> None:
    await served(machine)
    for policy in ("always", "unless-stopped"):
        await done(machine, "run", "-d", "--name", policy, "--restart", policy, "busybox", "sleep", "1000")
        await done(machine, "stop", "-t", "0", policy)
    await machine._daemons[-1].end()
    await machine.serve()
    await until(machine, "{{.State.Running}}", "always", lambda text: text == "true")
    assert await done(machine, "inspect", "-f", "{{.State.Running}}", "unless-stopped") == "false"


async def test_health_is_shown_filtered_and_told(machine: DockerMachine) -> None:
    await served(machine)
    looking = "until test -e /begin; do sleep 0.05; done; echo looking; test -e /well"
    check = ("--health-cmd", looking, "--health-interval", "100ms", "--health-retries", "2")
    await done(machine, "run", "-d", "--name", "web", *check, "busybox", "sleep", "1000")
    assert "(health: starting)" in await done(machine, "ps", "--format", "{{.Status}}")
    await done(machine, "exec", "web", "touch", "/begin")
    await until(machine, "{{.State.Health.Status}}", "web", lambda text: text == "unhealthy")
    await done(machine, "exec", "web", "touch", "/well")
    await until(machine, "{{.State.Health.Status}}", "web", lambda text: text == "healthy")
    assert await done(machine, "ps", "--format", "{{.Names}}", "--filter", "health=healthy") == "web"
    assert await done(machine, "ps", "-q", "--filter", "health=unhealthy") == ""
    assert await done(machine, "inspect", "-f", "{{(index .State.Health.Log 0).Output}}", "web") == "looking"
    soon = str(int(time.time()) + 1)  # the command counts in whole seconds
    events = await done(machine, "events", "--since", "1m", "--until", soon, "--format", "{{.Action}}")
    told = [line for line in events.splitlines() if line.startswith("health_status")]
    assert told == ["health_status: unhealthy", "health_status: healthy"]
    await done(machine, "run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "1000")
    assert await done(machine, "ps", "--format", "{{.Names}}", "--filter", "health=none") == "none"


async def test_files_are_copied_both_ways(machine: DockerMachine) -> None:
    await served(machine)
    await done(machine, "run", "-d", "--name", "web", "-v", "v1:/data", "busybox", "sleep", "1000")
    source = machine.root / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/f").write_text("hello")
    (source / "sub/f").chmod(0o4750)
    await done(machine, "cp", str(source), "web:/data/")
    assert await done(machine, "exec", "web", "stat", "-c", "%a %s", "/data/source/sub/f") == "4750 5"
    await done(machine, "cp", "web:/data/source/sub", str(machine.root / "back"))
    assert (machine.root / "back/f").read_text() == "hello"
    assert (await machine.docker("cp", "web:/nosuch", str(machine.root))).err in (
        "Error response from daemon: Could not find the file /nosuch in container web",
        "Error: No such container:path: web:/nosuch",  # the command before version 23
    )
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("piped")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"in"))
    await done(machine, "stop", "-t", "0", "web")
    await done(machine, "cp", "-", "web:/tmp", stdin=stream.getvalue())
    await done(machine, "cp", "web:/tmp/piped", str(machine.root / "out"))
    assert (machine.root / "out").read_text() == "in"
    changes = (await done(machine, "diff", "web")).splitlines()
    assert {"C /tmp", "A /tmp/piped", "A /data"} <= set(changes)
    await done(machine, "export", "-o", str(machine.root / "all.tar"), "web")
    with tarfile.open(machine.root / "all.tar") as tar:
        names = tar.getnames()
    assert "tmp/piped" in names and "bin/busybox" in names and "data/source" not in names
    assert (await done(machine, "ps", "-as", "--format", "{{.Size}}")).startswith("2B (virtual")


async def test_a_container_becomes_an_image(machine: DockerMachine) -> None:
    await served(machine)
    change = "rm /etc/passwd; rm -r /home; mkdir /home; echo new >/home/new"
    await done(machine, "run", "--name", "web", "-e", "A=b", "busybox", "sh", "-c", change)
    words = ("commit", "-m", "why", "--change", 'CMD ["cat", "/home/new"]', "web", "mine:1")
    assert (await done(machine, *words)).startswith("sha256:")
    assert await done(machine, "run", "--rm", "mine:1") == "new"
    assert await done(machine, "run", "--rm", "mine:1", "sh", "-c", "ls /home; echo $A; ls /etc/passwd || true") == (
        "new\nb"
    )
    assert "why" in await done(machine, "history", "mine:1")
    shown = ("--filter", "event=commit", "--format", "{{.From}} {{.Actor.Attributes.imageRef}}")
    # The command cuts times to whole seconds: until now would be until before the commit.
    assert await done(machine, "events", "--since", "0", "--until", "-1s", *shown) == "busybox mine:1"
    await machine.create("bare", "sh", "-c", "echo made >/made")
    await done(machine, "start", "-a", "bare")
    await done(machine, "commit", "bare", "bare:1")
    assert await done(machine, "run", "--rm", "bare:1", "cat", "/made") == "made"
    refused = await machine.docker("commit", "nosuch", "x:1")
    assert refused.status == 1 and "No such container: nosuch" in refused.err


async def test_volumes(machine: DockerMachine) -> None:
    await served(machine)
    assert await done(machine, "volume", "create", "--label", "a=b", "vv") == "vv"
    assert (
        await done(machine, "volume", "ls", "--format", "{{.Driver}} {{.Name}}", "--filter", "label=a=b") == "local vv"
    )
    await done(machine, "run", "--rm", "-v", "vv:/data", "-v", "/nameless", "busybox", "sh", "-c", "echo x >/data/f")
    mount = "type=volume,source=vv,target=/d,readonly"
    assert await done(machine, "run", "--name", "web", "--mount", mount, "busybox", "cat", "/d/f") == "x"
    assert await done(machine, "volume", "ls", "-q") == "vv"
    refused = await machine.docker("volume", "rm", "vv")
    assert refused.status == 1 and "volume is in use" in refused.err
    assert await done(machine, "inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.RW}}{{end}}", "web") == (
        "volume vv false"
    )
    assert await done(machine, "ps", "-aq", "--filter", "volume=vv") != ""
    assert await done(machine, "run", "--rm", "--volumes-from", "web", "busybox", "cat", "/d/f") == "x"
    await done(machine, "rm", "-v", "web")
    where = await done(machine, "volume", "inspect", "-f", "{{.Mountpoint}}", "vv")
    assert where == str(machine.root / "data/volumes/vv/_data")
    assert "Deleted Volumes:\nvv" in await done(machine, "volume", "prune", "-f", "--filter", "all=1")
    assert (await machine.docker("volume", "inspect", "vv")).status == 1


async def test_docker_py_does_it_all(machine: DockerMachine) -> None:
    await served(machine)

    def work() -> dict[str, Any]:
        client = docker.DockerClient(base_url=f"unix://{machine.socket}")
        try:
            volume = client.volumes.create("vv", labels={"a": "b"})
            health = {"test": ["CMD", "true"], "interval": 100_000_000}
            box = client.containers.run(
                *("busybox", ["sleep", "1000"]),
                detach=True,
                mem_limit="64m",
                nano_cpus=500_000_000,
                restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
                healthcheck=health,
                volumes={"vv": {"bind": "/data", "mode": "rw"}},
                ulimits=[docker.types.Ulimit(name="core", soft=1, hard=2)],
                init=True,
            )
            box.pause()
            box.reload()
            paused = box.status
            box.unpause()
            box.update(mem_limit="96m", memswap_limit="192m")
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w") as tar:
                info = tarfile.TarInfo("f")
                info.size = 4
                tar.addfile(info, io.BytesIO(b"text"))
            box.put_archive("/data", stream.getvalue())
            chunks, described = box.get_archive("/data/f")
            got = b"".join(chunks)
            first = next(box.stats(decode=True))
            found = {
                "paused": paused,
                "name": described["name"],
                "got": b"text" in got,
                "read": box.exec_run(["cat", "/data/f"]).output,
                "changes": {each["Path"] for each in box.diff()},
                "once": box.stats(stream=False)["memory_stats"]["limit"],
                "stream": first["pids_stats"]["current"] >= 1,
                "top": box.top()["Processes"][0][-1],
                "export": sum(map(len, box.export())) > 1_000_000,
                "volumes": [each.name for each in client.volumes.list(filters={"label": "a=b"})],
            }
            box.remove(force=True, v=True)
            volume.remove()
            return {**found, "left": client.volumes.list()}
        finally:
            client.close()

    assert await asyncio.to_thread(work) == {
        "paused": "paused",
        "name": "f",
        "got": True,
        "read": b"text",
        "changes": {"/data", "/sbin"},
        "once": 96 << 20,
        "stream": True,
        "top": "/sbin/docker-init -- sleep 1000",
        "export": True,
        "volumes": ["vv"],
        "left": [],
    }

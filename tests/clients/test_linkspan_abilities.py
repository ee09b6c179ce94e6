"""The linkspan command against a daemon: limits, pause, files of containers, volumes."""

import os
import sys

import pytest

from tests.clients.machine import DockerMachine, Outcome

pytestmark = pytest.mark.slow


async def linkspan(machine: DockerMachine, *words: str, stdin: bytes = b"") -> Outcome:
    command = ["env", f"LINKSPAN_HOST=unix://{machine.socket}", sys.executable, "-m", "linkspan"]
    return await machine.run(*command, *words, stdin=stdin)


async def done(machine: DockerMachine, *words: str) -> str:
    outcome = await linkspan(machine, *words)
    assert outcome.status == 0, (words, outcome.err)
    return outcome.out


async def start(machine: DockerMachine, *flags: str) -> None:
    await done(machine, "run", "-d", "--name", "web", "--rootfs", str(machine.rootfs), *flags, "sleep", "1000")


async def test_limits_are_set_shown_and_changed(machine: DockerMachine) -> None:
    await machine.serve()
    await start(machine, "-m", "64m", "--pids-limit", "20")
    assert await done(machine, "update", "-m", "96m", "--restart", "always", "web") == "web"
    form = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}"
    assert await done(machine, "inspect", "-f", form, "web") == "100663296 20 always"
    row = await done(machine, "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}")
    assert row.startswith("web 1 ") and row.endswith("/ 96MiB")
    assert (await done(machine, "top", "web", "-o", "pid,comm")).splitlines()[-1].endswith("sleep")
    assert await done(machine, "pause", "web") == "web"
    assert (await done(machine, "ps", "--format", "{{.Status}}")).endswith("(Paused)")
    assert await done(machine, "unpause", "web") == "web"
    assert (await linkspan(machine, "update", "web")).status == 1


async def test_files_go_in_and_out(machine: DockerMachine) -> None:
    await machine.serve()
    await start(machine)
    source = machine.root / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/f").write_text("text")
    await done(machine, "cp", str(source), "web:/tmp")
    await done(machine, "cp", str(source / "sub/f"), "web:/tmp/other")
    assert await done(machine, "exec", "web", "cat", "/tmp/source/sub/f", "/tmp/other") == "texttext"
    back = machine.root / "back"
    for found in (["sub"], ["source", "sub"]):  # into a new directory, then into one that is there
        await done(machine, "cp", "web:/tmp/source", str(back))
        assert sorted(os.listdir(back)) == found  # noqa: PTH208 - names are what is wanted
    refused = await linkspan(machine, "cp", "web:/nosuch", str(back))
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        "linkspan: Could not find the file /nosuch in container web",
    )
    assert {"C /tmp", "A /tmp/other"} <= set((await done(machine, "diff", "web")).splitlines())
    await done(machine, "export", "-o", str(machine.root / "all.tar"), "web")
    assert "tmp/other" in (await machine.run("tar", "tf", str(machine.root / "all.tar"))).out.splitlines()


async def test_volumes_are_made_listed_and_removed(machine: DockerMachine) -> None:
    await machine.serve()
    assert await done(machine, "volume", "create", "--label", "a=b", "vv") == "vv"
    await start(machine, "-v", "vv:/data", "-v", "/nameless")
    assert len((await done(machine, "volume", "ls", "-q")).splitlines()) == 2
    refused = await linkspan(machine, "volume", "rm", "vv")
    assert refused.status == 1 and "volume is in use" in refused.err
    await done(machine, "rm", "-f", "-v", "web")
    assert await done(machine, "volume", "ls", "--format", "{{.Driver}} {{.Name}} {{.Labels}}") == "local vv a=b"
    assert await done(machine, "volume", "prune", "-f") == ""
    assert await done(machine, "volume", "prune", "-f", "-a") == "Deleted Volumes:\nvv"

"""The linkspan command against a daemon: limits, pause, files of containers, volumes."""

import os
import sys

import pytest

from tests.clients.harbour import Harbour, Outcome

pytestmark = pytest.mark.slow


async def linkspan(harbour: Harbour, *words: str, stdin: bytes = b"") -> Outcome:
    command = ["env", f"LINKSPAN_HOST=unix://{harbour.socket}", sys.executable, "-m", "linkspan"]
    return await harbour.run(*command, *words, stdin=stdin)


async def done(harbour: Harbour, *words: str) -> str:
    outcome = await linkspan(harbour, *words)
    assert outcome.status == 0, (words, outcome.err)
    return outcome.out


async def start(harbour: Harbour, *flags: str) -> None:
    await done(harbour, "run", "-d", "--name", "web", "--rootfs", str(harbour.rootfs), *flags, "sleep", "1000")


async def test_limits_are_set_shown_and_changed(harbour: Harbour) -> None:
    await harbour.serve()
    await start(harbour, "-m", "64m", "--pids-limit", "20")
    assert await done(harbour, "update", "-m", "96m", "--restart", "always", "web") == "web"
    form = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}"
    assert await done(harbour, "inspect", "-f", form, "web") == "100663296 20 always"
    row = await done(harbour, "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}")
    assert row.startswith("web 1 ") and row.endswith("/ 96MiB")
    assert (await done(harbour, "top", "web", "-o", "pid,comm")).splitlines()[-1].endswith("sleep")
    assert await done(harbour, "pause", "web") == "web"
    assert (await done(harbour, "ps", "--format", "{{.Status}}")).endswith("(Paused)")
    assert await done(harbour, "unpause", "web") == "web"
    assert (await linkspan(harbour, "update", "web")).status == 1


async def test_files_go_in_and_out(harbour: Harbour) -> None:
    await harbour.serve()
    await start(harbour)
    source = harbour.root / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/f").write_text("text")
    await done(harbour, "cp", str(source), "web:/tmp")
    await done(harbour, "cp", str(source / "sub/f"), "web:/tmp/other")
    assert await done(harbour, "exec", "web", "cat", "/tmp/source/sub/f", "/tmp/other") == "texttext"
    back = harbour.root / "back"
    for found in (["sub"], ["source", "sub"]):  # into a new directory, then into one that is there
        await done(harbour, "cp", "web:/tmp/source", str(back))
        assert sorted(os.listdir(back)) == found  # noqa: PTH208 - names are what is wanted
    refused = await linkspan(harbour, "cp", "web:/nosuch", str(back))
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        "linkspan: Could not find the file /nosuch in container web",
    )
    assert {"C /tmp", "A /tmp/other"} <= set((await done(harbour, "diff", "web")).splitlines())
    await done(harbour, "export", "-o", str(harbour.root / "all.tar"), "web")
    assert "tmp/other" in (await harbour.run("tar", "tf", str(harbour.root / "all.tar"))).out.splitlines()


async def test_volumes_are_made_listed_and_removed(harbour: Harbour) -> None:
    await harbour.serve()
    assert await done(harbour, "volume", "create", "--label", "a=b", "vv") == "vv"
    await start(harbour, "-v", "vv:/data", "-v", "/nameless")
    assert len((await done(harbour, "volume", "ls", "-q")).splitlines()) == 2
    refused = await linkspan(harbour, "volume", "rm", "vv")
    assert refused.status == 1 and "volume is in use" in refused.err
    await done(harbour, "rm", "-f", "-v", "web")
    assert await done(harbour, "volume", "ls", "--format", "{{.Driver}} {{.Name}} {{.Labels}}") == "local vv a=b"
    assert await done(harbour, "volume", "prune", "-f") == ""
    assert await done(harbour, "volume", "prune", "-f", "-a") == "Deleted Volumes:\nvv"

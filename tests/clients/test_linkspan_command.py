"""The linkspan command against a daemon: networks, containers, streams, terminals."""

import asyncio
import json
import os
import pty
import signal
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import Sequence

import pytest

from linkspan.kernel.process import spawn
from tests.clients.machine import DockerMachine, Outcome, bracketed, until
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

RESIZE = b"40 lines, 120 columns"
BYTES = bytes(range(256)) * 8192


def argv(machine: DockerMachine, *words: str) -> list[str]:
    return ["env", f"LINKSPAN_HOST=unix://{machine.socket}", sys.executable, "-m", "linkspan", *words]


async def linkspan(machine: DockerMachine, *words: str, stdin: bytes = b"") -> Outcome:
    return await machine.run(*argv(machine, *words), stdin=stdin)


async def run(machine: DockerMachine, *words: str, flags: Sequence[str] = (), stdin: bytes = b"") -> Outcome:
    """`linkspan run` with the root file system of the test."""
    return await linkspan(machine, "run", "--rootfs", str(machine.rootfs), *flags, *words, stdin=stdin)


async def start(machine: DockerMachine, *words: str) -> Process:
    pipe = asyncio.subprocess.PIPE
    return await spawn(argv(machine, *words), machine.site.namespace, stdin=pipe, stdout=pipe, stderr=pipe)


async def terminal(
    machine: DockerMachine, *words: str, until: Sequence[tuple[bytes, bytes]], size: tuple[int, int] = (33, 100)
) -> tuple[int, bytes]:
    """The command on a terminal of a size: after each text is seen, type an answer, or resize it."""
    near, far = pty.openpty()
    termios.tcsetwinsize(far, size)
    before = termios.tcgetattr(far)
    seen = b""
    try:
        process = await spawn(argv(machine, *words), machine.site.namespace, stdin=far, stdout=far, stderr=far)
        async with asyncio.timeout(PATIENCE):
            for text, reply in until:
                while text not in seen:
                    seen += await asyncio.to_thread(os.read, near, 4096)
                seen = seen[seen.index(text) + len(text) :]
                if reply is RESIZE:
                    termios.tcsetwinsize(far, (40, 120))
                    os.kill(process.pid, signal.SIGWINCH)
                else:
                    os.write(near, reply)
            status = await process.wait()
        assert termios.tcgetattr(far) == before, "the terminal was left raw"
        return status, seen
    finally:
        os.close(near)
        os.close(far)


async def test_networks_are_made_shown_and_removed(machine: DockerMachine) -> None:
    await machine.serve()
    made = await linkspan(machine, "network", "create", "--subnet", "10.7.0.0/24", "--label", "k=v", "web")
    assert made.status == 0 and len(made.out) == 64
    assert (await linkspan(machine, "network", "ls", "-q", "-f", "label=k=v")).out == made.out[:12]
    names = (await linkspan(machine, "network", "ls", "--format", "{{.Name}}")).out
    assert names.split() == ["bridge", "host", "none", "web"]
    gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    assert (await linkspan(machine, "network", "inspect", "-f", gateway, "web")).out == "10.7.0.1"
    assert (await linkspan(machine, "network", "ls")).out == (await machine.docker("network", "ls")).out
    refused = await linkspan(machine, "network", "create", "web")
    assert (refused.status, refused.err) == (1, "linkspan: network with name web already exists")
    assert (await linkspan(machine, "network", "rm", "web")).out == "web"


async def test_a_dry_run_prints_the_lines_and_changes_nothing(machine: DockerMachine) -> None:
    await machine.serve()
    links = await machine.site.run("ip", "-o", "link")
    plan = await linkspan(machine, "network", "create", "--dry-run", "web")
    assert plan.status == 0 and "ip link add br-" in plan.out and "nft" in plan.out and "sysctl" in plan.out
    plan = await run(machine, "true", flags=["--dry-run", "-p", "80:80"])
    assert "type veth peer name eth0" in plan.out and "172.17.0.2" in plan.out
    assert (await linkspan(machine, "network", "ls", "-qf", "type=custom")).out == ""
    assert (await linkspan(machine, "ps", "-aq")).out == ""
    assert await machine.site.run("ip", "-o", "link") == links


async def test_status_names_the_chain_that_drops_what_containers_send(machine: DockerMachine) -> None:
    await machine.serve()
    chain = "{ type filter hook forward priority 0; policy drop; }"
    await machine.run("nft", f"add table inet other; add chain inet other forward {chain}")
    status = await linkspan(machine, "status")
    assert status.status == 1
    assert "nftables chain inet other forward: its policy is drop, and none of its rules mentions docker0" in status.out


async def test_a_connected_container_is_on_the_network(machine: DockerMachine) -> None:
    await machine.serve()
    await linkspan(machine, "network", "create", "--subnet", "10.7.0.0/24", "web")
    await run(machine, "sleep", "1000", flags=["-d", "--name", "c1"])
    assert (await linkspan(machine, "network", "connect", "--ip", "10.7.0.9", "--dry-run", "web", "c1")).status == 0
    assert (await linkspan(machine, "network", "connect", "--ip", "10.7.0.9", "web", "c1")).status == 0
    assert "10.7.0.9" in (await linkspan(machine, "exec", "c1", "ip", "addr")).out
    status = await linkspan(machine, "status")
    assert status.status == 0, status.out
    assert "10.7.0.9/24" in status.out and "br-" in status.out and "Nothing is wrong." in status.out
    assert (await linkspan(machine, "network", "rm", "web")).status == 1
    assert (await linkspan(machine, "network", "disconnect", "web", "c1")).status == 0
    assert (await linkspan(machine, "network", "prune", "-f")).out == "Deleted Networks:\nweb"


async def test_a_container_runs_is_shown_as_docker_shows_it_and_ends(machine: DockerMachine) -> None:
    await machine.serve()
    flags = ["-d", "--name", "web", "-p", "8080:80", "-p", "9000-9002:9000-9002", "-l", "k=v"]
    serve = "echo out; echo err >&2; mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w"
    id = (await run(machine, "sh", "-c", serve, flags=flags)).out
    patient = ("--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "10")
    assert await machine.neighbour.run("curl", "-s", *patient, f"http://{machine.address}:8080") == "hello\n"
    shown = r"{{.ID}}\t{{.Names}}\t{{.State}}\t{{.Ports}}\t{{.Label `k`}}"
    ours, docker = [await linkspan(machine, "ps", "--format", shown), await machine.docker("ps", "--format", shown)]
    assert bracketed(ours.out) == bracketed(docker.out) and ours.out.startswith(id[:12])
    docker = await machine.docker("port", "web")
    assert bracketed((await linkspan(machine, "port", "web")).out) == bracketed(docker.out)
    assert json.loads((await linkspan(machine, "inspect", "web")).out) == (await machine.docker("inspect", "web")).json
    log = await linkspan(machine, "logs", "web")
    assert (log.out, log.err) == ("out", "err")
    assert (await linkspan(machine, "stop", "-t", "0", "web")).out == "web"
    assert "Exited (137)" in (await linkspan(machine, "ps", "-a")).out
    assert (await linkspan(machine, "start", "web")).out == "web"
    assert (await linkspan(machine, "rm", "web")).status == 1
    assert (await linkspan(machine, "rm", "-f", "web")).out == "web"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["nosuch"], 127),
        (["/etc/passwd"], 126),
        (["--network", "nosuch", "true"], 125),
        (["--nosuch", "true"], 125),
    ],
)
async def test_the_exit_status_is_docker_s(machine: DockerMachine, words: list[str], status: int) -> None:
    await machine.serve()
    ended = await run(machine, *words, flags=["--rm"])
    assert ended.status == status and "Traceback" not in ended.err
    assert (await linkspan(machine, "ps", "-aq")).out == ""


async def test_input_and_output_pass_unchanged_and_end_by_halves(machine: DockerMachine) -> None:
    await machine.serve()
    process = await start(
        machine, "run", "-i", "--rm", "--rootfs", str(machine.rootfs), "sh", "-c", "cat; echo done >&2; exit 3"
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(BYTES)
    assert out == BYTES and err == b"done\n" and process.returncode == 3


async def test_exec_has_the_streams_and_the_status_of_its_process(machine: DockerMachine) -> None:
    await machine.serve()
    await run(machine, "sleep", "1000", flags=["-d", "--name", "c1"])
    both = await linkspan(machine, "exec", "-e", "A=b", "c1", "sh", "-c", "echo $A; echo e >&2; exit 4")
    assert (both.status, both.out, both.err) == (4, "b", "e")
    assert (await linkspan(machine, "exec", "-i", "c1", "cat", stdin=b"data")).out == "data"
    assert (await linkspan(machine, "exec", "c1", "nosuch")).status == 127
    assert (await linkspan(machine, "exec", "nosuch", "true")).status == 1


async def test_a_terminal_has_a_size_that_follows_ours_and_is_given_back(machine: DockerMachine) -> None:
    await machine.serve()
    rootfs = str(machine.rootfs)
    script = "trap 'stty size; exit 5' WINCH; stty size; echo ready; while true; do sleep 0.1; done"
    until = [(b"ready", RESIZE), (b"40 120", b"")]
    status, _ = await terminal(machine, "run", "--rm", "-it", "--rootfs", rootfs, "sh", "-c", script, until=until)
    assert status == 5


async def test_a_terminal_is_let_go_by_the_detach_keys(machine: DockerMachine) -> None:
    await machine.serve()
    flags = ["-it", "--name", "c1", "--rootfs", str(machine.rootfs)]
    status, _ = await terminal(
        machine, "run", *flags, "sh", until=[(b"# ", b"echo he''llo\n"), (b"hello", b"\x10"), (b"", b"\x11")]
    )
    assert status == 0
    assert (await linkspan(machine, "inspect", "-f", "{{.State.Running}}", "c1")).out == "true"
    status, _ = await terminal(machine, "attach", "c1", until=[(b"", b"echo t''wo; exit 7\n"), (b"two", b"")])
    assert status == 7


async def test_who_attaches_again_finds_the_same_process(machine: DockerMachine) -> None:
    await machine.serve()
    await run(machine, "sh", flags=["-dit", "--name", "c1"])
    status, _ = await terminal(machine, "attach", "c1", until=[(b"", b"V=4; echo o''ne\n"), (b"one", b"\x10\x11")])
    assert status == 0
    status, _ = await terminal(machine, "attach", "c1", until=[(b"", b"echo t''wo; exit $((V + 3))\n"), (b"two", b"")])
    assert status == 7


async def test_signals_go_to_the_container(machine: DockerMachine) -> None:
    await machine.serve()
    script = "trap 'echo told; exit 9' TERM; echo ready; while true; do sleep 0.1; done"
    process = await start(machine, "run", "--rm", "--rootfs", str(machine.rootfs), "sh", "-c", script)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await process.stdout.readline() == b"ready\n"
        process.terminate()
        out, _ = await process.communicate()
    assert out == b"told\n" and process.returncode == 9


async def test_events_come_as_they_happen(machine: DockerMachine) -> None:
    await machine.serve()
    process = await start(machine, "events", "--since", "1", "-f", "type=network", "--format", "{{.Action}}")
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        await linkspan(machine, "network", "create", "web")
        await until(process.stdout, b"create\n")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


async def test_without_the_daemon_every_command_says_so(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await daemon.end()
    for words in (["ps"], ["network", "ls"], ["status"]):
        ended = await linkspan(machine, *words)
        assert ended.status == 1 and ended.err.startswith("linkspan: no daemon listens at unix://")
        assert "hint: start one with `sudo linkspan daemon" in ended.err

"""`docker build` by the classic builder, through buildah: real layers, a cache, and Docker's words."""

import asyncio
import os
import re
import select
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients.machine import DockerMachine, Outcome, until
from tests.clients.shared import SharedMachine
from tests.support.images import archive, busybox
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

DOCKERFILE = """\
ARG BASE=nosuch
FROM ${BASE} AS one
ARG WHO=nobody
RUN echo "hello $WHO" > /hello && chmod 4755 /hello && ls /proc | grep -cx '[0-9]*' > /count
FROM busybox
COPY --from=one /hello /count /said/
COPY --chown=1000 files /files
ENV PLACE=here
HEALTHCHECK --interval=5s CMD true
USER ann
CMD cat /said/hello
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "text").write_text("mine\n")
    (tmp_path / "files" / "secret").write_text("no\n")
    (tmp_path / ".dockerignore").write_text("**/secret\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def build(shared: SharedMachine, *words: str, stdin: bytes = b"") -> Outcome:
    env = ["env", "DOCKER_BUILDKIT=0", *shared.machine.docker_command("build", *words)]
    return shared.run(*env, stdin=stdin)


def test_stages_arguments_labels_and_names(shared: SharedMachine, context: Path) -> None:
    words = ("-t", "app:1", "-t", "app:2", "--build-arg", "BASE=busybox", "--build-arg", "WHO=you", "--label", "k=v")
    built = build(shared, *words, str(context))
    assert built.status == 0, built
    assert re.search(r"Step 1/\d+ : FROM busybox AS one.*Step \d+/\d+ : CMD cat /said/hello", built.out, re.DOTALL)
    assert re.search(
        r"Successfully built [0-9a-f]{12}\nSuccessfully tagged app:1\nSuccessfully tagged app:2$", built.out
    )
    assert shared.done("run", "--rm", "app:1") == "hello you"
    shown = "{{.Config.Env}} {{.Config.User}} {{.Config.Labels.k}} {{.Config.Healthcheck.Test}}"
    assert shared.done("inspect", "-f", shown, "app:2") == "[PATH=/bin PLACE=here] ann v [CMD-SHELL true]"
    listed = shared.done("run", "--rm", "app:1", "ls", "-ln", "/said/hello", "/files/")
    assert re.search(r"-rwsr-xr-x .* 0 +0 .*/said/hello", listed) and re.search(r" 1000 .* text$", listed, re.MULTILINE)
    assert "secret" not in listed
    assert int(shared.done("run", "--rm", "app:1", "cat", "/said/count")) < 10, "a build sees its own processes only"


def test_a_step_that_was_made_before_comes_from_the_cache(shared: SharedMachine) -> None:
    text = b"FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n"
    first, second = (build(shared, "-t", f"cached:{number}", "-", stdin=text) for number in (1, 2))
    assert first.status == second.status == 0
    assert "Using cache" not in first.out and "---> Using cache" in second.out
    ids = shared.done("images", "-q", "cached").split()
    assert ids[0] == ids[1]
    third = build(shared, "--no-cache", "-q", "-", stdin=text)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", third.out) and ids[0] not in third.out


@pytest.mark.parametrize(
    ("dockerfile", "status", "said"),
    [
        ("FROM busybox\nRUN exit 7", 7, r"The command '/bin/sh -c exit 7' returned a non-zero code: 7"),
        ('FROM busybox\nRUN ["false"]', 1, r"The command 'false' returned a non-zero code: 1"),
        ("FROM busybox\nCOPY nosuch /", 1, r"COPY failed: file not found in build context"),
        ("FROM busybox\nNOSUCH x", 1, r"unknown instruction: NOSUCH"),
        ("FROM busybox\nFROM INVALID", 1, r"repository name \(library/INVALID\) must be lowercase"),
        ("FROM 127.0.0.1:1/nosuch", 1, r"connection refused"),
        ("# nothing", 1, r"the Dockerfile .* cannot be empty"),
    ],
)
def test_what_fails_is_said_in_dockers_words(shared: SharedMachine, dockerfile: str, status: int, said: str) -> None:
    before = shared.done("images", "-aq")
    failed = build(shared, "-", stdin=dockerfile.encode())
    assert failed.status == status and re.search(said, failed.err), failed
    assert shared.done("images", "-aq") == before


def test_a_target_a_dockerfile_from_elsewhere_and_an_image_by_its_id(shared: SharedMachine, context: Path) -> None:
    id = shared.done("images", "-q", "busybox")
    elsewhere = context.parent / "elsewhere.dockerfile"
    elsewhere.write_text(f"FROM {id} AS first\nCMD echo first\nFROM first\nRUN false\n")
    built = build(shared, "-t", "target", "--target", "first", "-f", str(elsewhere), str(context))
    assert built.status == 0, built
    assert shared.done("run", "--rm", "target") == "first"
    elsewhere.unlink()


def test_a_build_without_a_network_has_none(shared: SharedMachine) -> None:
    text = b"FROM busybox\nRUN ip -o link | wc -l > /links\nCMD cat /links\n"
    for name, network in (("with", "host"), ("without", "none")):
        built = build(shared, "--no-cache", "-t", name, "--network", network, "-", stdin=text)
        assert built.status == 0, built
    assert int(shared.done("run", "--rm", "without")) == 1 < int(shared.done("run", "--rm", "with"))


def test_steps_are_on_the_network_that_containers_would_be_on(shared: SharedMachine) -> None:
    shared.done("network", "create", "--subnet", "10.77.0.0/24", "chosen")
    shared.done("run", "-d", "--name", "peer", "--network", "chosen", "busybox", "sleep", "1000")
    text = b"FROM busybox\nRUN ip -4 -o addr show eth0; grep nameserver /etc/resolv.conf; ls /dev | wc -l"
    usual = build(shared, "--no-cache", "-", stdin=text)
    assert " 172.17.0." in usual.out and "127.0.0.11" not in usual.out, usual
    chosen = build(shared, "--no-cache", "--network", "chosen", "-", stdin=text + b"; ping -c 1 -W 5 peer")
    assert chosen.status == 0 and " 10.77.0." in chosen.out and "nameserver 127.0.0.11" in chosen.out, chosen
    shared_with = build(shared, "--no-cache", "--network", "container:peer", "-", stdin=text)
    address = shared.done("inspect", "-f", "{{.NetworkSettings.Networks.chosen.IPAddress}}", "peer")
    assert f" {address}/24 " in shared_with.out, shared_with
    assert shared.done("network", "inspect", "bridge", "-f", "{{len .Containers}}") == "0"
    shared.done("rm", "-f", "peer")
    shared.done("network", "rm", "chosen")


def test_a_step_is_in_a_container_with_its_limits(shared: SharedMachine) -> None:
    text = b"FROM busybox\nRUN grep Seccomp: /proc/self/status; ulimit -n; test ! -e /dev/loop-control; cat /etc/hosts"
    built = build(shared, "--no-cache", "--ulimit", "nofile=99:99", "--add-host", "foo:1.2.3.4", "-", stdin=text)
    assert built.status == 0 and re.search(r"Seccomp:\s2\n99\n.*1\.2\.3\.4\sfoo", built.out, re.DOTALL), built


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (("--network", "nosuch"), b"FROM busybox\n", "network nosuch not found"),
        (("--network", "container:nosuch"), b"FROM busybox\n", "No such container: nosuch"),
        (("--target", "nosuch"), b"FROM busybox\n", "failed to reach build target nosuch in Dockerfile"),
        ((), b'FROM busybox\nRUN ["/nosuch"]\n', 'unable to start container process: exec: "/nosuch": stat /nosuch'),
    ],
)
def test_what_cannot_be_built_is_said(shared: SharedMachine, words: tuple[str, ...], text: bytes, said: str) -> None:
    built = build(shared, *words, "-", stdin=text)
    assert built.status == 1 and said in built.err, built


def test_without_the_cache_every_step_is_a_layer_all_the_same(shared: SharedMachine) -> None:
    text = b"FROM busybox\nRUN echo one >/one\nRUN echo three >/two\n"
    assert build(shared, "--no-cache", "-t", "layers", "-", stdin=text).status == 0
    assert shared.done("history", "--format", "{{.Size}}", "layers").splitlines()[:2] == ["6B", "4B"]


def test_a_build_ends_with_its_client(shared: SharedMachine) -> None:
    async def leave() -> None:
        building = await shared.machine.start_docker("build", "-", env={"DOCKER_BUILDKIT": "0"})
        assert building.stdin is not None and building.stdout is not None
        building.stdin.write(b"FROM busybox\nRUN echo begun; sleep 1000\n")
        building.stdin.close()
        await until(building.stdout, b"begun\n")
        building.kill()
        await building.wait()

    shared.wait(leave())
    for _ in range(100):  # what a build keeps cannot be pruned while it runs
        if shared.docker("builder", "prune", "-f").status == 0:
            break
    assert shared.done("builder", "prune", "-f") == "Total reclaimed space: 0B"


async def test_a_build_ends_with_the_daemon_also_when_that_is_killed(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await machine.docker("load", stdin=archive([(busybox(), ["busybox:latest"])]))
    building = await machine.start_docker("build", "-", env={"DOCKER_BUILDKIT": "0"})
    assert building.stdin is not None and building.stdout is not None
    seconds = b"%d" % (1_000_000 + os.getpid())  # a number that no other sleeps for
    building.stdin.write(b"FROM busybox\nRUN echo begun; exec sleep %s\n" % seconds)
    building.stdin.close()
    await until(building.stdout, b"begun\n")
    async with asyncio.timeout(PATIENCE):
        while not (found := await asyncio.to_thread(processes, b"sleep\0%s\0" % seconds)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (step,) = found
        daemon.signal(signal.SIGKILL)
        assert await building.wait() != 0
        await asyncio.to_thread(ended, step)
    await machine.serve()
    assert not await asyncio.to_thread(groups)
    assert (await machine.docker("network", "inspect", "bridge", "-f", "{{len .Containers}}")).out == "0"
    again = await machine.docker("build", "-", stdin=b"FROM busybox\nRUN true\n", env={"DOCKER_BUILDKIT": "0"})
    assert again.status == 0, again


def groups() -> list[Path]:
    """The control groups of builds."""
    return list(Path("/sys/fs/cgroup").glob("**/linkspan/build-*"))


def processes(command: bytes) -> list[int]:
    """Those whose command line is this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if place.read_bytes() == command:
                found.append(int(place.parent.name))
    return found


def ended(pid: int) -> None:
    """Wait for the end of a process."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], PATIENCE)[0], f"process {pid} goes on"
        finally:
            os.close(descriptor)


def test_what_builds_keep_is_shown_and_pruned(shared: SharedMachine) -> None:
    assert build(shared, "-", stdin=b"FROM busybox\nRUN touch /kept\n").status == 0
    assert re.search(r"Build Cache +1 +0 +[0-9.]+MB", shared.done("system", "df"))
    assert re.search(r"Total reclaimed space: [0-9.]+MB", shared.done("builder", "prune", "-f"))
    assert re.search(r"Build Cache +0 +0 +0B", shared.done("system", "df"))


def test_nothing_is_left_mounted_or_running(shared: SharedMachine) -> None:
    assert str(shared.root / "data") not in Path("/proc/mounts").read_text()
    assert not list((shared.root / "data" / "images" / "tmp").iterdir())

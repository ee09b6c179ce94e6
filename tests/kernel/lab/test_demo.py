"""The demo, as a person runs it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.lab.test_hosts import mounts
from tests.support.container_hosts import CGROUPS, names

pytestmark = pytest.mark.slow


@pytest.fixture
def files() -> Iterator[Path]:
    """A directory with a short name, since it is part of the names of sockets."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


def start(files: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demo with its temporary files below `files`, so that what it leaves can be told from what others do.

    Its process group is its own, as that of a program started by a shell.
    """
    files.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "linkspan.lab.demo", *arguments],
        env=os.environ | {"TMPDIR": str(files)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(demo: subprocess.Popen[str], start: str) -> str:
    """What the demo prints up to the first line that starts so."""
    assert demo.stdout is not None
    seen = ""
    for line in demo.stdout:
        seen += line
        if line.startswith(start):
            return seen
    raise AssertionError(seen)


def assert_nothing_left(files: Path, output: str) -> None:
    assert list(files.iterdir()) == []
    assert mounts(files) == []
    assert users(files) == []
    ids = set(output.split())
    groups = [id for root in (CGROUPS, *CGROUPS.iterdir()) for id in names(root / "linkspan") if id in ids]
    assert groups == []


def users(files: Path) -> list[str]:
    """The programs whose arguments name something in a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_text(errors="replace")
        except OSError:
            continue
        if f"{files}/" in arguments:
            found.append(arguments.replace("\0", " "))
    return found


def test_two_demos_at_the_same_time_pass_and_leave_nothing(files: Path) -> None:
    before = socket.if_nameindex()
    with start(files / "one") as one, start(files / "two") as two:
        outputs = [one.communicate()[0], two.communicate()[0]]
    assert socket.if_nameindex() == before
    for place, demo, output in zip((files / "one", files / "two"), (one, two), outputs, strict=True):
        assert demo.returncode == 0, output
        assert "all checks hold" in output
        assert_nothing_left(place, output)


def test_the_iptables_demo_passes(files: Path) -> None:
    with start(files, "--firewall", "iptables") as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "DNAT" in output
    assert_nothing_left(files, output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["1. ", "4. "])
def test_a_stopped_demo_cleans_up(files: Path, number: signal.Signals, step: str) -> None:
    with start(files) as demo:
        seen = read_until(demo, step)
        demo.send_signal(number)
        rest, _ = demo.communicate()
    assert demo.returncode == 128 + number, rest
    assert "everything is cleaned up" in rest
    assert_nothing_left(files, seen + rest)


def test_ctrl_c_on_the_terminal_reaches_every_program_and_the_demo_still_cleans_up(files: Path) -> None:
    with start(files) as demo:
        seen = read_until(demo, "4. ")
        os.killpg(demo.pid, signal.SIGINT)
        os.killpg(demo.pid, signal.SIGINT)  # impatient
        rest, _ = demo.communicate()
    assert demo.returncode == 128 + signal.SIGINT, rest
    assert "everything is cleaned up" in rest
    assert_nothing_left(files, seen + rest)


def test_when_the_daemon_dies_the_demo_fails_and_cleans_up(files: Path) -> None:
    with start(files) as demo:
        seen = read_until(demo, "3. ")
        (pid,) = files.glob("linkspan-demo-*/pid")
        os.kill(int(pid.read_text()), signal.SIGKILL)
        rest, _ = demo.communicate()
    assert demo.returncode == 1, rest
    assert "failed: the steps end here: linkspan" in rest
    assert_nothing_left(files, seen + rest)

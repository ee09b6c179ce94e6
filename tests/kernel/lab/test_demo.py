"""The demo, as a person runs it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.lab.test_hosts import mounts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def start(files: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demo with its temporary files below `files`, so that what it leaves can be told from what others do."""
    files.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "linkspan.lab.demo", *arguments],
        env=os.environ | {"TMPDIR": str(files)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_nothing_left(files: Path) -> None:
    assert list(files.iterdir()) == []
    assert mounts(files) == []


def test_two_demos_at_the_same_time_pass_and_leave_nothing(tmp_path: Path) -> None:
    before = socket.if_nameindex()
    with start(tmp_path / "one") as one, start(tmp_path / "two") as two:
        outputs = [one.communicate()[0], two.communicate()[0]]
    assert socket.if_nameindex() == before
    for files, demo, output in zip((tmp_path / "one", tmp_path / "two"), (one, two), outputs, strict=True):
        assert demo.returncode == 0, output
        assert "all checks hold" in output
        assert_nothing_left(files)


def test_the_iptables_demo_passes(tmp_path: Path) -> None:
    with start(tmp_path / "demo", "--firewall", "iptables") as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "DNAT" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["1. ", "4. "])
def test_a_stopped_demo_cleans_up(tmp_path: Path, number: signal.Signals, step: str) -> None:
    files = tmp_path / "demo"
    with start(files) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith(step):
                demo.send_signal(number)
                break
        rest = demo.stdout.read()
    assert demo.returncode == 128 + number, rest
    assert "everything is cleaned up" in rest
    assert_nothing_left(files)

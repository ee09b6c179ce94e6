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
    demos = {tmp_path / name: start(tmp_path / name) for name in ("one", "two")}
    for files, demo in demos.items():
        output, _ = demo.communicate()
        assert demo.returncode == 0, output
        assert "all checks hold" in output
        assert "✗" not in output
        assert_nothing_left(files)
    assert socket.if_nameindex() == before


def test_the_iptables_demo_passes(tmp_path: Path) -> None:
    output, _ = start(tmp_path / "demo", "--firewall", "iptables").communicate()
    assert "all checks hold" in output, output
    assert "DNAT" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["1. ", "4. "])
def test_a_stopped_demo_cleans_up(tmp_path: Path, number: signal.Signals, step: str) -> None:
    files = tmp_path / "demo"
    demo = start(files)
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if line.startswith(step):
            demo.send_signal(number)
            break
    rest = demo.stdout.read()
    assert demo.wait() == 128 + number, "".join(lines) + rest
    assert "everything is cleaned up" in rest
    assert_nothing_left(files)
    demo.stdout.close()

"""A daemon without anything behind it, and the command that talks to it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linkspan.cli.program import main
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

Run = Callable[..., int]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    """On a socket with a short path: those of pytest may be longer than the kernel allows."""
    with tempfile.TemporaryDirectory() as directory, fake_daemon(Path(directory) / "socket") as made:
        yield made


@pytest.fixture
def run(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("network", "ls")` calls the command, and returns its exit status."""
    monkeypatch.setenv("LINKSPAN_HOST", daemon.host)

    def call(*argv: str) -> int:
        return main(argv, lambda rest: 42)

    return call

"""A daemon without anything behind it, and the command that talks to it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linkspan.cli.program import main
from tests.unit.cli.pier import Pier, pier

Run = Callable[..., int]


@pytest.fixture
def daemon() -> Iterator[Pier]:
    """On a socket with a short path: those of pytest may be longer than the kernel allows."""
    with tempfile.TemporaryDirectory() as directory, pier(Path(directory) / "socket") as made:
        yield made


@pytest.fixture
def run(daemon: Pier, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("network", "ls")` calls the command, and returns its exit status."""
    monkeypatch.setenv("LINKSPAN_HOST", daemon.host)

    def call(*argv: str) -> int:
        return main(argv, lambda rest: 42)

    return call

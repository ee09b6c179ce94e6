"""Temporary files in memory, where making and removing a directory costs a twentieth."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_in_memory() -> Iterator[None]:
    """Those of `tempfile`; pytest's own are kept for whoever looks into a failure."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        yield
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", directory)
        yield

"""What only Linux itself can show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machines import LinuxMachine, linux_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[LinuxMachine]:
    with linux_machine(tmp_path) as machine:
        yield machine

"""Each claim is made about Linux and about the kernel in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machines import Machine, fake_machine, linux_machine


@pytest.fixture(params=["linux", "fake"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    with linux_machine(tmp_path) if request.param == "linux" else fake_machine() as machine:
        yield machine

"""The data plane's process on a machine of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.planes import PlaneHost, plane_host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PlaneHost]:
    with plane_host(tmp_path) as host:
        yield host

"""What the name servers under test have in common."""

from pathlib import Path

import pytest

from tests.support.nameservers import list_servers


@pytest.fixture
def resolv_conf(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    list_servers(path, "198.51.100.1")
    return path

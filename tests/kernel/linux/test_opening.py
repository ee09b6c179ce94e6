"""What is left of a kernel that could not be opened."""

import asyncio
import gc
from pathlib import Path

import pytest

from linkspan.kernel.firewall import Firewall
from linkspan.kernel.linux import LinuxKernel
from linkspan.model.errors import UnavailableError
from tests.support.machines import ENGINE, open_files


def test_a_firewall_that_does_not_work_leaves_no_file_open(tmp_path: Path) -> None:
    def refuse(_: str) -> Firewall:
        raise UnavailableError("there is no firewall here")

    async def fail() -> None:
        with pytest.raises(UnavailableError, match="no firewall"):
            await LinuxKernel.open(namespace=None, exec_root=tmp_path, engine_id=ENGINE, firewall=refuse)

    gc.collect()
    before = open_files()
    asyncio.run(fail())
    gc.collect()
    assert open_files() == before

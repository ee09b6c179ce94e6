"""kill -9 before and after everything that is asked of the machine: nothing is left, and nothing that ran is lost."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest

from linkspan.model.containers import Status
from tests.conftest import ROOT
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

STRIDE = 6
"""Each test takes every sixth step, so that they can run side by side."""


@pytest.mark.parametrize("first", range(1, STRIDE + 1))
async def test_a_death_at_any_step_leaves_nothing(place: ContainerHost, first: int) -> None:
    step = first
    while await dies(place, step):
        await place.open()
        for container in place.containers.all():
            assert container.state.status in (Status.CREATED, Status.RUNNING, Status.EXITED)
            await asyncio.wait_for(place.settle(container.id), PATIENCE)
        assert place.leftovers() == [], f"step {step}"
        await place.empty()
        assert place.leftovers() == [], f"step {step}"
        step += STRIDE
    await place.open()
    assert step > STRIDE


async def dies(place: ContainerHost, step: int) -> bool:
    """Whether a process that lives a container's life is killed at that step."""
    await place.close()
    arguments = (str(place.root), str(place.machine.namespace), str(step))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.doomed", *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode in (0, -9), complaint.decode()
    assert (said == b"alive\n") is (process.returncode == 0)
    return process.returncode != 0

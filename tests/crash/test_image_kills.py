"""The daemon killed at random moments of a load, a pull and a removal: an image is whole, or nothing of it is there."""

import asyncio
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients.machine import Daemon, DockerMachine
from tests.support.images import archive, busybox
from tests.support.patience import PATIENCE
from tests.support.registry import registry

pytestmark = pytest.mark.slow

KILLS = 8
LONGEST = 0.5
"""Seconds that a load, a pull or a removal takes at most when nobody kills it, more or less."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerMachine:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return DockerMachine(tmp_path)


def files(machine: DockerMachine) -> list[Path]:
    """Everything that is kept of images."""
    top = machine.root / "data/images"
    return [path for directory in ("blobs/sha256", "roots", "tmp") for path in (top / directory).iterdir()]


async def killed(machine: DockerMachine, daemon: Daemon, words: Sequence[str], after: float) -> Daemon:
    """The docker command, the daemon killed while it is busy with it, and the next daemon."""
    process = await machine.start_docker(*words)
    await asyncio.sleep(after)  # a moment of its work: no event is to tell which
    daemon.signal(signal.SIGKILL)
    await daemon.process.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await process.communicate()
    return await machine.serve()


async def whole_or_nothing(machine: DockerMachine) -> bool:
    """Whether the image is there; checks that it works then, and else that nothing is left of it."""
    if not (await machine.docker("images", "-q")).out:
        assert files(machine) == []
        return False
    ran = await machine.docker("run", "--rm", "busybox:1", "echo", "whole")
    assert ran.out == "whole", ran.err
    assert not any(path.parent.name == "tmp" for path in files(machine))
    return True


async def scenario(machine: DockerMachine, chance: random.Random) -> None:
    async with machine, registry(machine.site, machine.root / "registry") as server:
        path = machine.root / "busybox.tar"
        path.write_bytes(archive([(busybox(), ["busybox:1", f"{server.name}/busybox:1"])]))
        daemon = await machine.serve()
        await machine.docker("load", "-i", str(path))
        await machine.docker("push", f"{server.name}/busybox:1")
        await machine.docker("rmi", "busybox:1", f"{server.name}/busybox:1")
        assert files(machine) == []
        for _ in range(KILLS):
            words = chance.choice((["load", "-i", str(path)], ["pull", f"{server.name}/busybox:1"]))
            daemon = await killed(machine, daemon, words, chance.uniform(0, LONGEST))
            await machine.docker("tag", f"{server.name}/busybox:1", "busybox:1")
            if await whole_or_nothing(machine):
                daemon = await killed(machine, daemon, ["image", "prune", "-af"], chance.uniform(0, LONGEST / 4))
                if await whole_or_nothing(machine):
                    await machine.docker("image", "prune", "-af")
                assert files(machine) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_an_image_is_whole_or_not_there(machine: DockerMachine, seed: int) -> None:
    asyncio.run(scenario(machine, random.Random(seed)))

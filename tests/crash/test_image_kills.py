"""The daemon killed at random moments of a load, a pull and a removal: an image is whole, or nothing of it is there."""

import asyncio
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients.harbour import Daemon, Harbour
from tests.support.images import archive, busybox
from tests.support.registry import registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 8
LONGEST = 0.5
"""Seconds that a load, a pull or a removal takes at most when nobody kills it, more or less."""


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harbour:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Harbour(tmp_path)


def files(harbour: Harbour) -> list[Path]:
    """Everything that is kept of images."""
    top = harbour.root / "data/images"
    return [path for directory in ("blobs/sha256", "roots", "tmp") for path in (top / directory).iterdir()]


async def killed(harbour: Harbour, daemon: Daemon, words: Sequence[str], after: float) -> Daemon:
    """The docker command, the daemon killed while it is busy with it, and the next daemon."""
    process = await harbour.start_docker(*words)
    await asyncio.sleep(after)  # a moment of its work: no event is to tell which
    daemon.signal(signal.SIGKILL)
    await daemon.process.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await process.communicate()
    return await harbour.serve()


async def whole_or_nothing(harbour: Harbour) -> bool:
    """Whether the image is there; checks that it works then, and else that nothing is left of it."""
    if not (await harbour.docker("images", "-q")).out:
        assert files(harbour) == []
        return False
    ran = await harbour.docker("run", "--rm", "busybox:1", "echo", "whole")
    assert ran.out == "whole", ran.err
    assert not any(path.parent.name == "tmp" for path in files(harbour))
    return True


async def scenario(harbour: Harbour, chance: random.Random) -> None:
    async with harbour, registry(harbour.machine, harbour.root / "registry") as server:
        path = harbour.root / "busybox.tar"
        path.write_bytes(archive([(busybox(), ["busybox:1", f"{server.name}/busybox:1"])]))
        daemon = await harbour.serve()
        await harbour.docker("load", "-i", str(path))
        await harbour.docker("push", f"{server.name}/busybox:1")
        await harbour.docker("rmi", "busybox:1", f"{server.name}/busybox:1")
        assert files(harbour) == []
        for _ in range(KILLS):
            words = chance.choice((["load", "-i", str(path)], ["pull", f"{server.name}/busybox:1"]))
            daemon = await killed(harbour, daemon, words, chance.uniform(0, LONGEST))
            await harbour.docker("tag", f"{server.name}/busybox:1", "busybox:1")
            if await whole_or_nothing(harbour):
                daemon = await killed(harbour, daemon, ["image", "prune", "-af"], chance.uniform(0, LONGEST / 4))
                if await whole_or_nothing(harbour):
                    await harbour.docker("image", "prune", "-af")
                assert files(harbour) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_an_image_is_whole_or_not_there(harbour: Harbour, seed: int) -> None:
    asyncio.run(scenario(harbour, random.Random(seed)))

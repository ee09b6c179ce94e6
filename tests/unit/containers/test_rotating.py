"""A log is looked at while it grows, and not at all while it does not."""

import asyncio
import os
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from linkspan.containers.layout import Layout
from linkspan.containers.ports import Host
from linkspan.containers.register import Life
from linkspan.containers.rotating import REOPEN, Rotator
from linkspan.model.containers import Container, CreateContainer
from linkspan.model.logdrivers import LogConfig, LogDriver

PATIENCE = 30.0
ID = "1" * 64


class FakeWatch:
    """A watch that tells what the test says."""

    def __init__(self) -> None:
        self.descriptor, self._far = os.pipe()
        os.set_blocking(self.descriptor, False)
        self.armed = asyncio.Semaphore(0)
        self.number = 0

    def add(self, directory: Path, *, once: bool = False) -> int:
        assert once and directory.name == ID
        self.number += 1
        self.armed.release()
        return self.number

    def tell(self) -> None:
        os.write(self._far, b"x")

    def told(self) -> Collection[int]:
        os.read(self.descriptor, 10)
        return {self.number}

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._far)


def pending() -> list[str]:
    """The callbacks that the loop calls later."""
    return [repr(each) for each in getattr(asyncio.get_running_loop(), "_scheduled", ()) if not each.cancelled()]


class FakeHost:
    """A machine that can do nothing but watch."""

    def __init__(self, watch: FakeWatch) -> None:
        self._watch = watch

    def watch(self) -> FakeWatch:
        return self._watch


class Scene:
    """One container with a log, and the one who rotates it."""

    def __init__(self, root: Path) -> None:
        self.watch = FakeWatch()
        layout = Layout(root / "data", root / "exec")
        self.places = layout.of(ID)
        self.places.data.mkdir(parents=True)
        self.places.bundle.mkdir(parents=True)
        self.places.log.touch()
        os.mkfifo(self.places.bundle / "ctl")
        self.control = os.open(self.places.bundle / "ctl", os.O_RDWR | os.O_NONBLOCK)
        logging = LogConfig(LogDriver.JSON_FILE, {"max-size": "1k", "max-file": "2"})
        wanted = CreateContainer("web", "/", ("sh",), logging=logging)
        self.life = Life(Container(ID, "web", datetime(2026, 1, 1, tzinfo=UTC), wanted))
        self.rotator = Rotator(cast("Host", FakeHost(self.watch)), layout)

    def grow(self, size: int) -> int:
        """The log is written to; returns its size."""
        with self.places.log.open("a") as file:
            file.write("x" * size)
        return self.places.log.stat().st_size

    async def looked_at(self, size: int) -> None:
        """Wait until the log has been seen with that size."""
        async with asyncio.timeout(PATIENCE):
            while self.rotator.size(self.life) != size:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)

    def reopen(self) -> None:
        """Conmon begins a new file."""
        self.places.spare_log.rename(self.places.log)

    def timers(self) -> list[str]:
        """What the loop is to do later."""
        return [each for each in pending() if "Rotator" in each]

    async def armed(self) -> None:
        """Wait until the next that is written will be told."""
        async with asyncio.timeout(PATIENCE):
            await self.watch.armed.acquire()

    async def ordered(self) -> bytes:
        """What conmon is told."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.control, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), PATIENCE)
        finally:
            loop.remove_reader(self.control)
        return os.read(self.control, 100)


def test_a_quiet_log_is_looked_at_no_more_until_something_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        async with scene.rotator.running():
            scene.rotator.begin(scene.life)
            await scene.armed()
            assert scene.watch.number == 1 and not scene.timers()
            scene.grow(10)
            scene.watch.tell()
            await scene.armed()
            assert scene.watch.number == 2 and not scene.timers()

    asyncio.run(scenario())


def test_a_full_log_is_rotated_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        async with scene.rotator.running():
            scene.rotator.begin(scene.life)
            await scene.armed()
            scene.grow(1000)
            scene.watch.tell()
            assert await scene.ordered() == f"{REOPEN}\n".encode()
            await scene.looked_at(scene.grow(500))
            with pytest.raises(BlockingIOError):
                os.read(scene.control, 100)
            scene.reopen()
            await scene.armed()
            assert scene.places.numbered_log(1).stat().st_size == 1500 and scene.places.log.stat().st_size == 0
            assert scene.places.log.samefile(scene.places.numbered_log(2))

    asyncio.run(scenario())


def test_what_is_full_at_the_end_is_not_gone_on_with(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        async with scene.rotator.running():
            scene.rotator.begin(scene.life)
            scene.grow(5000)
            scene.rotator.end(scene.life)
            assert scene.places.log.stat().st_size == 0 and not scene.places.spare_log.exists()

    asyncio.run(scenario())

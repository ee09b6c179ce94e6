"""Logs are rotated under the hands of a real conmon: no line is lost, none repeated, and the disk does not fill."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from linkspan.containers.logfiles import UNWATCHED
from linkspan.containers.waiting import readable
from linkspan.kernel.watching import Watch
from linkspan.model.containers import Container, Mount, MountKind
from linkspan.model.errors import UnimplementedError
from linkspan.model.logdrivers import LogConfig, LogDriver
from tests.kernel.containers.test_taking_over import gone, monitor_of
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
MANY = 1_000_000
"""So many numbers are 52 MB with their times."""

SMALL = LogConfig(LogDriver.JSON_FILE, {"max-size": "1m", "max-file": "3"})
WRITE = f"busybox seq 1 {MANY}"


async def started(place: ContainerHost, script: str, logging: LogConfig = SMALL) -> tuple[Container, Path]:
    """A container that waits for `go`, and the directory of its log."""
    go = Mount(MountKind.BIND, "/go", str(place.root / "go"), create=True)
    waiting = "while ! test -e /go/go; do sleep 0.02; done"
    container = await place.run("sh", "-c", f"{waiting}; {script}", name="web", mounts=[go], logging=logging)
    return container, place.data_root / "containers" / container.id


def go(place: ContainerHost) -> None:
    (place.root / "go" / "go").touch()


async def read(place: ContainerHost, **selection: object) -> list[int]:
    """The numbers in the log; a line may come in pieces."""
    async with asyncio.timeout(PATIENCE):
        return [int(text) for text in b"".join([text for _, text in await place.log("web", **selection)]).split()]


def sizes(data: Path) -> Mapping[int, int]:
    """The sizes of the files of a log by inode: a file with two names is one."""
    return {found.st_ino: found.st_size for found in (path.stat() for path in data.glob("log*"))}


async def until(data: Path, condition: Callable[[], bool]) -> None:
    """Wait until something holds that only what happens in a directory can change."""
    watch = Watch()
    try:
        watch.add(data)
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await readable(watch.descriptor)
                watch.told()
    finally:
        watch.close()


def successive(numbers: Sequence[int]) -> bool:
    return all(after == before + 1 for before, after in pairwise(numbers))


async def test_who_follows_a_fast_writer_gets_every_line_once_over_all_rotations(place: ContainerHost) -> None:
    _, data = await started(place, WRITE)
    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(read(place, follow=True)) for _ in range(2)]
        await asyncio.sleep(0)
        go(place)
    expected = list(range(1, MANY + 1))
    assert [reader.result() == expected for reader in readers] == [True, True]
    assert max(int(path.suffix[1:]) for path in data.glob("log.[0-9]*")) > 10


async def test_fifty_megabytes_leave_three_and_they_are_the_last(place: ContainerHost) -> None:
    _, data = await started(place, WRITE)
    ended = place.containers.wait("web", "next-exit")
    go(place)
    await asyncio.wait_for(ended, PATIENCE)
    assert len(sizes(data)) <= 3 and sum(sizes(data).values()) <= 5 * MEGABYTE
    left = await read(place)
    assert successive(left) and left[-1] == MANY and len(left) * 52 >= 2 * MEGABYTE
    assert await read(place, tail=3) == [MANY - 2, MANY - 1, MANY]
    await place.containers.remove("web")
    assert not data.exists()


async def test_a_slow_writer_is_rotated_where_its_file_is_full(place: ContainerHost) -> None:
    script = "for i in 1 2 3 4 5 6; do busybox seq 1 5000; sleep 0.1; done; sleep 1000"
    _, data = await started(place, script, LogConfig(LogDriver.LOCAL, {"max-size": "200k", "max-file": "3"}))
    go(place)
    await until(data, lambda: (data / "log.6").exists())
    assert len(sizes(data)) <= 4  # with the spare one


async def test_a_log_goes_on_where_it_was_when_its_container_is_started_again(place: ContainerHost) -> None:
    _, data = await started(place, f"{WRITE} | tail -n 30000")
    go(place)
    for _ in range(2):
        ended = place.containers.wait("web", "next-exit")
        await place.containers.start("web")
        await asyncio.wait_for(ended, PATIENCE)
    assert sum(sizes(data).values()) <= 5 * MEGABYTE
    left = await read(place)
    assert successive(left[-30000:]) and left[-1] == MANY


async def test_while_nobody_looks_the_disk_does_not_fill_and_the_next_of_us_catches_up(place: ContainerHost) -> None:
    container, data = await started(place, "busybox seq 1 3000000")
    monitor = monitor_of(place, container.id)
    await place.close()
    go(place)
    await gone(monitor)
    assert UNWATCHED < sum(sizes(data).values()) <= 3 * UNWATCHED
    await place.open()
    await asyncio.wait_for(place.containers.wait("web"), PATIENCE)
    assert sum(sizes(data).values()) <= 3 * MEGABYTE
    left = await read(place)
    assert left and successive(left) and left[-1] == 3000000


async def test_what_grew_while_nobody_looked_is_rotated_at_once_though_nothing_more_is_written(
    place: ContainerHost,
) -> None:
    _, data = await started(place, f"{WRITE} | tail -n 200000; touch /go/done; sleep 1000")
    await place.close()
    go(place)
    await until(place.root / "go", lambda: (place.root / "go" / "done").exists())
    await until(data, lambda: (data / "log").stat().st_size > 10 * MEGABYTE)
    await place.open()
    await until(data, lambda: (data / "log").stat().st_size == 0)
    await until(data, lambda: sum(sizes(data).values()) <= 3 * MEGABYTE)
    left = await read(place)
    assert left and successive(left) and left[-1] == MANY


async def test_a_log_that_nobody_wants_is_not_written(place: ContainerHost) -> None:
    container = await place.create(
        "sh", "-c", "echo out; exit 3", name="web", logging=LogConfig(LogDriver.NONE), auto_remove=False
    )
    streams = await place.containers.attach("web")
    ended = place.containers.wait("web", "next-exit")
    await place.containers.start("web")
    assert [data async for _, data in streams] == [b"out\n"]
    assert (await asyncio.wait_for(ended, PATIENCE))[0] == 3
    with pytest.raises(UnimplementedError, match=r"^configured logging driver does not support reading$"):
        place.containers.logs("web")
    assert not list((place.data_root / "containers" / container.id).glob("log*"))
    await streams.close()

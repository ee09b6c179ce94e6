"""Containers outlive the process that started them, and the next one finds everything out."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from linkspan.model.containers import ExecRequest, Status
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), PATIENCE)
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def monitor_of(place: ContainerHost, id: str) -> int:
    return int((place.exec_root / "containers" / id / "conmon.pid").read_text())


async def test_what_runs_goes_on_and_is_taken_over(place: ContainerHost) -> None:
    container = await place.run(name="web", publish=["8080:80"])
    await place.close()
    await place.open()
    assert place.containers.get("web") == container
    assert (await place.exec("web", "ip", "-4", "address", "show", "eth0"))[0] == 0
    assert await place.containers.stop("web", timeout=0) is True
    assert place.containers.get("web").state.exit_code == 137


async def test_an_exit_status_is_not_lost_while_nobody_looks(place: ContainerHost) -> None:
    last_words = "trap 'echo written; exit 5' TERM; echo ready; while true; do sleep 1000 & wait; done"
    container = await place.run("sh", "-c", last_words, name="web")
    await place.until_written("web", "ready")
    monitor = monitor_of(place, container.id)
    await place.close()
    os.kill(container.state.pid, signal.SIGTERM)
    await gone(monitor)
    await place.open()
    assert (await asyncio.wait_for(place.containers.wait("web"), PATIENCE))[0] == 5
    assert await place.log("web") == [(1, b"ready\n"), (1, b"written\n")]


async def test_a_restart_of_the_machine_ends_everything(place: ContainerHost) -> None:
    container = await place.run(name="web")
    await place.close()
    monitor = monitor_of(place, container.id)
    os.kill(monitor, signal.SIGKILL)  # a reboot leaves no exit status, and here not even the monitor
    await place.open()
    assert (await asyncio.wait_for(place.containers.wait("web"), PATIENCE))[0] == 255
    assert place.leftovers() == []
    await place.containers.start("web")


async def test_a_monitor_that_dies_takes_its_container_along(place: ContainerHost) -> None:
    container = await place.run(name="web")
    exit = place.containers.wait("web", "next-exit")
    os.kill(monitor_of(place, container.id), signal.SIGKILL)
    assert (await asyncio.wait_for(exit, PATIENCE))[0] == 255
    await gone(container.state.pid)
    assert place.leftovers() == []


async def test_a_paused_container_whose_monitor_dies_is_ended_too(place: ContainerHost) -> None:
    """What is frozen by version 1 of control groups does not die of a kill before it is thawed."""
    container = await place.run(name="web")
    await place.containers.pause("web")
    exit = place.containers.wait("web", "next-exit")
    os.kill(monitor_of(place, container.id), signal.SIGKILL)
    assert (await asyncio.wait_for(exit, PATIENCE))[0] == 255
    await gone(container.state.pid)
    assert place.leftovers() == []


async def test_auto_removed_containers_that_ended_meanwhile_are_removed(place: ContainerHost) -> None:
    container = await place.run(name="web", auto_remove=True)
    await place.close()
    os.kill(container.state.pid, signal.SIGKILL)
    await place.open()
    if place.containers.all():
        await asyncio.wait_for(place.containers.wait("web", "removed"), PATIENCE)
    assert list(place.containers.all()) == [] and place.leftovers() == []


async def test_a_half_finished_removal_is_finished(place: ContainerHost) -> None:
    container = await place.run(name="web")
    await place.containers.stop("web", timeout=0)
    life = place.containers._register.get("web")
    state = replace(life.container.state, status=Status.REMOVING)
    await place.containers._register.save(life, replace(life.container, state=state))
    await place.close()
    await place.open()
    assert list(place.containers.all()) == []
    assert not (place.data_root / "containers" / container.id).exists()


async def test_bundles_of_further_processes_go_once_they_have_ended(place: ContainerHost) -> None:
    """Those that end while nobody looks go at the next start; what still runs keeps its own."""
    container = await place.run(name="web")
    bundles: dict[int, Path] = {}
    for _ in range(2):
        session = await place.containers.exec_create("web", ExecRequest(("sleep", "1000")))
        await place.containers.exec_start(session.id, detach=True)
        pid = place.containers.exec(session.id).pid
        bundles[pid] = place.exec_root / "containers" / container.id / f"exec-{session.id[:12]}"
    (ended, gone_bundle), (_, kept) = bundles.items()
    await place.close()
    monitor = int((gone_bundle / "conmon.pid").read_text())
    os.kill(ended, signal.SIGKILL)
    await gone(monitor)
    await place.open()
    assert (gone_bundle.exists(), kept.exists()) == (False, True)


async def test_files_of_nobody_are_deleted(place: ContainerHost) -> None:
    await place.close()
    stray = "0" * 64
    for directory in (
        place.data_root / "containers" / stray / "upper",
        place.exec_root / "containers" / stray / "rootfs",
    ):
        directory.mkdir(parents=True)
    await place.open()
    assert place.leftovers() == []


async def test_a_shared_network_is_kept_across_processes(place: ContainerHost) -> None:
    owner = await place.run(name="owner")
    await place.run(name="member", mode="container:owner")
    await place.containers.stop("owner", timeout=0)
    await place.close()
    await place.open()
    assert owner.id in place.engine.sandboxes
    await place.containers.start("owner")
    assert (await place.exec("owner", "readlink", "/proc/self/ns/net")) == (
        await place.exec("member", "readlink", "/proc/self/ns/net")
    )
    await place.containers.remove("owner", force=True)

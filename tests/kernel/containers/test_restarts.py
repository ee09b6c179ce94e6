"""Containers that are started again, by their policies and with the daemon, and their health."""

import asyncio
import os
import select
import signal
from collections.abc import Callable

import pytest

from linkspan.model.containers import Container, Status
from linkspan.model.health import Condition, HealthCheck
from linkspan.model.resources import Restart, RestartPolicy
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

ALWAYS, UNLESS_STOPPED = RestartPolicy(Restart.ALWAYS), RestartPolicy(Restart.UNLESS_STOPPED)


async def kill(box: Container) -> None:
    """Kill its process, and wait until that has ended: its monitor knows then, whoever looks."""
    process = os.pidfd_open(box.state.pid)
    try:
        os.kill(box.state.pid, signal.SIGKILL)
        await asyncio.to_thread(select.select, [process], [], [], PATIENCE)
    finally:
        os.close(process)


async def until(place: ContainerHost, id: str, holds: Callable[[Container], bool]) -> Container:
    """The container, once something holds of it."""
    async with asyncio.timeout(PATIENCE):
        while not holds(place.containers.get(id)):  # noqa: ASYNC110 - what is kept between two events counts too
            await asyncio.sleep(0.01)
    return place.containers.get(id)


async def test_a_failure_is_followed_by_so_many_starts(place: ContainerHost) -> None:
    box = await place.run("sh", "-c", "exit 3", restart=RestartPolicy(Restart.ON_FAILURE, 2))
    ended = await until(place, box.id, lambda each: each.state.status is Status.EXITED)
    assert (ended.state.restarts, ended.state.exit_code) == (2, 3)
    assert place.happened().count("container start") == 3


async def test_success_is_no_failure(place: ContainerHost) -> None:
    box = await place.run("true", restart=RestartPolicy(Restart.ON_FAILURE))
    ended = await until(place, box.id, lambda each: each.state.status is not Status.RUNNING)
    assert (ended.state.status, ended.state.restarts) == (Status.EXITED, 0)


async def test_what_waits_for_its_start_can_be_stopped(place: ContainerHost) -> None:
    box = await place.run("false", restart=ALWAYS)
    await until(place, box.id, lambda each: each.state.restarts >= 3 and each.state.status is Status.RESTARTING)
    assert await place.containers.stop(box.id)
    state = place.containers.get(box.id).state
    assert state.status is Status.EXITED and state.stopped


async def test_what_waits_for_its_start_can_be_removed_by_force(place: ContainerHost) -> None:
    box = await place.run("false", restart=ALWAYS)
    await until(place, box.id, lambda each: each.state.restarts >= 3)
    await place.containers.remove(box.id, force=True)
    assert place.containers.all() == []


async def test_a_container_that_is_stopped_stays_so_until_the_daemon_starts_if_always(place: ContainerHost) -> None:
    boxes = [await place.run(restart=policy) for policy in (ALWAYS, UNLESS_STOPPED, RestartPolicy())]
    for box in boxes:
        await place.containers.stop(box.id, timeout=0)
        assert place.containers.get(box.id).state.status is Status.EXITED
    await place.close()
    await place.open()
    await until(place, boxes[0].id, lambda each: each.state.running)
    assert [place.containers.get(box.id).state.running for box in boxes] == [True, False, False]


async def test_what_ended_while_nobody_looked_is_started_again(place: ContainerHost) -> None:
    box = await place.run(restart=ALWAYS)
    await place.close()
    await kill(box)
    await place.open()
    again = await until(place, box.id, lambda each: each.state.restarts == 1 and each.state.running)
    assert again.state.pid != box.state.pid


async def test_a_start_by_hand_counts_anew(place: ContainerHost) -> None:
    box = await place.run("sh", "-c", "exit 1", restart=RestartPolicy(Restart.ON_FAILURE, 1))
    await until(place, box.id, lambda each: each.state.status is Status.EXITED and each.state.restarts == 1)
    await place.containers.start(box.id)
    await until(place, box.id, lambda each: each.state.status is Status.EXITED and each.state.restarts == 1)
    assert place.happened().count("container start") == 4


async def test_health_comes_and_goes(place: ContainerHost) -> None:
    check = HealthCheck(("sh", "-c", "echo looking; test -e /well"), interval=0.1, retries=2)
    box = await place.run(health=check)
    state = place.containers.get(box.id).state
    assert state.health is not None and state.health.condition is Condition.STARTING
    await until(place, box.id, is_in(Condition.UNHEALTHY))
    await place.exec(box.id, "touch", "/well")
    healthy = await until(place, box.id, is_in(Condition.HEALTHY))
    assert healthy.state.health is not None
    assert healthy.state.health.streak == 0 and healthy.state.health.probes[-1].output == "looking\n"
    changes = [event for event in place.happened() if "health_status" in event]
    assert changes == ["container health_status: unhealthy", "container health_status: healthy"]


def is_in(condition: Condition) -> Callable[[Container], bool]:
    return lambda each: each.state.health is not None and each.state.health.condition is condition


async def test_a_check_that_takes_too_long_is_ended(place: ContainerHost) -> None:
    box = await place.run(health=HealthCheck(("sleep", "777"), interval=0.1, timeout=0.2, retries=1))
    ill = await until(place, box.id, is_in(Condition.UNHEALTHY))
    assert ill.state.health is not None
    assert ill.state.health.probes[0].exit_code == -1 and "exceeded timeout" in ill.state.health.probes[0].output
    await place.containers.pause(box.id)  # no check begins any more


async def test_health_is_known_after_a_restart_of_the_daemon(place: ContainerHost) -> None:
    box = await place.run(health=HealthCheck(("true",), interval=0.1))
    await until(place, box.id, is_in(Condition.HEALTHY))
    await place.close()
    await place.open()
    health = place.containers.get(box.id).state.health
    assert health is not None and health.condition is Condition.HEALTHY
    last = health.probes[-1]
    await until(place, box.id, lambda each: each.state.health is not None and each.state.health.probes[-1] != last)

"""Containers from create to remove, with a real runtime."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkspan import CreateNetwork
from linkspan.containers.register import Life
from linkspan.model.containers import Container, Mount, MountKind, Status
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError
from linkspan.model.requests import EndpointRequest
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

IGNORES_TERM = ("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1000 & wait; done")


async def test_the_network_is_complete_at_the_first_instruction(place: ContainerHost) -> None:
    text = await place.output("sh", "-c", "ip -4 address show eth0; ip route; ping -c 1 -w 30 172.17.0.1 && echo pong")
    assert "172.17.0.2/16" in text and "default via 172.17.0.1" in text and "pong" in text


async def test_the_exit_status_and_the_times_are_kept(place: ContainerHost) -> None:
    container = await place.create("sh", "-c", "exit 3", name="web")
    ended = place.containers.wait("web", "next-exit")
    assert await place.containers.start("web") is True
    assert await asyncio.wait_for(ended, PATIENCE) == (3, None)
    state = place.containers.get("web").state
    assert (state.status, state.exit_code, state.pid, state.error) == (Status.EXITED, 3, 0, "")
    assert state.started is not None and state.finished is not None and state.started <= state.finished
    assert place.leftovers() == []
    assert await place.containers.wait(container.id) == (3, None)


async def test_events_come_in_dockers_order(place: ContainerHost) -> None:
    await place.run("sleep", "1000", name="web")
    await place.containers.stop("web", timeout=0)
    await place.containers.remove("web")
    await asyncio.sleep(0)
    assert place.happened() == [
        "container create",
        "network connect",
        "container start",
        "container kill",
        "container kill",
        "network disconnect",
        "container die",
        "container stop",
        "container destroy",
    ]
    died = next(event for event in place.events if event.action == "die")
    assert dict(died.attributes)["exitCode"] == "137" and dict(died.attributes)["name"] == "web"


async def test_starting_what_runs_and_stopping_what_does_not_change_nothing(place: ContainerHost) -> None:
    await place.run(name="web")
    assert await place.containers.start("web") is False
    assert await place.containers.stop("web", timeout=0) is True
    assert await place.containers.stop("web") is False


async def test_what_has_started_executes_its_own_program(place: ContainerHost) -> None:
    """As long as it is still the runtime's, a SIGTERM ends it, which the first process of a container ignores."""
    for _ in range(20):
        container = await place.run("sleep", "1000", name="web")
        name = program(container)
        await place.containers.stop("web", timeout=0)
        assert (name, place.containers.get("web").state.exit_code) == ("sleep\n", 137)
        await place.containers.remove("web")


def program(container: Container) -> str:
    """The name of what the first process executes."""
    return Path(f"/proc/{container.state.pid}/comm").read_text()


async def test_stop_waits_for_a_process_that_ends_by_itself(place: ContainerHost) -> None:
    await place.run("sh", "-c", "trap 'exit 7' TERM; echo ready; while true; do sleep 1000 & wait; done", name="web")
    await place.until_written("web", "ready")
    await place.containers.stop("web", timeout=int(PATIENCE))
    assert place.containers.get("web").state.exit_code == 7
    assert place.happened().count("container kill") == 1


async def test_stop_kills_a_process_that_does_not_listen(place: ContainerHost) -> None:
    await place.run(*IGNORES_TERM, name="web")
    await place.until_written("web", "ready")
    await place.containers.stop("web", timeout=0)
    assert place.containers.get("web").state.exit_code == 137


async def test_the_stop_signal_is_the_containers_own(place: ContainerHost) -> None:
    await place.run(
        *("sh", "-c", "trap 'exit 9' USR1; echo ready; while true; do sleep 1000 & wait; done"),
        name="web",
        stop_signal="SIGUSR1",
    )
    await place.until_written("web", "ready")
    await place.containers.stop("web", timeout=int(PATIENCE))
    assert place.containers.get("web").state.exit_code == 9


async def test_kill_sends_any_signal_and_waits_for_the_last(place: ContainerHost) -> None:
    await place.run("sh", "-c", "trap 'echo hup' HUP; echo ready; while true; do sleep 1000 & wait; done", name="web")
    await place.until_written("web", "ready")
    await place.containers.kill("web", "HUP")
    await place.until_written("web", "hup")
    await place.containers.kill("web")
    assert place.containers.get("web").state.status is Status.EXITED
    with pytest.raises(ConflictError, match=r"^cannot kill container: web: container [0-9a-f]{64} is not running$"):
        await place.containers.kill("web")
    with pytest.raises(InvalidError, match=r"^Invalid signal: NONSENSE$"):
        await place.containers.kill("web", "NONSENSE")


async def test_restart_gives_a_new_process_and_keeps_what_was_written(place: ContainerHost) -> None:
    first = await place.run("sh", "-c", "echo x >> /kept; cat /kept; exec sleep 1000", name="web")
    await place.until_written("web", "x\n")
    await place.containers.restart("web", timeout=0)
    second = place.containers.get("web")
    assert second.state.pid not in (0, first.state.pid)
    await place.until_written("web", "x\nx\nx\n")
    assert not (place.rootfs / "kept").exists(), "the root file system is used copy-on-write"


async def test_a_running_container_is_removed_only_by_force(place: ContainerHost) -> None:
    await place.run(name="web")
    with pytest.raises(
        ConflictError, match=r'^cannot remove container "/web": container is running: stop the container'
    ):
        await place.containers.remove("web")
    removed = place.containers.wait("web", "removed")
    await place.containers.remove("web", force=True)
    assert await removed == (137, None)
    with pytest.raises(NotFoundError, match=r"^No such container: web$"):
        place.containers.get("web")


async def test_a_paused_container_is_removed_only_once_it_goes_on(place: ContainerHost) -> None:
    await place.run(name="web")
    await place.containers.pause("web")
    with pytest.raises(ConflictError, match=r'"/web": container is paused and must be unpaused first$'):
        await place.containers.remove("web")


async def test_an_auto_removed_container_is_gone_after_its_end(place: ContainerHost) -> None:
    await place.create("sh", "-c", "exit 4", name="web", auto_remove=True)
    removed = place.containers.wait("web", "removed")
    await place.containers.start("web")
    assert await asyncio.wait_for(removed, PATIENCE) == (4, None)
    assert list(place.containers.all()) == [] and place.leftovers() == []


async def test_who_removes_what_is_just_removing_itself_finds_it_removed(place: ContainerHost) -> None:
    container = await place.run(name="web", auto_remove=True)
    async with held(place, container):
        os.kill(container.state.pid, signal.SIGKILL)
        await queued(place, container, 1)
        removing = asyncio.create_task(place.containers.remove("web", force=True))
        await queued(place, container, 2)
    await asyncio.wait_for(removing, PATIENCE)
    assert list(place.containers.all()) == []


async def test_who_changes_what_is_just_removing_itself_hears_that_it_is_gone(place: ContainerHost) -> None:
    """And does not bring it back: not into memory, nor into the database."""
    await place.engine.apply(CreateNetwork("shop"))
    container = await place.run(name="web", auto_remove=True)
    changes = (
        place.containers.start("web"),
        place.containers.rename("web", "shop"),
        place.containers.connect("web", EndpointRequest("shop")),
        place.containers.disconnect("web", "bridge"),
        place.containers.attach("web"),
    )
    async with held(place, container):
        os.kill(container.state.pid, signal.SIGKILL)
        await queued(place, container, 1)
        asked = [asyncio.create_task(change) for change in changes]
        await queued(place, container, 1 + len(changes))
    for said in await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE):
        assert isinstance(said, NotFoundError) and said.message == f"No such container: {container.id}"
    await place.close()
    await place.open()
    assert list(place.containers.all()) == []


@asynccontextmanager
async def held(place: ContainerHost, container: Container) -> AsyncIterator[None]:
    """Whoever changes the container meanwhile waits in a queue."""
    async with place.containers._register.lives[container.id].lock:
        yield


async def queued(place: ContainerHost, container: Container, number: int) -> None:
    """Wait until so many are in the queue."""
    lock = place.containers._register.lives[container.id].lock
    async with asyncio.timeout(PATIENCE):
        while len(lock._waiters or ()) < number:  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("nosuchcmd", 127, 'exec: "nosuchcmd": executable file not found in $PATH'),
        ("/bin/nosuchcmd", 127, "no such file or directory"),
        ("/bin/not-executable", 126, "permission denied"),
    ],
)
async def test_a_program_that_cannot_be_started(place: ContainerHost, program: str, status: int, words: str) -> None:
    await place.create(program, name="bad")
    with pytest.raises(InvalidError) as caught:
        await place.containers.start("bad")
    state = place.containers.get("bad").state
    assert words in caught.value.message and state.error == caught.value.message
    assert (state.status, state.exit_code) == (Status.CREATED, status)
    assert place.leftovers() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mode": "nosuch"}, "failed to set up container networking: network nosuch not found"),
        ({"publish": ["8080:80", "8080:81"]}, "8080"),
        ({"user": "nobody"}, "unable to find user nobody: no matching entries in passwd file"),
        ({"mounts": [Mount(MountKind.BIND, "/proc/x", "/etc")]}, "cannot be mounted"),
    ],
)
async def test_a_start_that_fails_leaves_nothing(place: ContainerHost, fields: dict[str, object], words: str) -> None:
    await place.create(name="bad", **fields)
    with pytest.raises(LinkspanError) as caught:
        await place.containers.start("bad")
    assert words in caught.value.message
    assert place.containers.get("bad").state.exit_code == 128
    assert place.leftovers() == []


async def test_an_auto_removed_container_that_cannot_start_is_gone_too(place: ContainerHost) -> None:
    await place.create("nosuchcmd", name="bad", auto_remove=True)
    removed = place.containers.wait("bad", "removed")
    with pytest.raises(InvalidError):
        await place.containers.start("bad")
    assert await removed == (127, None)
    assert list(place.containers.all()) == []


async def test_names_are_unique_and_can_be_changed(place: ContainerHost) -> None:
    container = await place.run(name="web")
    with pytest.raises(
        ConflictError, match=rf'^Conflict. The container name "/web" is already in use by .*{container.id}'
    ):
        await place.create(name="web")
    await place.containers.rename("web", "api")
    assert place.containers.get("api").id == container.id
    other = await place.run(name="web")
    assert place.containers.get("web").id == other.id
    with pytest.raises(ConflictError, match="already in use"):
        await place.containers.rename("web", "api")


async def test_many_start_and_end_at_once(place: ContainerHost) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(place.run(name=f"many{number}"))
    assert len(place.engine.sandboxes) == 8
    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(place.containers.remove(f"many{number}", force=True))
    assert place.leftovers() == []


async def test_a_caller_who_gives_up_does_not_stop_a_start(place: ContainerHost) -> None:
    await place.create(name="web")
    started = asyncio.Event()

    async def start() -> None:
        started.set()
        await place.containers.start("web")

    task = asyncio.create_task(start())
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await place.containers.start("web") is False


async def test_networks_are_joined_and_left_while_it_runs(place: ContainerHost) -> None:
    await place.engine.apply(CreateNetwork("back", subnets=["10.9.0.0/24"]))
    await place.run(name="web")
    await place.containers.connect("web", EndpointRequest("back"))
    status, said = await place.exec("web", "sh", "-c", "ip -4 address show eth1; cat /etc/hosts")
    assert status == 0 and b"10.9.0.2/24" in said and b"10.9.0.2\t" in said
    await place.containers.disconnect("web", "back")
    status, said = await place.exec("web", "sh", "-c", "ip link show eth1; cat /etc/hosts")
    assert b"10.9.0.2" not in said and b"172.17.0.2\t" in said
    assert [endpoint.network for endpoint in place.containers.get("web").wanted.endpoints] == ["bridge"]


async def test_networks_joined_while_it_does_not_run_count_from_the_next_start(place: ContainerHost) -> None:
    await place.engine.apply(CreateNetwork("back", subnets=["10.9.0.0/24"]))
    await place.create(name="web")
    await place.containers.connect("web", EndpointRequest("back", ipv4_address="10.9.0.77"))
    await place.containers.disconnect("web", "bridge")
    await place.containers.start("web")
    _, said = await place.exec("web", "ip", "-4", "address")
    assert b"10.9.0.77/24" in said and b"172.17" not in said


async def test_who_left_all_networks_starts_without_any_and_can_join_again(place: ContainerHost) -> None:
    await place.create(name="web", publish=["8080:80"])
    await place.containers.disconnect("web", "bridge")
    await place.containers.start("web")
    _, said = await place.exec("web", "ip", "link")
    assert b"eth0" not in said
    await place.containers.connect("web", EndpointRequest("bridge"))
    _, said = await place.exec("web", "ip", "-4", "address")
    assert b"172.17.0.2/16" in said


async def test_an_end_that_cannot_be_remembered_fails_who_waits_for_it_and_is_dealt_with_later(
    place: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(life: Life, container: Container) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await place.run("sleep", "1000", name="web")
    monkeypatch.setattr(place.containers._register, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        await asyncio.wait_for(place.containers.remove("web", force=True), PATIENCE)
    monkeypatch.undo()
    await asyncio.wait_for(place.containers.remove("web", force=True), PATIENCE)
    assert place.leftovers() == []

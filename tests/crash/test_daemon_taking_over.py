"""A daemon that ends, in order or not, and the next one on the same roots: containers notice nothing."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.daemon_hosts import (
    DaemonHost,
    GoneError,
    RefusedError,
    daemon_host,
    page,
    publishing,
    serving,
)
from tests.support.fork_server import PHASES
from tests.support.inventory import Json
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

GATED = ("sh", "-c", "read line </gate/pipe; echo last words; exit 7")
"""Ends once somebody writes to a pipe of the host."""


TICK = timedelta(milliseconds=20)
"""The times of files are those of the kernel's last tick."""


def on_a_machine(root: Path, test: Callable[[DaemonHost], Awaitable[None]]) -> None:
    """Run a test with a daemon that serves; no container may leave anything when all are removed."""

    async def whole() -> None:
        async with daemon_host(root) as place:
            await place.serve()
            await test(place)
            seen = {each["Id"] for each in await place.api.get("/containers/json?all=1")}
            for id in seen:
                await place.api.delete(f"/containers/{id}?force=1")
            assert place.inventory.differences(await place.api.answers(), seen) == []

    asyncio.run(whole())


async def differences(place: DaemonHost) -> list[str]:
    answers = await place.api.answers()
    return place.inventory.differences(answers, {each["Id"] for each in answers.containers})


async def talkers(place: DaemonHost) -> str:
    """Three containers in conversation; the id of the server."""
    ports = {f"9000/{kind}": [{"HostIp": "0.0.0.0", "HostPort": "9000"}] for kind in ("tcp", "udp")}
    ids = {
        "client": await place.run("client", "sleep", "1000"),
        "server": await place.run("server", "sleep", "1000", HostConfig={"PortBindings": ports}),
        "outsider": await place.run("outsider", "sleep", "1000"),
    }
    await place.talk("172.17.0.1", **ids)
    return ids["server"]


async def gated(place: DaemonHost, name: str, **fields: object) -> tuple[Path, int]:
    """A container that waits at a pipe of the host: the pipe, and the id of its monitor."""
    gate = place.root / name
    gate.mkdir()
    os.mkfifo(gate / "pipe")
    host = {"Binds": [f"{gate}:/gate"], **fields}
    id = await place.run(name, *GATED, HostConfig=host)
    return gate / "pipe", int((place.exec_root / "containers" / id / "conmon.pid").read_text())


async def let_end(pipe: Path, monitor: int) -> None:
    """Let a container end, and wait until its monitor has."""
    descriptor = os.pidfd_open(monitor)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    try:
        await asyncio.to_thread(pipe.write_text, "go\n")
        await asyncio.wait_for(ended.wait(), PATIENCE)
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


async def told(place: DaemonHost, action: str, name: str) -> Json | None:
    """The attributes of the one event of a container, as this daemon remembers it."""
    filters = json.dumps({"event": [action], "container": [name]})
    said = await place.api.get(f"/events?since=1&until={time.time():.6f}&filters={filters}")
    return None if said is None else said["Actor"]["Attributes"]


def moment(text: str) -> datetime:
    """A time as Docker writes it; of its nanoseconds only the microseconds."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_containers_stay_reachable_without_the_daemon_and_through_the_next_start(
    number: signal.Signals, tmp_path: Path
) -> None:
    async def test(place: DaemonHost) -> None:
        await talkers(place)
        before = await place.run("web", *serving("hello"), HostConfig=publishing(8080))
        assert await page(place.neighbour, place.address, 8080) == "hello"
        shown = await place.api.get("/containers/web/json")
        assert await place.end(number) == (0 if number is signal.SIGTERM else -number)
        assert await page(place.neighbour, place.address, 8080) == "hello"
        await place.serve()
        assert await page(place.neighbour, place.address, 8080) == "hello"
        traffic = await place.traffic()
        assert (traffic.lost, traffic.retransmitted) == (0, 0)
        assert await place.api.get("/containers/web/json") == shown and shown["Id"] == before
        assert (await place.api.exec("web", "cat", "/www/id")).endswith(b"hello\n")
        assert await differences(place) == []

    on_a_machine(tmp_path, test)


def test_an_exit_while_nobody_looks_is_known_to_the_next_daemon(tmp_path: Path) -> None:
    async def test(place: DaemonHost) -> None:
        pipe, monitor = await gated(place, "web")
        before = datetime.now().astimezone()
        await place.end(signal.SIGKILL)
        await let_end(pipe, monitor)
        after = datetime.now().astimezone()
        await place.serve()
        answer = await place.api.post("/containers/web/wait")
        assert answer["StatusCode"] == 7
        state: Json = (await place.api.get("/containers/web/json"))["State"]
        assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 7, 0)
        assert before - TICK <= moment(state["FinishedAt"]) <= after
        died = await told(place, "die", "web")
        assert died is not None and died["exitCode"] == "7"
        assert (await place.api.log("web"))[8:] == b"last words\n"
        assert await differences(place) == []
        await place.api.post("/containers/web/start")

    on_a_machine(tmp_path, test)


def test_what_is_removed_at_its_end_is_gone_when_it_ended_while_nobody_looked(tmp_path: Path) -> None:
    async def test(place: DaemonHost) -> None:
        pipe, monitor = await gated(place, "web", AutoRemove=True)
        await place.create("idle", "true", HostConfig={"AutoRemove": True})  # never started: as in Docker, it goes too
        await place.end(signal.SIGKILL)
        await let_end(pipe, monitor)
        await place.serve()
        assert await told(place, "destroy", "idle") is not None
        try:
            await place.api.post("/containers/web/wait?condition=removed")
        except RefusedError as refused:
            assert refused.status == 404  # noqa: PT017 - either answer is right
        assert await place.api.get("/containers/json?all=1") == []
        assert await differences(place) == []
        assert list((place.data_root / "containers").iterdir()) == []

    on_a_machine(tmp_path, test)


def test_a_lent_network_outlives_its_owner_and_the_daemon(tmp_path: Path) -> None:
    """The owner ends while no daemon looks; who lives in its network stays, and the last one gone takes it along."""

    async def test(place: DaemonHost) -> None:
        pipe, monitor = await gated(place, "owner", **publishing(8080, 81))
        await place.run("guest", *serving("hello", 81), HostConfig={"NetworkMode": "container:owner"})
        assert await page(place.neighbour, place.address, 8080) == "hello"
        await place.end(signal.SIGKILL)
        await let_end(pipe, monitor)
        await place.serve()
        assert (await place.api.post("/containers/owner/wait"))["StatusCode"] == 7
        assert await page(place.neighbour, place.address, 8080) == "hello"
        assert await differences(place) == []
        await place.end(signal.SIGKILL)
        await place.serve()
        await place.api.post("/containers/guest/stop?t=0")
        assert await differences(place) == []
        assert list((place.exec_root / "netns").iterdir()) == []

    on_a_machine(tmp_path, test)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_start_that_was_killed_in_any_phase_is_whole_or_absent(when: str, tmp_path: Path) -> None:
    async def test(place: DaemonHost) -> None:
        await talkers(place)
        for phase in PHASES:
            await place.create("web", *serving("hello"), HostConfig=publishing(8080))
            await place.end()
            await place.serve(phase, when)
            with pytest.raises(GoneError):
                await place.api.post("/containers/web/start")
            assert await place.ended() == -signal.SIGKILL, phase
            await place.serve()
            remembered = (phase, when) == ("the memory", "after") or phase == "the announcement"
            status = (await place.api.get("/containers/web/json"))["State"]["Status"]
            assert status == ("running" if remembered else "created"), phase
            assert await differences(place) == [], phase
            await place.api.post("/containers/web/start")
            assert await page(place.neighbour, place.address, 8080) == "hello"
            await place.api.delete("/containers/web?force=1")
        traffic = await place.traffic()
        assert (traffic.lost, traffic.retransmitted) == (0, 0)

    on_a_machine(tmp_path, test)


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_a_membership_that_was_killed_before_it_is_remembered_is_whole_or_absent(verb: str, tmp_path: Path) -> None:
    """The engine has it already, the container's own record not yet."""

    async def test(place: DaemonHost) -> None:
        await place.run("web", *serving("hello"), HostConfig=publishing(8080))
        await place.api.post("/networks/create", {"Name": "shop"})
        if verb == "disconnect":
            await place.api.post("/networks/shop/connect", {"Container": "web"})
        await place.end()
        await place.serve("the memory", "before")
        with pytest.raises(GoneError):
            await place.api.post(f"/networks/shop/{verb}", {"Container": "web"})
        assert await place.ended() == -signal.SIGKILL
        await place.serve()
        assert await differences(place) == []
        is_member = "shop" in (await place.api.get("/containers/web/json"))["NetworkSettings"]["Networks"]
        for next_one in ("disconnect", "connect") if is_member else ("connect", "disconnect"):
            await place.api.post(f"/networks/shop/{next_one}", {"Container": "web"})
        assert await page(place.neighbour, place.address, 8080) == "hello"

    on_a_machine(tmp_path, test)

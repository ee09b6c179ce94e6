"""The lab itself: what stands in for real computers must be like them, and must vanish."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from linkspan.engine.ports import Process
from linkspan.lab.hosts import Lab, lab
from linkspan.wiring import open_kernel
from tests.support.patience import PATIENCE, SHORT


@pytest.fixture(autouse=True)
def _private_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def ping(address: object, patience: float = PATIENCE) -> tuple[str, ...]:
    return ("ping", "-c", "1", "-W", str(patience), str(address))


def test_hosts_reach_each_other_in_both_families() -> None:
    async def scenario() -> None:
        async with lab(open_kernel) as hosts:
            for address in (hosts.machine.v4, hosts.machine.v6):
                assert await hosts.neighbour.succeeds(*ping(address))

    asyncio.run(scenario())


def test_a_neighbour_routes_everything_through_the_machine() -> None:
    async def scenario() -> None:
        async with lab(open_kernel, neighbours=("one", "two")) as hosts:
            for host in hosts.neighbours:
                assert f"via {hosts.machine.v4}" in await host.run("ip", "route", "get", "172.17.0.2")
            assert f"via {hosts.neighbour.v4}" in await hosts.machine.run("ip", "route", "get", "198.51.100.1")

    asyncio.run(scenario())


def test_the_network_of_this_process_gains_no_link() -> None:
    before = socket.if_nameindex()

    async def scenario() -> None:
        async with lab(open_kernel):
            assert socket.if_nameindex() == before

    asyncio.run(scenario())


@pytest.mark.slow
def test_two_labs_do_not_meet() -> None:
    async def scenario() -> None:
        async with lab(open_kernel) as one, lab(open_kernel, neighbours=()) as other:
            assert one.machine.v4 == other.machine.v4
            assert not await other.machine.succeeds(*ping(one.neighbour.v4, SHORT))

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", [None, RuntimeError, asyncio.CancelledError])
def test_nothing_is_left(tmp_path: Path, ending: type[BaseException] | None) -> None:
    started: list[Process] = []

    async def scenario() -> None:
        async with lab(open_kernel) as hosts:
            await _use(hosts, started)
            assert mounts(tmp_path)
            if ending is not None:
                raise ending

    if ending is None:
        asyncio.run(scenario())
    else:
        with pytest.raises(ending):
            asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []
    assert mounts(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(started[0].pid, 0)


async def _use(hosts: Lab, started: list[Process]) -> None:
    started.append(await hosts.machine.start("sleep", "60"))


def mounts(root: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {root}/" in line]

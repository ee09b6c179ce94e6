"""Names and relayed connections of containers, while daemons and the data plane's process end and come again."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import linkspan
from linkspan.dataplane import starting
from linkspan.dataplane.starting import Place
from linkspan.kernel.process import spawn
from tests.support.daemon_hosts import DaemonHost, daemon_host
from tests.support.packets import Site, ask, serving
from tests.support.patience import PATIENCE
from tests.support.planes import Traffic, Ways, is_within_a_second, traffic

pytestmark = pytest.mark.slow

PORTS = {"7000/tcp": [{"HostIp": "::", "HostPort": "8080"}], "7001/udp": [{"HostIp": "::", "HostPort": "8081"}]}
"""Of containers that have IPv4 only: NAT leaves them to the relay."""


def on_a_machine(root: Path, test: Callable[[DaemonHost, Ways], Awaitable[None]]) -> None:
    """Run a test with a daemon that serves two containers of a network."""

    async def whole() -> None:
        async with daemon_host(root) as place:
            api = await place.serve()
            await api.post("/networks/create", {"Name": "shop"})
            host = {"NetworkMode": "shop"}
            client = await place.run("client", "sleep", "1000", HostConfig=host)
            server = await place.run("server", "sleep", "1000", HostConfig={**host, "PortBindings": PORTS})
            networks = (await api.get(f"/containers/{server}/json"))["NetworkSettings"]["Networks"]
            servers, asking = Site("server", place.pin(server)), Site("client", place.pin(client))
            published = (place.machine, "::1", 8080, 8081, servers, "0.0.0.0")
            await test(place, Ways(*published, asking, ("127.0.0.11", 53), "server", networks["shop"]["IPAddress"]))
            for id in (client, server):
                await place.api.delete(f"/containers/{id}?force=1")
            await place.api.delete("/networks/shop")
            await place.end(signal.SIGTERM)

    asyncio.run(whole())


def helper(place: DaemonHost) -> int:
    pid = starting.holder(Place(place.exec_root))
    assert pid is not None
    return pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_question_and_no_connection_fails_while_the_daemon_ends_and_comes_again(
    number: signal.Signals, tmp_path: Path
) -> None:
    async def test(place: DaemonHost, ways: Ways) -> None:
        before = helper(place)
        async with traffic(ways) as seen:
            for _ in range(3):
                await place.end(number)
                await seen.goes_on()
                await place.serve()
                await seen.goes_on()
        assert seen.failures == []
        assert helper(place) == before

    on_a_machine(tmp_path, test)


def test_no_question_and_no_connection_fails_at_an_upgrade(tmp_path: Path) -> None:
    async def test(place: DaemonHost, ways: Ways) -> None:
        before = helper(place)
        async with traffic(ways) as seen:
            await place.end(signal.SIGTERM)
            async with newer_daemon(place, tmp_path / "newer", seen):
                assert helper(place) != before
                await seen.goes_on()
            await place.serve()  # and back
        assert seen.failures == []

    on_a_machine(tmp_path, test)


@asynccontextmanager
async def newer_daemon(place: DaemonHost, source: Path, seen: Traffic) -> AsyncIterator[None]:
    """A daemon of other code on the same roots."""
    shutil.copytree(Path(linkspan.__file__).parent, source / "linkspan", ignore=shutil.ignore_patterns("__pycache__"))
    with (source / "linkspan/dataplane/wire.py").open("a") as code:
        code.write("# newer\n")
    before = helper(place)
    roots = ("--data-root", str(place.data_root), "--exec-root", str(place.exec_root))
    argv = (
        sys.executable,
        "-m",
        "linkspan",
        "daemon",
        *roots,
        "--pidfile",
        str(source / "pid"),
        "-H",
        f"unix://{source}/sock",
    )
    daemon = await spawn(argv, place.machine.namespace, env={**os.environ, "PYTHONPATH": str(source)})
    try:
        async with asyncio.timeout(PATIENCE):
            while starting.holder(Place(place.exec_root)) == before:
                await seen.goes_on(1)
        yield
    finally:
        daemon.terminate()
        await daemon.wait()


def test_the_daemon_restarts_a_killed_data_plane_within_a_second(tmp_path: Path) -> None:
    async def test(place: DaemonHost, ways: Ways) -> None:
        with serving(ways.servers, 7000, name="server"):
            assert await ask(place.machine, "::1", 8080) == f"server {await gateway(place)}"
            for _ in range(3):
                killed, began = helper(place), time.monotonic()
                os.kill(killed, signal.SIGKILL)
                # It waits in the queue of the socket.
                assert await ask(place.machine, "::1", 8080) is not None
                assert await is_within_a_second(time.monotonic() - began)
                assert helper(place) != killed

    on_a_machine(tmp_path, test)


async def gateway(place: DaemonHost) -> str:
    network = await place.api.get("/networks/shop")
    address: str = network["IPAM"]["Config"][0]["Gateway"]
    return address

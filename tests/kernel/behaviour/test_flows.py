"""Connections that outlive a change: the kernel remembers flows, so what changed must be forgotten."""

import asyncio
import socket

import pytest

from linkspan import Publish, RemoveSandbox, Unpublish
from tests.support.packets import Site, bound
from tests.support.patience import PATIENCE, SHORT
from tests.support.world import World

pytestmark = pytest.mark.slow


class Flow:
    """A UDP client that keeps its port, and so its flow."""

    def __init__(self, site: Site, address: str, port: int, version: int = 4) -> None:
        self._socket = site.socket(version, socket.SOCK_DGRAM)
        self._server = (address, port)

    async def ask(self, patience: float = PATIENCE) -> str | None:
        """The next answer. A refusal is no answer."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                await loop.sock_sendto(self._socket, b"hello", self._server)
                return (await loop.sock_recvfrom(self._socket, 256))[0].decode()
        except (OSError, TimeoutError):
            return None

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()


@pytest.mark.parametrize("version", [4, 6])
async def test_packets_of_an_old_flow_reach_the_sandbox_that_has_the_port_now(world: World, version: int) -> None:
    await world.open(ipv6=True)
    for name in ("one", "two"):
        world.serve(await world.box(name), 80, "udp", version)
    address = world.v4 if version == 4 else world.v6
    with Flow(world.neighbour, address, 8080, version) as flow:
        for name in ("one", "two", "one"):
            await world.apply(Publish(name, ["8080:80/udp"]))
            assert (await flow.ask() or "").startswith(name)
            await world.apply(Unpublish(name, ["8080/udp"]))
        assert await flow.ask(SHORT) is None


async def test_a_client_that_asked_before_the_port_was_published_is_heard_afterwards(world: World) -> None:
    await world.open()
    world.serve(await world.box("web"), 80, "udp")
    with Flow(world.neighbour, world.v4, 8080) as flow, bound(world.neighbour, world.neighbour_v4, 7777, "udp"):
        with bound(world.machine, "0.0.0.0", 8080, "udp"):
            assert await flow.ask(0.1) is None  # nothing answers, but the flow is known from now on
        await world.apply(Publish("web", ["8080:80/udp"]))
        assert await flow.ask() == f"web {world.neighbour_v4}"


async def test_a_sandbox_that_inherits_an_address_does_not_inherit_the_flows(world: World) -> None:
    await world.open()
    first = await world.box("first", publish=["8080:80/udp"])
    world.serve(first, 80, "udp")
    with Flow(world.neighbour, world.v4, 8080) as flow:
        assert await flow.ask() == f"first {world.neighbour_v4}"
        await world.apply(RemoveSandbox("first"))
        successor = await world.box("successor")
        world.serve(successor, 80, "udp")
        assert successor.address() == "172.17.0.2"
        assert await flow.ask(SHORT) is None


async def test_other_flows_are_left_alone(world: World) -> None:
    await world.open()
    for name, port in (("one", 8081), ("two", 8082)):
        world.serve(await world.box(name, publish=[f"{port}:80/udp"]), 80, "udp")
    with Flow(world.neighbour, world.v4, 8081) as flow, Flow(world.neighbour, world.v4, 8082) as other:
        assert await flow.ask() == f"one {world.neighbour_v4}"
        assert await other.ask() == f"two {world.neighbour_v4}"
        await world.apply(RemoveSandbox("two"))
        known = await world.machine.run("conntrack", "-L", "-p", "udp")
        assert "dport=8081" in known and "dport=8082" not in known

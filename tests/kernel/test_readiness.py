"""What is attached carries packets when the request returns."""

import asyncio
import socket
from contextlib import suppress

import pytest

from linkspan import RemoveSandbox
from tests.support.packets import retransmissions
from tests.support.patience import PATIENCE
from tests.support.world import World

COUNT = 60
"""Without waiting, 2 to 20 of 100 first packets are lost."""
LATE = "3000"
"""Milliseconds before who asks for a neighbour asks again: whatever is lost, TCP has sent again by then."""
ROUNDS = 20


async def is_lost(world: World, address: str) -> bool:
    """Whether the first packet to an address is. A refused connection is an answer; what is lost is sent again."""
    with world.machine.socket(4, socket.SOCK_STREAM) as probe:
        with suppress(ConnectionRefusedError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(probe, (address, 9))
        return bool(retransmissions(probe))


@pytest.mark.slow
async def test_the_first_packet_to_a_new_sandbox_arrives(world: World) -> None:
    await world.open()
    world.machine.sysctl("net.ipv4.neigh.docker0.retrans_time_ms", LATE)
    silent = []
    for number in range(COUNT):
        box = await world.box(f"box{number}")
        if await is_lost(world, box.v4):
            silent.append(box.name)
    assert silent == []


@pytest.mark.slow
async def test_an_address_that_is_used_again_is_reached_at_once(world: World) -> None:
    """By those who talked to its last holder, too; and over a bridge that had no port for a while."""
    await world.open()
    world.machine.sysctl("net.ipv4.neigh.docker0.retrans_time_ms", LATE)
    silent: list[str] = []

    async def come_and_go(name: str) -> None:
        for _ in range(ROUNDS):
            box = await world.box(name)
            if await is_lost(world, box.v4):
                silent.append(box.v4)
            await world.apply(RemoveSandbox(name))

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(come_and_go(f"box{number}"))
    assert silent == []

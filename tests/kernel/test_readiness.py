"""What is attached carries packets when the request returns."""

import asyncio
import socket
from pathlib import Path

import pytest

from linkspan import RemoveSandbox
from linkspan.kernel.thread import enter, visit
from tests.support.world import World

COUNT = 60
"""Without waiting, 2 to 20 of 100 first packets are lost."""
ROUNDS = 20


def sockets_in(namespace: Path) -> list[socket.socket]:
    def connect() -> list[socket.socket]:
        enter(namespace)
        return [socket.socket() for _ in range(COUNT)]

    return visit(connect)


@pytest.mark.slow
async def test_the_first_packet_to_a_new_sandbox_arrives(world: World) -> None:
    """A refused connection is an answer; a lost first packet is only sent again after a second."""
    await world.open()
    silent = []
    for number, probe in enumerate(sockets_in(world.machine.namespace)):
        box = await world.box(f"box{number}")
        with probe:
            probe.settimeout(0.5)
            try:
                probe.connect((box.v4, 9))
            except ConnectionRefusedError:
                continue
            except TimeoutError:
                silent.append(box.name)
    assert silent == []


@pytest.mark.slow
async def test_an_address_that_is_used_again_is_reached_at_once(world: World) -> None:
    """By those who talked to its last holder, too; and over a bridge that had no port for a while."""
    await world.open()
    silent: list[str] = []

    async def come_and_go(name: str) -> None:
        for _ in range(ROUNDS):
            box = await world.box(name)
            with world.machine.socket(4, socket.SOCK_STREAM) as probe:
                try:
                    async with asyncio.timeout(0.5):
                        await asyncio.get_running_loop().sock_connect(probe, (box.v4, 9))
                except ConnectionRefusedError:
                    pass
                except TimeoutError:
                    silent.append(box.v4)
            await world.apply(RemoveSandbox(name))

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(come_and_go(f"box{number}"))
    assert silent == []

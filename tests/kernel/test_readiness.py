"""What is attached carries packets when the request returns."""

import socket
from pathlib import Path

import pytest

from linkspan.kernel.thread import enter, visit
from tests.support.world import World

COUNT = 60
"""Without waiting, 2 to 20 of 100 first packets are lost."""


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

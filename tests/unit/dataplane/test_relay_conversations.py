"""Conversations of every shape through the relay: pieces, pauses and ends drawn at random, from seeds that are kept."""

import asyncio
import random
import socket
from hashlib import sha256

import pytest

from tests.support.relays import carried

pytestmark = pytest.mark.slow

CONVERSATIONS = 40
SIZES = (1, 100, 16 * 1024, 16 * 1024 + 1, 100_000, 1 << 20)
"""Around the sizes at which a flow changes from copying to splicing, and is split over several turns."""


async def speak(side: socket.socket, chance: random.Random) -> bytes:
    """Send pieces with pauses, then end; the digest of what was sent."""
    loop, sent = asyncio.get_running_loop(), sha256()
    for _ in range(chance.randrange(6)):
        data = chance.randbytes(chance.choice(SIZES))
        sent.update(data)
        await loop.sock_sendall(side, data)
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.005)))
    side.shutdown(socket.SHUT_WR)
    return sent.digest()


async def listen(side: socket.socket, chance: random.Random) -> bytes:
    """Read at a changing pace to the end; the digest of what came."""
    loop, heard = asyncio.get_running_loop(), sha256()
    while data := await loop.sock_recv(side, chance.choice(SIZES[2:])):
        heard.update(data)
        await asyncio.sleep(chance.choice((0, 0, 0, 0.001)))
    return heard.digest()


@pytest.mark.parametrize("seed", range(5))
def test_everything_that_is_said_is_heard(seed: int) -> None:
    async def converse(client: socket.socket, server: socket.socket, chance: random.Random) -> None:
        for side in (client, server):
            if chance.random() < 0.5:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        async with asyncio.TaskGroup() as group:
            parts = [random.Random(chance.random()) for _ in range(4)]
            up, heard_up = group.create_task(speak(client, parts[0])), group.create_task(listen(server, parts[1]))
            down, heard_down = group.create_task(speak(server, parts[2])), group.create_task(listen(client, parts[3]))
        client.close()
        server.close()
        assert (up.result(), down.result()) == (heard_up.result(), heard_down.result())

    async def whole() -> None:
        chance = random.Random(seed)
        async with carried(socket.SOCK_STREAM) as place:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONVERSATIONS):
                    client, server = await place.connection()
                    group.create_task(converse(client, server, random.Random(chance.random())))
            await place.relay.drained()

    asyncio.run(whole())

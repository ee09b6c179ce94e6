"""The relay with many more clients than descriptors, and with as many as it is meant for."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.patience import PATIENCE
from tests.support.relays import HERE, bound, carried, port_of

pytestmark = pytest.mark.slow


@contextmanager
def relay_process(target: int, descriptors: int) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A relay in a process that may have so many descriptors; its port."""
    with bound(socket.SOCK_STREAM) as listener:
        argv = [
            sys.executable,
            "-m",
            "tests.support.relay_process",
            *map(str, (listener.fileno(), target, descriptors)),
        ]
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=[listener.fileno()])
        port = port_of(listener)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield port, process
    finally:
        process.kill()
        process.communicate()


async def echo(server: socket.socket, count: int) -> None:
    """Answer so many clients, each until it hangs up."""
    loop = asyncio.get_running_loop()

    async def answer(client: socket.socket) -> None:
        with client:
            while data := await loop.sock_recv(client, 100):
                await loop.sock_sendall(client, data)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(answer((await loop.sock_accept(server))[0]))


async def served(clients: Sequence[socket.socket]) -> list[bytes]:
    """Every client asks; those that are answered hang up, which makes room for others."""

    async def ask(client: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"hello")
        answer = await loop.sock_recv(client, 100)
        client.close()
        return answer

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(client)) for client in clients]
    return [task.result() for task in tasks]


def test_without_descriptors_clients_wait_and_all_are_served_in_the_end() -> None:
    async def story() -> bytes:
        with bound(socket.SOCK_STREAM) as server, relay_process(port_of(server), 40) as (port, process):
            with ExitStack() as stack:
                clients = [stack.enter_context(socket.create_connection((HERE, port))) for _ in range(100)]
                for client in clients:
                    client.setblocking(False)
                async with asyncio.TaskGroup() as group:
                    group.create_task(echo(server, len(clients)))
                    assert await served(clients) == [b"hello"] * 100
            assert process.poll() is None
            return process.communicate()[1]

    complaints = asyncio.run(story()).splitlines()
    assert len(complaints) == 1 and b"new connections have to wait: Too many open files" in complaints[0]


def test_two_thousand_connections_are_carried_at_once() -> None:
    count = 2000

    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with carried(socket.SOCK_STREAM) as place:
            with ExitStack() as stack:
                pairs = [await place.connection() for _ in range(count)]
                for side in (side for pair in pairs for side in pair):
                    stack.enter_context(side)
                assert place.relay.in_flight == count
                for number, (client, _) in enumerate(pairs):
                    client.send(b"%d" % number)
                # The order in which the relay reached the server is not that of the clients.
                asked = [int(await loop.sock_recv(server, 10)) for _, server in pairs]
                assert sorted(asked) == list(range(count))
                for _, server in pairs:
                    server.send(b"answer")
                for client, _ in pairs:
                    assert await loop.sock_recv(client, 10) == b"answer"
            await place.relay.drained()

    asyncio.run(story())

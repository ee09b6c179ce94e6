"""What is carried arrives whole: long streams, and datagrams that must be cut in pieces."""

import asyncio
import hashlib
import random
import socket

import pytest

from linkspan import CreateSandbox, RemoveSandbox
from tests.support.listing import listing
from tests.support.packets import Site, bound
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Box, Variant, World, together

pytestmark = pytest.mark.slow

BULK = random.Random(2).randbytes(3_000_000)


@pytest.fixture(params=[NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def places(world: World) -> tuple[Box, dict[str, tuple[Site, str]]]:
    """A server on `front`, and clients of each kind with the address they use."""
    await world.open()
    await world.network("front", subnets=["10.5.0.0/24"])
    await world.network("back", subnets=["10.6.0.0/24"])
    web = await world.box("web", "front", publish=["8080:80", "8080:80/udp"])
    peer, far = await world.box("peer", "front"), await world.box("far", "back")
    clients: dict[str, tuple[Site, str]] = {
        "neighbour": (world.neighbour, world.v4),
        "host": (world.machine, "127.0.0.1"),
        "peer": (peer, world.v4),
        "far": (far, world.v4),
        "itself": (web, world.v4),
    }
    return web, clients


@pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
async def test_megabytes_pass_unchanged_in_both_directions(world: World, filtered: bool) -> None:
    web, clients = await places(world)
    world.bridge_netfilter(on=filtered)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()  # to the end: the client says so by closing its half
        writer.write(hashlib.sha256(received).digest() + BULK)
        writer.close()

    async def exchange(site: Site, address: str) -> bool:
        client = site.socket(4, socket.SOCK_STREAM)
        await asyncio.get_running_loop().sock_connect(client, (address, 8080))
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(BULK)
        writer.write_eof()
        received = await reader.read()
        writer.close()
        return received == hashlib.sha256(BULK).digest() + BULK

    server = await asyncio.start_server(answer, sock=bound(web, "0.0.0.0", 80))
    try:
        async with asyncio.timeout(PATIENCE):
            assert await together(exchange(*client) for client in clients.values()) == [True] * len(clients)
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
async def test_datagrams_in_fragments_pass_unchanged(world: World, filtered: bool) -> None:
    web, clients = await places(world)
    world.bridge_netfilter(on=filtered)
    loop = asyncio.get_running_loop()
    with bound(web, "0.0.0.0", 80, "udp") as server:

        async def exchange(site: Site, address: str) -> bool:
            with site.socket(4, socket.SOCK_DGRAM) as client:
                client.connect((address, 8080))
                await loop.sock_sendall(client, BULK[:5000])
                received, peer = await loop.sock_recvfrom(server, 65536)
                await loop.sock_sendto(server, received[::-1], peer)
                return await loop.sock_recv(client, 65536) == BULK[:5000][::-1]

        for name, client in clients.items():
            async with asyncio.timeout(PATIENCE):
                assert await exchange(*client), name


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY], ids=str)
async def test_many_requests_at_once_come_out_right_and_leave_nothing(world: World) -> None:
    def seen() -> object:
        return listing(world.machine.namespace, world.exec_root, iptables=world.variant is not NFTABLES)

    engine = await world.open()
    before = seen()
    names = [f"box{number}" for number in range(30)]
    made = await together(
        engine.apply(CreateSandbox(name, publish=[f"{8000 + number}:80"])) for number, name in enumerate(names)
    )
    assert [str(sandbox.endpoints[0].addresses[0].ip) for sandbox in made] == [f"172.17.0.{n}" for n in range(2, 32)]
    await together(engine.apply(RemoveSandbox(name)) for name in names)
    assert seen() == before

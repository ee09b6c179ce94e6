"""Ranges of ports on every address of a host with IPv6, asked with real packets: one socket a port for both."""

import asyncio
import socket
from ipaddress import ip_address

import pytest

from linkspan import Publish, Unpublish
from linkspan.model.errors import ConflictError
from tests.support.packets import ask, bound, silent
from tests.support.world import IPTABLES_RELAY, NFTABLES, World, together

pytestmark = pytest.mark.slow

RANGE = "8000-8009:8000-8009"
GATEWAY = "10.5.0.1"
SHOWN = "ss -Hlntu src :8005"


async def served(world: World, protocol: str, *publish: str, **wishes: object) -> None:
    """A sandbox `web` with IPv4 only, and a server on port 8005."""
    await world.open()
    await world.network("front", subnets=["10.5.0.0/24"])
    web = await world.box("web", "front", publish=[f"{text}/{protocol}" for text in publish], **wishes)
    world.serve(web, 8005, protocol)


async def answers(world: World, protocol: str, version: int) -> list[str | None]:
    """What a client on the host gets at loopback and at the host's address, and a neighbour."""
    loopback, address = ("127.0.0.1", world.v4) if version == 4 else ("::1", world.v6)
    asked = [(world.machine, loopback), (world.machine, address), (world.neighbour, address)]
    return await together(ask(site, each, 8005, protocol) for site, each in asked)


async def shown(world: World) -> set[str]:
    """The sockets of port 8005, as `ss` names them."""
    lines = (await world.machine.run(*SHOWN.split())).splitlines()
    return {line.split()[4] for line in lines}


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY], ids=str)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_a_range_is_reached_in_both_families_by_one_socket_a_port(world: World, protocol: str) -> None:
    await served(world, protocol, RANGE)
    assert await shown(world) == {"*:8005"}
    assert await answers(world, protocol, 6) == [f"web {GATEWAY}"] * 3
    assert None not in await answers(world, protocol, 4)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_a_flushed_firewall_does_not_interrupt_the_service_of_a_range(world: World, protocol: str) -> None:
    await served(world, protocol, RANGE)
    await world.machine.run("nft", "flush", "ruleset")
    for version in (4, 6):
        assert await answers(world, protocol, version) == [f"web {GATEWAY}"] * 3


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_a_family_is_unpublished_alone_and_published_again(world: World, protocol: str) -> None:
    await served(world, protocol, RANGE)
    for family, left, gone in (("[::]", 4, "::1"), ("0.0.0.0", 6, "127.0.0.1")):
        await world.apply(Unpublish("web", [f"{family}:8000-8009/{protocol}"]))
        assert await shown(world) == {"0.0.0.0:8005" if left == 4 else "[::]:8005"}
        assert None not in await answers(world, protocol, left)
        assert await silent(world.machine, gone, 8005, protocol)
        await world.apply(Publish("web", [f"{family}:{RANGE}/{protocol}"]))
        assert await shown(world) == {"*:8005"}
        for version in (4, 6):
            assert None not in await answers(world, protocol, version)


async def test_a_range_that_was_just_used_is_published_again(world: World) -> None:
    await served(world, "tcp", RANGE)
    for _ in range(2):
        assert await answers(world, "tcp", 6) == [f"web {GATEWAY}"] * 3
        await world.apply(Unpublish("web", ["8000-8009"]))
        await world.apply(Publish("web", [RANGE]))


async def test_a_family_whose_port_another_has_is_refused_and_the_other_goes_on(world: World) -> None:
    await served(world, "tcp", f"0.0.0.0:{RANGE}")
    with bound(world.machine, "::", 8007), pytest.raises(ConflictError, match="address already in use"):
        await world.apply(Publish("web", [f"[::]:{RANGE}"]))
    assert await shown(world) == {"0.0.0.0:8005"}
    assert None not in await answers(world, "tcp", 4)


async def test_a_server_in_a_range_is_told_who_asks_in_either_family(world: World) -> None:
    await world.open()
    await world.network("front", subnets=["10.5.0.0/24"])
    box = await world.box("mail", "front", publish=[RANGE], proxy_protocol=["8000-8009"])
    assert await shown(world) == {"*:8005"}
    with bound(box, "0.0.0.0", 8005) as listener:
        for address, family, client in (
            (world.v4, 0x11, world.neighbour_v4),
            (world.v6, 0x21, world.neighbour_v6),
        ):
            head, introduced = await introduction(world, listener, address)
            assert head == family
            assert introduced == ip_address(client).packed + ip_address(address).packed


async def introduction(world: World, listener: socket.socket, address: str) -> tuple[int, bytes]:
    """The family and the addresses of the PROXY protocol's header (version 2) when the neighbour asks."""
    loop = asyncio.get_running_loop()
    with world.neighbour.socket(ip_address(address).version, socket.SOCK_STREAM) as client:
        await loop.sock_connect(client, (address, 8005))
        accepted, _ = await loop.sock_accept(listener)
        with accepted:
            head = await loop.sock_recv(accepted, 100)
    return head[13], head[16:-4]

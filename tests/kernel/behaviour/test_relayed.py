"""Published ports that NAT does not lead to, asked with real packets."""

import asyncio
import socket
import struct
from ipaddress import ip_address

import pytest

from linkspan import Connect, CreateNetwork, Disconnect, Publish
from linkspan.model.errors import UnavailableError
from tests.support.packets import Site, ask, bound, silent
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_NAT, NFTABLES, Variant, World, together

pytestmark = pytest.mark.slow

GATEWAY = "10.5.0.1"


async def four(world: World, *publish: str, **wishes: object) -> None:
    """A sandbox `web` with IPv4 only, and its servers on port 80."""
    await world.network("front", subnets=["10.5.0.0/24"])
    web = await world.box("web", "front", publish=publish, **wishes)
    for protocol in ("tcp", "udp"):
        world.serve(web, 80, protocol)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_a_port_is_published_on_ipv6_though_the_sandbox_has_none(world: World, protocol: str) -> None:
    await world.open()
    await four(world, f"8080:80/{protocol}")
    cells = [(world.machine, "::1"), (world.machine, world.v6), (world.neighbour, world.v6)]
    answers = await together(ask(site, address, 8080, protocol) for site, address in cells)
    assert answers == [f"web {GATEWAY}"] * 3


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_loopback_of_ipv6_leads_to_a_sandbox_of_either_family(world: World, protocol: str) -> None:
    await world.open()
    await four(world, f"[::1]:8080:80/{protocol}")
    await world.network("six", ipv4=False, ipv6=True, subnets=["fd06::/64"])
    box = await world.box("six", "six", publish=[f"[::1]:9090:80/{protocol}"])
    world.serve(box, 80, protocol, 6)
    assert await ask(world.machine, "::1", 8080, protocol) == f"web {GATEWAY}"
    assert await ask(world.machine, "::1", 9090, protocol) == "six fd06::1"
    assert await silent(world.neighbour, world.v6, 8080, protocol)


async def test_one_ipv6_address_of_the_host_leads_to_ipv4(world: World) -> None:
    await world.open()
    await four(world, f"[{world.v6}]:8080:80")
    assert await ask(world.neighbour, world.v6, 8080) == f"web {GATEWAY}"
    assert await silent(world.machine, "::1", 8080)


async def test_an_ipv4_address_of_the_host_leads_to_ipv6(world: World) -> None:
    await world.open()
    await world.network("six", ipv4=False, ipv6=True, subnets=["fd06::/64"])
    box = await world.box("six", "six", publish=["127.0.0.1:8080:80"])
    world.serve(box, 80, "tcp", 6)
    assert await ask(world.machine, "127.0.0.1", 8080) == "six fd06::1"


@pytest.mark.parametrize("variant", [IPTABLES_NAT], ids=str)
async def test_without_the_userland_proxy_a_client_is_turned_away_at_once(world: World) -> None:
    await world.open()
    await world.network("dual", ipv6=True)
    await world.box("web", "dual", publish=["8080:80"])
    with world.machine.socket(6, socket.SOCK_STREAM) as client, pytest.raises(ConnectionRefusedError):
        await asyncio.get_running_loop().sock_connect(client, ("::1", 8080))


async def test_every_published_port_is_shown_as_listening(world: World) -> None:
    await world.open()
    await four(world, "8080:80", "8000-8002:8000-8002")
    shown = (await world.machine.run("ss", "-Hltn")).split()
    assert {"0.0.0.0:8080", "[::]:8080", "*:8000", "*:8001", "*:8002"} <= set(shown)


async def test_a_server_is_told_who_asks(world: World) -> None:
    await world.open()
    await world.network("front", subnets=["10.5.0.0/24"])
    box = await world.box("mail", "front", publish=["25:25", "80:80"], proxy_protocol=["25"])
    world.serve(box, 80)
    with bound(box, "0.0.0.0", 25) as listener:
        for site, address, client in (
            (world.neighbour, world.v4, world.neighbour_v4),
            (world.neighbour, world.v6, world.neighbour_v6),
        ):
            assert await _announced(site, listener, address) == (client, address)
    assert (await ask(world.neighbour, world.v4, 80) or "").startswith("mail ")


async def _announced(site: Site, listener: socket.socket, address: str) -> tuple[str, str]:
    """The client and the address it asked, as the header of the PROXY protocol (version 2) has them."""
    loop = asyncio.get_running_loop()
    version = ip_address(address).version
    with site.socket(version, socket.SOCK_STREAM) as client:
        async with asyncio.timeout(PATIENCE):
            await loop.sock_connect(client, (address, 25))
            connection, _ = await loop.sock_accept(listener)
            with connection:
                header = await loop.sock_recv(connection, 512)
    assert header[:12] == b"\r\n\r\n\0\r\nQUIT\n"
    (length,) = struct.unpack("!H", header[14:16])
    size = {4: 4, 6: 16}[version]
    assert (header[12], len(header)) == (0x21, 16 + length)
    return str(ip_address(header[16 : 16 + size])), str(ip_address(header[16 + size : 16 + 2 * size]))


async def test_on_a_host_that_does_not_forward_the_relay_serves_the_neighbours(world: World) -> None:
    world.machine.sysctl("net.ipv4.ip_forward", "0")
    await world.open(ip_forward=False)
    await four(world, "8080:80")
    assert await ask(world.neighbour, world.v4, 8080) == f"web {GATEWAY}"
    assert await ask(world.machine, "127.0.0.1", 8080) == f"web {GATEWAY}"
    assert world.machine.setting("net.ipv4.ip_forward") == "0"


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_a_connection_lives_while_its_port_moves_to_another_network(world: World, variant: Variant) -> None:
    await world.open()
    await four(world, "8080:80")
    loop = asyncio.get_running_loop()
    box = world.site(world.engine.sandbox("web").value)
    with bound(box, "0.0.0.0", 90) as listener, world.machine.socket(6, socket.SOCK_STREAM) as client:
        await world.apply(Publish("web", ["[::1]:9090:90"]))
        await loop.sock_connect(client, ("::1", 9090))
        connection, _ = await loop.sock_accept(listener)
        with connection:
            await world.apply(CreateNetwork("a", subnets=["10.4.0.0/24"]))  # by its name the way out from now on
            await world.apply(Connect("web", "a"))
            assert await ask(world.machine, "::1", 8080) == "web 10.4.0.1"
            await loop.sock_sendall(client, b"still here")
            assert await loop.sock_recv(connection, 64) == b"still here"
    await world.apply(Disconnect("web", "a"))
    assert await ask(world.machine, "::1", 8080) == f"web {GATEWAY}"


async def test_sctp_that_only_the_relay_could_carry_is_refused(world: World) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError:
        await world.open()
        with pytest.raises(UnavailableError, match="no SCTP sockets"):
            await four(world, "[::1]:8080:80/sctp")
    else:
        await world.open()
        await four(world, "[::1]:8080:80/sctp")
        assert "[::1]:8080" in await world.machine.run("ss", "-Hln", "--sctp")

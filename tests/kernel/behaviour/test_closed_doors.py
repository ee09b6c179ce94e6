"""What must not be reached: unpublished ports, ports for the machine alone, and the machine's own loopback."""

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from tests.support.packets import Site, ask, bound, no_ping, pings, silent
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Box, World, together

pytestmark = pytest.mark.slow

ETH_P_ALL = 3

every_way = pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)


@pytest.mark.parametrize("masquerade", ["true", "false"])
async def test_a_neighbour_with_a_route_reaches_nothing_that_was_not_published(world: World, masquerade: str) -> None:
    await world.open()
    await world.network(
        "shop",
        ipv6=True,
        subnets=["10.5.0.0/24", "fd05::/64"],
        options={"com.docker.network.bridge.enable_ip_masquerade": masquerade},
    )
    box = await world.box("web", "shop", publish=["8080:80", "127.0.0.1:8082:82"])
    for version in (4, 6):
        for port in (80, 81, 82):
            for protocol in ("tcp", "udp"):
                world.serve(box, port, protocol, version)
    assert f"via {world.v4}" in await world.neighbour.run("ip", "route", "get", box.v4)
    closed = [
        silent(world.neighbour, address, 81, protocol) for address in (box.v4, box.v6) for protocol in ("tcp", "udp")
    ]
    closed += [silent(world.neighbour, address, port) for address in (world.v4, world.v6) for port in (80, 81)]
    # Not even a port that is published, by the address that is not: only the host's is.
    closed += [silent(world.neighbour, address, port) for address in (box.v4, box.v6) for port in (80, 82)]
    closed += [silent(world.neighbour, world.v4, 8082)]
    closed += [no_ping(world.neighbour, address) for address in (box.v4, box.v6)]
    assert await together(closed) == [True] * len(closed)
    asked = [ask(world.neighbour, address, 8080) for address in (world.v4, world.v6)]
    assert await together(asked) == [f"web {world.neighbour_v4}", f"web {world.neighbour_v6}"]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_what_is_published_on_127_0_0_1_is_for_the_machine_alone(world: World, protocol: str) -> None:
    await world.open()
    box = await world.box("web", publish=[f"127.0.0.1:8080:80/{protocol}"])
    peer = await world.box("peer")
    await world.network("shop")
    far = await world.box("far", "shop")
    world.serve(box, 80, protocol)
    assert await ask(world.machine, "127.0.0.1", 8080, protocol) == "web 172.17.0.1"
    await world.neighbour.run("ip", "route", "add", "127.0.0.2", "via", world.v4)
    world.neighbour.sysctl("net.ipv4.conf.all.route_localnet", "1")
    closed = [
        silent(site, address, 8080, protocol)
        for site in (world.neighbour, peer, far)
        for address in (world.v4, "172.17.0.1", "127.0.0.2")
    ]
    closed += [silent(world.machine, world.v4, 8080, protocol), silent(world.neighbour, box.v4, 80, protocol)]
    assert await together(closed) == [True] * len(closed)


@every_way
async def test_the_hosts_loopback_stays_out_of_reach_of_forged_frames(world: World) -> None:
    """A process with NET_RAW writes what it likes to the wire, and `route_localnet` is on for the bridge."""
    await world.open()
    box = await world.box("web", publish=["127.0.0.1:8080:80/udp"])
    with (
        bound(world.machine, "127.0.0.1", 5353, "udp") as secret,
        bound(world.machine, "172.17.0.1", 9999, "udp") as canary,
    ):
        assert await pings(box, "172.17.0.1")
        for source in (box.v4, "127.0.0.1"):
            forge(box, "eth0", source, "127.0.0.1", 5353)
            forge(box, "eth0", box.v4, "172.17.0.1", 9999)
            assert await arrives(canary)
            with pytest.raises(BlockingIOError):
                secret.recv(64)
        if world.variant is not IPTABLES_RELAY:
            # Without the rules the same frame does arrive: it is they that stop it. (The relay needs no
            # `route_localnet`, without which the kernel itself refuses such frames.)
            raw = "inet linkspan raw" if world.variant is NFTABLES else "ip raw PREROUTING"
            await world.machine.run("nft", f"flush chain {raw}")
            forge(box, "eth0", box.v4, "127.0.0.1", 5353)
            assert await arrives(secret)


@every_way
async def test_forged_frames_do_not_reach_ports_published_on_127_0_0_1(world: World) -> None:
    await world.open()
    box = await world.box("web", publish=["127.0.0.1:8080:80/udp", "8081:81/udp"])
    peer = await world.box("peer")
    with bound(box, "0.0.0.0", 80, "udp") as private, bound(box, "0.0.0.0", 81, "udp") as public:
        for site in (peer, world.neighbour):
            assert await pings(site, world.v4 if site is world.neighbour else "172.17.0.1")
            mine = peer.v4 if site is peer else world.neighbour_v4
            for source in (mine, "127.0.0.1"):
                forge(site, "eth0", source, "127.0.0.1", 8080)
                forge(site, "eth0", mine, world.v4, 8081)
                assert await arrives(public)
                with pytest.raises(BlockingIOError):
                    private.recv(64)


@pytest.mark.parametrize("family", ["ipv4", "both"])
async def test_the_machine_takes_no_route_from_a_forged_router_advertisement(world: World, family: str) -> None:
    """CVE-2020-13401: with NET_RAW a sandbox would become the machine's way to the IPv6 internet."""
    await world.open(ip_forward=False)
    for name, value in {"default.accept_ra": "1", "all.forwarding": "0"}.items():  # as Linux has them by default
        world.machine.sysctl(f"net.ipv6.conf.{name}", value)
    network = await world.network("shop", ipv6=family == "both", options={"com.docker.network.bridge.name": "shop0"})
    box = await world.box("web", "shop")
    gateway = str(network.subnets[0].gateway)
    with bound(world.machine, gateway, 9999, "udp") as canary:
        assert await pings(box, gateway)

        async def routes_after_an_advertisement() -> str:
            advertise(box, "eth0")
            forge(box, "eth0", box.v4, gateway, 9999)
            assert await arrives(canary)  # what was sent before has been dealt with, too
            return await world.machine.run("ip", "-6", "route", "show", "dev", "shop0", "proto", "ra")

        assert await routes_after_an_advertisement() == ""
        # The frame is one that would be believed.
        world.machine.sysctl("net.ipv6.conf.shop0.accept_ra", "1")
        assert "default via fe80::bad" in await routes_after_an_advertisement()


def advertise(box: Box, link: str) -> None:
    """Tell all nodes of the link that a router is here."""
    source, nodes = (socket.inet_pton(socket.AF_INET6, text) for text in ("fe80::bad", "ff02::1"))
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    summed = source + nodes + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6) + body
    body = body[:2] + struct.pack("!H", checksum(summed)) + body[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255) + source + nodes + body

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((link, ETH_P_ALL))
            raw.send(bytes.fromhex("333300000001") + raw.getsockname()[4] + b"\x86\xdd" + packet)

    box.visit(send)


async def arrives(receiver: socket.socket) -> bytes:
    """The next datagram."""
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(receiver, 64), PATIENCE)


def forge(site: Site | Box, link: str, source: str, destination: str, port: int) -> None:
    """Send a UDP datagram in a frame to the machine, with whatever addresses inside."""

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((link, ETH_P_ALL))
            raw.send(gateway_mac(link) + raw.getsockname()[4] + b"\x08\x00" + datagram(source, destination, port))

    site.visit(send)


def gateway_mac(link: str) -> bytes:
    """The hardware address of a gateway that has been spoken to."""
    for line in Path("/proc/thread-self/net/arp").read_text().splitlines()[1:]:
        address, _, flags, mac, _, device = line.split()
        if device == link and flags == "0x2" and address.endswith(".1"):
            return bytes.fromhex(mac.replace(":", ""))
    raise AssertionError("the gateway is not in the table of neighbours")


def datagram(source: str, destination: str, port: int) -> bytes:
    """An IPv4 packet with a UDP datagram in it."""
    udp = struct.pack("!HHHH", 4444, port, 8 + 5, 0) + b"hello"  # no checksum: IPv4 allows it
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def checksum(data: bytes) -> int:
    """Of the internet (RFC 1071), of an even number of bytes."""
    total = sum(int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ ((total & 0xFFFF) + (total >> 16))

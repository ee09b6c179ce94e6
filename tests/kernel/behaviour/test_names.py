"""Names inside sandboxes, asked where a program asks them: at 127.0.0.11 port 53."""

import asyncio
import socket
from ipaddress import ip_address

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from linkspan import Connect, Disconnect
from linkspan.model.requests import EndpointRequest, RecordRequest, RenameSandbox, SetRecords
from linkspan.plan.objects import Redirect
from tests.support.packets import Site, bound
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_RELAY, NFTABLES, World

pytestmark = pytest.mark.slow

RESOLVER = "127.0.0.11"


async def answers(
    site: Site, name: str, kind: str = "A", *, protocol: str = "udp", server: str = RESOLVER
) -> list[str]:
    """The values of the records that a name server gives, sorted; the code (`NXDOMAIN`) when it is not NOERROR."""
    query = dns.message.make_query(name, kind).to_wire()
    loop = asyncio.get_running_loop()
    stream = protocol == "tcp"
    version = ip_address(server).version
    with site.socket(version, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as client:
        async with asyncio.timeout(PATIENCE):
            await loop.sock_connect(client, (server, 53))
            await loop.sock_sendall(client, len(query).to_bytes(2) + query if stream else query)
            wire = await loop.sock_recv(client, 4096)
    reply = dns.message.from_wire(wire[2:] if stream else wire)
    if reply.rcode() != dns.rcode.NOERROR:
        return [dns.rcode.to_text(reply.rcode())]
    return sorted(str(record) for group in reply.answer for record in group)


async def shop(world: World, **wishes: object) -> None:
    """A network `shop` with IPv4 and IPv6."""
    await world.open(names=True)
    await world.network("shop", ipv6=True, subnets=["10.5.0.0/24", "fd05::/64"], **wishes)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_sandboxes_of_a_network_find_each_other(world: World, protocol: str) -> None:
    await shop(world)
    web = await world.box("web", EndpointRequest("shop", aliases=["www", "*.web"]), hostname="box")
    client = await world.box("client", "shop")
    for name in ("web", "WWW", "web.shop", "deep.web", web.id[:12], "box"):
        assert await answers(client, name, protocol=protocol) == ["10.5.0.2"], name
    assert await answers(client, "web", "AAAA", protocol=protocol) == ["fd05::2"]
    assert await answers(client, "2.0.5.10.in-addr.arpa", "PTR", protocol=protocol) == ["web.shop."]
    assert await answers(client, "web", "MX", protocol=protocol) == []


async def test_the_host_has_a_name_and_a_network_its_records(world: World) -> None:
    await shop(world, labels={"linkspan.dns/db": "A 10.9.9.9"})
    client = await world.box("client", "shop")
    assert await answers(client, "host.docker.internal") == ["10.5.0.1"]
    assert await answers(client, "host.docker.internal", "AAAA") == ["fd05::1"]
    assert await answers(client, "db") == ["10.9.9.9"]
    await world.apply(SetRecords("shop", [RecordRequest("db", "A", "10.9.9.10")]))
    assert await answers(client, "db") == ["10.9.9.10"]


@pytest.mark.parametrize("wishes", [{"ipv4": False, "ipv6": True}, {"internal": True}], ids=["IPv6 only", "internal"])
async def test_every_kind_of_network_has_them(world: World, wishes: dict[str, bool]) -> None:
    await world.open(names=True)
    await world.network("n", **wishes)
    web, client = await world.box("web", "n"), await world.box("client", "n")
    kind = "A" if wishes.get("ipv4", True) else "AAAA"
    address = web.v4 if kind == "A" else web.v6
    assert await answers(client, "web", kind) == [address]


async def test_names_are_seen_on_shared_networks_only(world: World) -> None:
    await shop(world)
    await world.network("other", internal=True)
    await world.box("web", "shop")
    stranger = await world.box("stranger", "other")
    assert "10.5.0.2" not in await answers(stranger, "web")
    await world.apply(Connect("stranger", "shop"))
    assert await answers(stranger, "web") == ["10.5.0.2"]
    await world.apply(Disconnect("stranger", "shop"))
    assert "10.5.0.2" not in await answers(stranger, "web")


async def test_the_resolver_comes_and_goes_with_the_networks_that_have_names(world: World) -> None:
    await shop(world)
    box = await world.box("box", "bridge")
    with pytest.raises(ConnectionRefusedError):
        await answers(box, "box")
    await world.apply(Connect("box", "shop"))
    assert await answers(box, "box") == ["10.5.0.2"]
    await world.apply(Disconnect("box", "shop"))
    with pytest.raises(ConnectionRefusedError):
        await answers(box, "box")
    assert await box.run("nft", "list", "ruleset") == ""


async def test_names_follow_a_rename(world: World) -> None:
    await shop(world)
    await world.box("old", "shop")
    client = await world.box("client", "shop")
    await world.apply(RenameSandbox("old", "new"))
    assert await answers(client, "new") == ["10.5.0.2"]
    assert "10.5.0.2" not in await answers(client, "old")


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
async def test_a_name_server_inside_has_port_53_of_its_own_addresses(world: World, address: str) -> None:
    await shop(world)
    server, client = await world.box("ns", "shop"), await world.box("client", "shop")
    version = ip_address(address).version
    loop = asyncio.get_running_loop()
    with bound(server, address, 53, "udp") as own, bound(server, address, 53, "tcp"):
        query = dns.message.make_query("x.example", "A").to_wire()
        with client.socket(version, socket.SOCK_DGRAM) as asking:
            await loop.sock_connect(asking, (server.address(version), 53))
            await loop.sock_sendall(asking, query)
            question, where = await loop.sock_recvfrom(own, 512)
            await loop.sock_sendto(own, b"its own answer", where)
            assert (question, await loop.sock_recv(asking, 64)) == (query, b"its own answer")
        assert await answers(server, "client") == ["10.5.0.3"]


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY], ids=str)
async def test_a_flushed_redirect_is_repaired_at_open_and_nothing_else(world: World) -> None:
    await shop(world)
    web = await world.box("web", "shop")
    await world.box("client", "shop")
    await web.run("nft", "flush", "ruleset")
    engine = await world.open(names=True)
    assert [type(operation.object) for operation in engine.healed] == [Redirect]
    assert await answers(web, "client") == ["10.5.0.3"]


async def test_an_engine_without_names_takes_them_away(world: World) -> None:
    await shop(world)
    web = await world.box("web", "shop")
    await world.open()
    with pytest.raises(ConnectionRefusedError):
        await answers(web, "web")
    assert await web.run("nft", "list", "ruleset") == ""


async def test_the_host_can_ask_too(world: World) -> None:
    await world.open(names=True, host_resolver=ip_address("127.0.0.76"))
    await world.network("shop", subnets=["10.5.0.0/24"])
    await world.box("web", "shop")
    assert await answers(world.machine, "web.shop.linkspan", server="127.0.0.76") == ["10.5.0.2"]


async def test_a_trace_says_where_an_answer_comes_from(world: World) -> None:
    await shop(world)
    web = await world.box("web", "shop")
    await world.box("sidecar", mode=f"container:{web.id}")
    for reference in ("web", "sidecar"):
        trace = await world.engine.trace(reference, "web")
        assert (trace.status, [step.where for step in trace.steps]) == ("NOERROR", ["zone shop"])
        assert [answer.split()[-1] for answer in trace.answers] == ["10.5.0.2"]

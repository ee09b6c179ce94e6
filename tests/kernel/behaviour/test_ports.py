"""Published ports: which of them answer, who answers, and who owns them."""

import json
import re

import pytest

from linkspan import Connect, Disconnect, EndpointRequest, Publish, RemoveSandbox, Unpublish
from linkspan.model.errors import ConflictError, ExhaustedError, InvalidError
from tests.support.packets import Site, ask, bound, silent
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Variant, World, together

pytestmark = pytest.mark.slow

DUAL = {"ipv6": True, "subnets": ["10.5.0.0/24", "fd05::/64"]}
PROTOCOLS = ("tcp", "udp")


@pytest.fixture(params=[NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def listening(site: Site) -> set[tuple[str, str]]:
    """Protocol and local address of every socket that has a port."""
    return {(words[0], words[4]) for line in (await site.run("ss", "-Hlntu")).splitlines() if (words := line.split())}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_single_port_leads_to_its_target_in_both_families(world: World, protocol: str) -> None:
    await world.open(ipv6=True)
    box = await world.box("web", publish=[f"8080:80/{protocol}"])
    for version in (4, 6):
        world.serve(box, 80, protocol, version)
    asked = [ask(world.neighbour, address, 8080, protocol) for address in (world.v4, world.v6)]
    assert await together(asked) == [f"web {world.neighbour_v4}", f"web {world.neighbour_v6}"]
    other = "udp" if protocol == "tcp" else "tcp"
    assert await silent(world.neighbour, world.v4, 8080, other)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("shift", [0, 1000], ids=["unshifted", "shifted"])
async def test_each_port_of_a_range_leads_to_its_own_target(world: World, protocol: str, shift: int) -> None:
    await world.open(ipv6=True)
    box = await world.box("web", publish=[f"{8000 + shift}-{8003 + shift}:8000-8003/{protocol}"])
    for version in (4, 6):
        for port in range(8000, 8004):
            world.serve(box, port, protocol, version, name=f"at{port}")
    asked = [
        ask(world.neighbour, address, port + shift, protocol)
        for address in (world.v4, world.v6)
        for port in range(8000, 8004)
    ]
    answers = [answer and answer.split()[0] for answer in await together(asked)]
    assert answers == [f"at{port}" for port in range(8000, 8004)] * 2
    outside = [silent(world.neighbour, world.v4, port + shift, protocol) for port in (7999, 8004)]
    assert await together(outside) == [True, True]


async def test_a_port_on_one_host_address_is_not_on_the_others(world: World) -> None:
    await world.machine.run("ip", "address", "add", "192.0.2.100/24", "dev", "eth0")
    await world.machine.run("ip", "address", "add", "2001:db8::100/64", "dev", "eth0", "nodad")
    await world.open(ipv6=True)
    box = await world.box("web", publish=["192.0.2.100:8080:80", "[2001:db8::100]:8080:80", "192.0.2.100:53:80/udp"])
    for version in (4, 6):
        world.serve(box, 80, version=version)
    world.serve(box, 80, "udp")
    asked = [
        ask(world.neighbour, "192.0.2.100", 8080),
        ask(world.neighbour, "2001:db8::100", 8080),
        ask(world.neighbour, "192.0.2.100", 53, "udp"),
        ask(world.machine, "192.0.2.100", 8080),
    ]
    assert [answer and answer.split()[0] for answer in await together(asked)] == ["web"] * 4
    closed = [
        silent(site, address, 8080) for site in (world.neighbour, world.machine) for address in (world.v4, world.v6)
    ]
    assert await together([*closed, silent(world.machine, "127.0.0.1", 8080)]) == [True] * 5


async def test_two_sandboxes_share_a_port_number_on_two_addresses(world: World) -> None:
    await world.machine.run("ip", "address", "add", "192.0.2.100/24", "dev", "eth0")
    await world.open()
    for name, address in (("one", world.v4), ("two", "192.0.2.100")):
        world.serve(await world.box(name, publish=[f"{address}:8080:80"]), 80)
    asked = [ask(world.neighbour, world.v4, 8080), ask(world.neighbour, "192.0.2.100", 8080)]
    assert await together(asked) == [f"one {world.neighbour_v4}", f"two {world.neighbour_v4}"]


async def test_ephemeral_ports_are_free_ones_of_the_machine_and_differ(world: World) -> None:
    world.machine.sysctl("net.ipv4.ip_local_port_range", "40000 40003")
    world.machine.sysctl("net.ipv4.ip_local_reserved_ports", "40001")
    await world.open()
    with bound(world.machine, "0.0.0.0", 40000):
        one, two = await world.box("one", publish=["80"]), await world.box("two", publish=["80"])
        numbers = [box.value.ports[0].host.first for box in (one, two)]
        assert numbers == [40002, 40003]
        for box, number in zip((one, two), numbers, strict=True):
            world.serve(box, 80)
            assert await ask(world.neighbour, world.v4, number) == f"{box.name} {world.neighbour_v4}"
        with pytest.raises((ExhaustedError, ConflictError)):
            await world.box("three", publish=["80"])
    assert world.engine.sandboxes.keys() == {one.id, two.id}


async def test_a_host_range_for_one_target_gives_the_first_free_port(world: World) -> None:
    await world.open()
    with bound(world.machine, "0.0.0.0", 8000):
        box = await world.box("web", publish=["8000-8005:80"])
        world.serve(box, 80)
        assert str(box.value.ports[0].host) == "8001"
        assert await ask(world.neighbour, world.v4, 8001) == f"web {world.neighbour_v4}"


async def test_publishing_and_taking_back_on_a_live_sandbox(world: World) -> None:
    await world.open()
    box = await world.box("web")
    world.serve(box, 80)
    world.serve(box, 80, "udp")
    await world.apply(Publish("web", ["8080:80", "8080:80/udp"]))
    asked = [ask(world.neighbour, world.v4, 8080, protocol) for protocol in PROTOCOLS]
    assert await together(asked) == [f"web {world.neighbour_v4}"] * 2
    await world.apply(Unpublish("web", ["8080"]))
    assert await silent(world.neighbour, world.v4, 8080)
    assert await ask(world.neighbour, world.v4, 8080, "udp") == f"web {world.neighbour_v4}"


async def test_published_ports_move_with_the_way_out(world: World) -> None:
    await world.open()
    await world.network("shop", **DUAL)
    box = await world.box("web", "bridge", publish=["8080:80"])
    world.serve(box, 80)
    await world.apply(Connect("web", EndpointRequest("shop", gw_priority=1)))
    assert await ask(world.neighbour, world.v4, 8080) == f"web {world.neighbour_v4}"
    assert await ask(world.machine, "127.0.0.1", 8080) == "web 10.5.0.1"
    await world.apply(Disconnect("web", "bridge"))
    assert await ask(world.neighbour, world.v4, 8080) == f"web {world.neighbour_v4}"
    await world.apply(Disconnect("web", "shop"))
    assert await silent(world.neighbour, world.v4, 8080)
    bound(world.machine, "0.0.0.0", 8080).close()


async def test_sctp_ports_have_their_rules(world: World) -> None:
    await world.open()
    box = await world.box("signal", publish=["2905:2905/sctp", "3000-3001:4000-4001/sctp"])
    if world.variant is NFTABLES:
        maps = {item["map"]["name"]: item["map"].get("elem", []) for item in await world.nft() if "map" in item}
        text = json.dumps(maps["anyports4"])
        for host, target in ((2905, 2905), (3000, 4000), (3001, 4001)):
            assert re.search(rf'"sctp", {host}\].*?{re.escape(box.v4)}", {target}', text)
    else:
        rules = await world.machine.run("iptables-save", "-t", "nat")
        for host, target in ((2905, 2905), (3000, 4000), (3001, 4001)):
            assert re.search(rf"-p sctp -m sctp --dport {host} -j DNAT --to-destination {box.v4}:{target}\n", rules)
    await world.apply(RemoveSandbox("signal"))
    listing = await world.machine.run("nft", "list", "ruleset")
    assert not re.search(r"\b2905\b", listing) and "sctp" not in listing.replace("inet_proto", "")


async def test_published_ports_show_in_the_list_of_sockets(world: World) -> None:
    await world.open(ipv6=True)
    await world.box("web", publish=["8080:80", "127.0.0.1:5353:53/udp"])
    assert await listening(world.machine) >= {("tcp", "0.0.0.0:8080"), ("udp", "127.0.0.1:5353")}
    await world.apply(RemoveSandbox("web"))
    assert await listening(world.machine) == set()


sockets = pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY], ids=str)  # those with a relay differ


@sockets
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "2001:db8::1"])
async def test_no_host_process_gets_a_port_that_a_sandbox_has(world: World, protocol: str, address: str) -> None:
    await world.open(ipv6=True)
    await world.box("web", publish=[f"8080:80/{protocol}"])
    with pytest.raises(OSError, match="Address already in use"):
        bound(world.machine, address, 8080, protocol)


@sockets
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "192.0.2.1", "::"])
async def test_no_sandbox_gets_a_port_that_a_host_process_has(world: World, protocol: str, address: str) -> None:
    await world.open(ipv6=True)
    before = await state(world)
    with bound(world.machine, address, 8081, protocol):
        with pytest.raises(ConflictError) as caught:
            await world.box("web", publish=[f"8080-8082:80-82/{protocol}"])
        assert "driver failed programming external connectivity on endpoint web" in caught.value.message
        assert re.search(rf"failed to bind host port \S+/{protocol}: address already in use", caught.value.message)
        assert "ss -lnp" in (caught.value.hint or "")
    assert await state(world) == before
    await world.box("web", publish=[f"8080-8082:80-82/{protocol}"])


async def state(world: World) -> list[str]:
    """Everything that a refused request might have left."""
    listings = [("ip", "-brief", "address"), ("nft", "-s", "list", "ruleset"), ("ss", "-Hlntu")]
    return [
        *[await world.machine.run(*command) for command in listings],
        *map(str, world.pins()),
        *world.engine.sandboxes,
    ]


async def test_a_port_of_another_sandbox_is_refused_in_dockers_words(world: World) -> None:
    await world.open()
    await world.box("one", publish=["8080:80", "9000-9005:9000-9005/udp"])
    before = await state(world)
    for publish, shown in (
        ("8080:80", "0.0.0.0:8080"),
        ("127.0.0.1:8080:81", "127.0.0.1:8080"),
        ("9005-9006:1-2/udp", "0.0.0.0:9005"),
    ):
        with pytest.raises(ConflictError, match=re.escape(f"Bind for {shown} failed: port is already allocated")):
            await world.box("two", publish=["7000:70", publish])
    assert await state(world) == before


async def test_an_address_that_the_host_does_not_have_is_refused(world: World) -> None:
    await world.open()
    before = await state(world)
    with pytest.raises(InvalidError, match=r"192\.0\.2\.77:8080/tcp: cannot assign requested address"):
        await world.box("web", publish=["192.0.2.77:8080:80"])
    assert await state(world) == before


async def test_a_released_port_is_the_hosts_again_at_once(world: World) -> None:
    await world.open(ipv6=True)
    box = await world.box("web", publish=["8080:80"])
    world.serve(box, 80)
    assert await ask(world.neighbour, world.v4, 8080)  # a connection goes to TIME_WAIT
    await world.apply(RemoveSandbox("web"))
    world.serve(world.machine, 8080)
    assert await ask(world.neighbour, world.v4, 8080) == f"machine {world.neighbour_v4}"
    assert await ask(world.machine, "127.0.0.1", 8080) == "machine 127.0.0.1"

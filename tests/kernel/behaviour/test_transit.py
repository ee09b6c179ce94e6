"""A host that did not forward before does not become a router between its own interfaces."""

import shutil

import pytest

from tests.support.packets import Site, no_ping, pings
from tests.support.world import IPTABLES_RELAY, NFTABLES, World, together

pytestmark = pytest.mark.slow

OFFICE = {4: "198.51.100", 6: "2001:db8:1:"}
"""What `other` is on: a network of its own behind the machine, as an office is behind a VPN."""
FAR = (f"{OFFICE[4]}.2", f"{OFFICE[6]}:2")
SWITCH = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


async def between(world: World, *, forwards: bool = False) -> None:
    """`neighbour` on one side of the machine, `other` on its other side."""
    for name in SWITCH.values():
        world.machine.sysctl(name, str(int(forwards)))
    await wire(world, world.other, "office")
    await world.other.run("ip", "link", "set", "eth0", "down")
    for site, number in ((world.machine, 1), (world.other, 2)):
        await site.run("ip", "address", "add", f"{OFFICE[4]}.{number}/24", "dev", "office")
        await site.run("ip", "address", "add", f"{OFFICE[6]}:{number}/64", "dev", "office", "nodad")
    await world.other.run("ip", "route", "add", "default", "via", f"{OFFICE[4]}.1")
    await world.other.run("ip", "-6", "route", "add", "default", "via", f"{OFFICE[6]}:1")


async def wire(world: World, site: Site, name: str) -> None:
    """A cable between the machine and a site: an interface of that name at each end."""
    peer = ("peer", "name", name, "netns", str(site.namespace))
    await world.machine.run("ip", "link", "add", name, "type", "veth", *peer)
    for end in (world.machine, site):
        await end.run("ip", "link", "set", name, "up")


async def passes(world: World) -> list[bool]:
    """Whether the machine routes between its two sides, by family."""
    return await together(pings(world.neighbour, address) for address in FAR)


async def is_closed(world: World) -> bool:
    return all(await together(no_ping(world.neighbour, address) for address in FAR))


def forwarding(world: World) -> list[str]:
    return [world.machine.setting(name) for name in SWITCH.values()]


async def test_switching_forwarding_on_opens_no_way_past_the_bridges(world: World) -> None:
    await between(world)
    assert await is_closed(world)
    await world.open()
    await world.network("dual", ipv6=True)
    assert forwarding(world) == ["1", "1"]
    assert await is_closed(world)
    box = await world.box("web", "dual")
    assert await together(pings(box, address) for address in FAR) == [True, True]
    assert await world.engine.obstacles() == []


async def test_the_way_stays_closed_over_restarts_and_a_flush(world: World) -> None:
    await between(world)
    await world.open()
    await world.network("dual", ipv6=True)
    await world.open()
    assert world.engine.healed == ()
    assert await is_closed(world)
    await world.close()
    await world.machine.run("nft", "flush", "ruleset")
    assert await passes(world) == [True, True]  # it is the rules that close it
    await world.open()
    assert await is_closed(world)


async def test_the_way_stays_closed_by_the_other_backend(world: World) -> None:
    await between(world)
    await world.open()
    await world.network("dual", ipv6=True)
    world.variant = IPTABLES_RELAY if world.variant is NFTABLES else NFTABLES
    await world.open()
    assert await is_closed(world)


async def test_a_host_that_forwarded_before_goes_on(world: World) -> None:
    await between(world, forwards=True)
    for _ in range(2):
        await world.open()
        assert await passes(world) == [True, True]
        if not world.engine.networks:
            await world.network("dual", ipv6=True)


async def test_an_administrator_who_wants_a_router_says_so(world: World) -> None:
    await between(world)
    await world.open()
    await world.network("dual", ipv6=True)
    assert await is_closed(world)
    await world.open(ip_forward_no_drop=True)
    assert await passes(world) == [True, True]


async def test_forwarding_that_is_on_after_a_reboot_was_not_switched_on_by_us(world: World) -> None:
    await between(world)
    await world.open()
    await world.network("dual", ipv6=True)
    await world.close()
    await world.machine.run("nft", "flush", "ruleset")
    shutil.rmtree(world.exec_root / "forwarding")  # a reboot empties the exec root, and sysctl.d switches it on
    await world.open()
    assert await passes(world) == [True, True]


@pytest.mark.parametrize("variant", [IPTABLES_RELAY], ids=str)
async def test_what_rules_of_others_accept_passes(world: World) -> None:
    await between(world)
    await world.open()
    await world.network("dual", ipv6=True)
    for tool in ("iptables", "ip6tables"):
        await world.machine.run(tool, "-A", "FORWARD", "-p", "icmp" if tool == "iptables" else "icmpv6", "-j", "ACCEPT")
    await world.open()
    assert await passes(world) == [True, True]


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_bridges_of_others_are_not_cut_off(world: World) -> None:
    """With iptables their own rules let them through; here no rule of theirs could."""
    await between(world)
    await world.machine.run("ip", "link", "add", "virbr0", "type", "bridge")
    await world.machine.run("ip", "link", "set", "virbr0", "up")
    await world.machine.run("ip", "address", "flush", "dev", "office")
    await world.machine.run("ip", "link", "set", "office", "master", "virbr0")
    await world.machine.run("ip", "address", "add", f"{OFFICE[4]}.1/24", "dev", "virbr0")
    await world.machine.run("ip", "address", "add", f"{OFFICE[6]}:1/64", "dev", "virbr0", "nodad")
    assert await is_closed(world)
    await world.open()
    await world.network("dual", ipv6=True)
    assert await passes(world) == [True, True]


async def test_what_a_bridge_of_others_passes_between_its_ports_is_let_be(world: World) -> None:
    """With br_netfilter on, each of its frames comes to the chains of forwarded packets."""
    for name in SWITCH.values():
        world.machine.sysctl(name, "0")
    await world.machine.run("ip", "link", "add", "virbr0", "type", "bridge")
    await world.machine.run("ip", "link", "set", "virbr0", "up")
    for number, site in enumerate((world.neighbour, world.other), 1):
        await wire(world, site, f"tap{number}")
        await world.machine.run("ip", "link", "set", f"tap{number}", "master", "virbr0")
        await site.run("ip", "address", "add", f"{OFFICE[4]}.{number}/24", "dev", f"tap{number}")
        await site.run("ip", "address", "add", f"{OFFICE[6]}:{number}/64", "dev", f"tap{number}", "nodad")
    world.bridge_netfilter(on=True)
    await world.open()
    await world.network("dual", ipv6=True)
    assert forwarding(world) == ["1", "1"]
    assert await passes(world) == [True, True]

"""What others changed while the engine was closed is repaired when it opens, and listed; the rest is not touched."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from linkspan import RemoveSandbox
from linkspan.kernel import native
from linkspan.plan.objects import (
    Address,
    Bridge,
    IptablesChain,
    IptablesRule,
    KernelObject,
    Namespace,
    NftChain,
    NftElement,
    NftTable,
    Route,
    Sysctl,
    Up,
    Veth,
)
from tests.support.bystanders import bystanders
from tests.support.listing import Listing, listing
from tests.support.packets import ask, pings
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Box, Variant, World, together

pytestmark = pytest.mark.slow

DUAL = {"ipv6": True, "subnets": ["10.5.0.0/24", "fd05::/64"]}


@dataclass(frozen=True)
class Scene:
    """A machine in use: `web` and `peer` on one network, `far` on another."""

    world: World
    web: Box
    peer: Box
    far: Box

    @property
    def veth(self) -> str:
        return self.web.value.endpoints[0].host_ifname

    async def works(self) -> bool:
        """Whether every kind of traffic flows, and none that should not."""
        world, web = self.world, self.web
        asked = [
            ask(world.neighbour, world.v4, 8080),
            ask(world.neighbour, world.v6, 8080),
            ask(self.far, world.v4, 8080),
            ask(self.peer, web.v4, 80),
            ask(self.peer, web.v6, 80),
            ask(world.machine, "127.0.0.1", 8080),
        ]
        answers = [(answer or "").split(" ")[0] for answer in await together(asked)]
        reached = await together([pings(web, world.neighbour_v4), pings(web, world.neighbour_v6)])
        return answers == ["web"] * len(asked) and reached == [True, True]

    def listing(self) -> Listing:
        return listing(self.world.machine.namespace, self.world.exec_root, iptables=self.world.variant is not NFTABLES)


async def scene(world: World) -> Scene:
    await world.open()
    await world.network("front", **DUAL)
    await world.network("back")
    web, peer = await world.box("web", "front", publish=["8080:80"]), await world.box("peer", "front")
    far = await world.box("far", "back")
    for version in (4, 6):
        world.serve(web, 80, version=version)
    return Scene(world, web, peer, far)


Tamper = Callable[[Scene], Awaitable[object]]


def on_machine(*argv: str) -> Tamper:
    """Run a program on the machine; `BRIDGE`, `VETH` stand for the names in use."""

    async def tamper(scene: Scene) -> None:
        network = scene.world.engine.network("front")
        names = {"BRIDGE": network.bridge.name if network.bridge else "", "VETH": scene.veth}
        await scene.world.machine.run(*(names.get(word, word) for word in argv))

    return tamper


def in_web(*argv: str) -> Tamper:
    """Run a program in the sandbox."""
    return lambda scene: scene.web.run(*argv)


LINKS: dict[str, tuple[Tamper, set[type[KernelObject]]]] = {
    "the bridge is down": (on_machine("ip", "link", "set", "BRIDGE", "down"), {Up}),
    "the veth is down": (on_machine("ip", "link", "set", "VETH", "down"), {Up}),
    "the bridge has lost its address": (on_machine("ip", "address", "del", "10.5.0.1/24", "dev", "BRIDGE"), {Address}),
    "the bridge has lost its IPv6 address": (
        on_machine("ip", "address", "flush", "dev", "BRIDGE", "scope", "global"),
        {Address},
    ),
    "the bridge has another hardware address": (
        on_machine("ip", "link", "set", "BRIDGE", "address", "02:00:00:00:00:42"),
        {Bridge},
    ),
    "the veth has left the bridge": (on_machine("ip", "link", "set", "VETH", "nomaster"), {Veth}),
    "the veth is a port of another bridge": (on_machine("ip", "link", "set", "VETH", "master", "docker0"), {Veth}),
    "the veth no longer turns frames around": (
        on_machine("bridge", "link", "set", "dev", "VETH", "hairpin", "off"),
        {Veth},
    ),
    "forwarding is off": (on_machine("sysctl", "-qw", "net.ipv4.ip_forward=0"), {Sysctl}),
    "IPv6 forwarding is off": (on_machine("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0"), {Sysctl}),
    "eth0 is down": (in_web("ip", "link", "set", "eth0", "down"), {Up}),
    "eth0 has lost its address": (in_web("ip", "-4", "address", "flush", "dev", "eth0"), {Address}),
    "the default route is gone": (in_web("ip", "route", "del", "default"), {Route}),
    "the default route leads elsewhere": (
        in_web("ip", "route", "replace", "default", "via", "10.5.0.200", "dev", "eth0"),
        {Route},
    ),
    "the veth is gone": (on_machine("ip", "link", "del", "VETH"), {Veth, Address, Up, Route}),
    "the bridge is gone": (on_machine("ip", "link", "del", "BRIDGE"), {Bridge, Veth, Address, Up, Sysctl}),
}


FLUSHES = {
    "nftables": on_machine("nft", "flush", "ruleset"),
    "iptables": on_machine("sh", "-c", "for t in filter nat raw; do iptables -w -t $t -F; iptables -w -t $t -X; done"),
}


@pytest.mark.parametrize("gone", ["rules", "bridge"])
async def test_a_request_repairs_what_it_finds_missing(world: World, gone: str) -> None:
    """`systemctl restart nftables` flushes everybody's rules, while the engine is open."""
    there = await scene(world)
    before = there.listing()
    remove = FLUSHES[world.variant.firewall] if gone == "rules" else on_machine("ip", "link", "del", "BRIDGE")
    await remove(there)
    box = await world.box("another", "front", publish=["8081:81"])
    world.serve(box, 81)
    assert await ask(world.neighbour, world.v4, 8081) is not None
    assert await there.works()
    await world.apply(RemoveSandbox("another"))
    assert there.listing() == before


async def flushed_and_back(scene: Scene, before: Listing) -> None:
    """Flush the rules, and wait until all is as it was before."""
    await FLUSHES[scene.world.variant.firewall](scene)
    async with asyncio.timeout(PATIENCE):
        while scene.listing() != before:  # noqa: ASYNC110 - the kernel tells us no more than it tells the engine
            await asyncio.sleep(0.05)


async def test_rules_that_are_flushed_come_back_by_themselves(world: World) -> None:
    there = await scene(world)
    before = there.listing()
    await flushed_and_back(there, before)
    assert await there.works()
    await flushed_and_back(there, before)


async def check_repair(scene: Scene, tamper: Tamper, *expected: type[KernelObject]) -> None:
    """Damage the machine, and see it repaired, reported, and in the same state as before to the last line."""
    world = scene.world
    before = scene.listing()
    assert await scene.works()
    await world.close()
    await tamper(scene)
    engine = await world.open()
    healed = {type(operation.object) for operation in engine.healed}
    assert healed and healed >= set(expected), engine.healed
    assert engine.problems == ()
    assert scene.listing() == before
    assert await scene.works()
    engine = await world.open()
    assert engine.healed == ()


@pytest.mark.parametrize("damage", LINKS)
@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_damaged_links_are_repaired(world: World, damage: str) -> None:
    tamper, expected = LINKS[damage]
    await check_repair(await scene(world), tamper, *expected)


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("flush ruleset", NftTable),
        ("delete table inet linkspan", NftTable),
        ("flush table inet linkspan", NftChain),
        ("flush chain inet linkspan forward", NftChain),
        ("delete element inet linkspan anyports4 { tcp . 8080 }", NftElement),
        ("flush set inet linkspan bridges", NftElement),
        ("flush map inet linkspan anyports6", NftElement),
        ("insert rule inet linkspan forward drop", NftChain),
        ("add element inet linkspan anyports4 { tcp . 9999 : 10.5.0.2 . 99 }", NftElement),
        ('delete element inet linkspan icc { "docker0" . "docker0" }', NftElement),
    ],
)
async def test_damaged_nftables_are_repaired(world: World, statement: str, expected: type[KernelObject]) -> None:
    await check_repair(await scene(world), on_machine("nft", statement), expected)


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_one_rule_taken_out_of_a_chain_is_put_back_in_its_place(world: World) -> None:
    async def remove_the_third_rule(scene: Scene) -> None:
        rules = [item["rule"] for item in await world.nft() if item.get("rule", {}).get("chain") == "forward"]
        await world.machine.run(
            "nft", "delete", "rule", "inet", "linkspan", "forward", "handle", str(rules[2]["handle"])
        )

    await check_repair(await scene(world), remove_the_third_rule, NftChain)


@pytest.mark.parametrize("variant", [IPTABLES_RELAY, IPTABLES_NAT], ids=str)
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("iptables -F", IptablesRule),
        ("iptables -t nat -F", IptablesRule),
        ("iptables -t nat -F DOCKER", IptablesRule),
        ("ip6tables -F FORWARD", IptablesRule),
        ("iptables -D FORWARD -j DOCKER-USER", IptablesRule),
        ("iptables -I DOCKER-ISOLATION-STAGE-1 -j DROP", IptablesRule),
        ("nft flush ruleset", IptablesChain),
    ],
)
async def test_damaged_iptables_are_repaired(world: World, command: str, expected: type[KernelObject]) -> None:
    await check_repair(await scene(world), on_machine(*command.split()), expected)


@pytest.mark.parametrize("variant", [IPTABLES_RELAY, IPTABLES_NAT], ids=str)
@pytest.mark.parametrize(
    "wishes",
    [
        {"ipv6": True},
        {"internal": True, "ipv6": True},
        {"options": {"com.docker.network.bridge.enable_icc": "false"}},
        {"options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}, "ipv6": True},
    ],
    ids=str,
)
async def test_rules_of_a_network_that_is_forgotten_are_found_and_removed(world: World, wishes: dict[str, Any]) -> None:
    """With iptables nothing marks a rule, so it is known by its shape: as after a crash just before the commit."""
    await world.open()
    before = listing(world.machine.namespace, world.exec_root, iptables=True)
    await world.close()
    shutil.copytree(world.data_root, world.data_root.with_name("remembered"))
    await world.open()
    await world.network("shop", **wishes)
    await world.box("a", "shop", publish=["8080-8083:80-83", "53:53/udp"])
    await world.close()
    shutil.rmtree(world.data_root)
    world.data_root.with_name("remembered").rename(world.data_root)
    engine = await world.open()
    assert engine.healed
    assert listing(world.machine.namespace, world.exec_root, iptables=True) == before


async def test_a_sandbox_whose_namespace_was_unpinned_gets_a_new_one_with_all_it_had(world: World) -> None:
    made = await scene(world)
    before = made.listing()
    await world.close()
    pin = world.exec_root / "netns" / made.web.id[:12]
    native.detach_mount(pin)
    pin.unlink()
    engine = await world.open()
    assert Namespace(made.web.id) in {operation.object for operation in engine.healed}
    assert made.listing() == before
    # The server lived in the old one.
    fresh = world.site(made.web.value)
    for version in (4, 6):
        world.serve(fresh, 80, version=version)
    assert await made.works()


async def test_everything_at_once_as_after_a_reboot(world: World, tmp_path: Path) -> None:
    made = await scene(world)
    before = made.listing()
    network = world.engine.network("front")
    assert network.bridge is not None
    await world.close()
    for pin in world.pins():
        native.detach_mount(pin)  # the plain files stay, as on a disk
    await world.machine.run("nft", "flush", "ruleset")
    for link in (network.bridge.name, "docker0"):
        await world.machine.run("ip", "link", "del", link)
    await world.open()
    assert made.listing() == before
    for version in (4, 6):
        world.serve(world.site(made.web.value), 80, version=version)
    assert await made.works()


async def test_leftovers_of_nobody_are_removed(world: World) -> None:
    made = await scene(world)
    before = made.listing()
    mark = f"linkspan:{world.engine.id[:12]}:endpoint:feedfeedfeed"
    await world.close()
    await world.machine.run("ip", "link", "add", "vethfeedfee", "type", "veth", "peer", "name", "x")
    await world.machine.run("ip", "link", "set", "vethfeedfee", "alias", mark)
    (world.exec_root / "netns" / "feedfeedfeed").touch()
    await world.machine.run("unshare", "--net", "mount", "--bind", "/proc/self/ns/net", str(_pin(world)))
    engine = await world.open()
    assert {type(operation.object) for operation in engine.healed} >= {Veth, Namespace}
    assert made.listing() == before


def _pin(world: World) -> Path:
    pin = world.exec_root / "netns" / "beadbeadbead"
    pin.touch()
    return pin


async def test_what_belongs_to_others_is_left_alone(world: World) -> None:
    made = await scene(world)
    await world.close()
    await world.machine.run("ip", "link", "add", "vethfeedfee", "type", "veth", "peer", "name", "x")
    await world.machine.run("ip", "link", "set", "vethfeedfee", "alias", "linkspan:someoneelse0:endpoint:feedfeedfeed")
    await world.machine.run("nft", "add table inet theirs; add chain inet theirs c; add rule inet theirs c counter")
    await made.web.run("ip", "address", "add", "203.0.113.5/32", "dev", "lo")
    engine = await world.open()
    assert engine.healed == ()
    assert "vethfeedfee" in await world.machine.run("ip", "link")
    assert "counter" in await world.machine.run("nft", "list", "table", "inet", "theirs")
    assert "203.0.113.5" in await made.web.run("ip", "address")


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)
async def test_closing_and_opening_an_untouched_machine_repairs_nothing_and_loses_no_packet(
    world: World, variant: Variant
) -> None:
    await world.open()
    await world.network("front", **DUAL)
    client = await world.box("client", "front")
    server = await world.box("server", "front", publish=["9000:9000", "9000:9000/udp"])
    outsider = await world.box("outsider")
    await world.close()  # the process of the bystanders is forked, and must not hold what an engine holds
    with bystanders(client, server, outsider, world.v4) as traffic:
        assert traffic.report(20).lost == 0
        for _ in range(5):
            engine = await world.open()
            assert engine.healed == () and engine.problems == ()
            report = await asyncio.to_thread(traffic.report)
            assert (report.lost, report.retransmitted) == (0, 0)


async def test_a_port_that_a_process_took_meanwhile_is_a_problem_and_the_rest_works(world: World) -> None:
    await world.open()
    web, other = await world.box("web", publish=["8080:80"]), await world.box("other", publish=["8081:80"])
    world.serve(other, 80)
    await world.close()
    world.serve(world.machine, 8080)
    engine = await world.open()
    (problem,) = engine.problems
    assert "8080" in problem.message and "address already in use" in problem.message
    assert engine.healed == ()
    assert await ask(world.neighbour, world.v4, 8081) == f"other {world.neighbour_v4}"
    await world.apply(RemoveSandbox(web.id))

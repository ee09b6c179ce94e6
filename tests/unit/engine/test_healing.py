"""What an engine finds when it opens: its own work, foreign changes, leftovers, strangers."""

import asyncio
import errno
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest

from linkspan.model.config import AddressPool, Config
from linkspan.model.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    KernelError,
    UnavailableError,
    UnservedError,
)
from linkspan.model.ports import Protocol
from linkspan.model.problems import Problem
from linkspan.model.requests import (
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    Publish,
    RemoveNetwork,
    RemoveSandbox,
    Request,
)
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import Bridge, HostPort, KernelObject, NftElement, NftTable, Sysctl, Veth
from linkspan.plan.observation import HostFacts
from linkspan.plan.operations import Verb
from tests.fakes.store import MemoryStore
from tests.support.engines import World, lasting
from tests.support.patience import PATIENCE
from tests.support.scenes import ENGINE_ID

HISTORY: Sequence[Request[Any]] = [
    CreateNetwork("n", ipv6=True),
    CreateSandbox("x", networks=["n", "bridge"], publish=["8080:80"]),
    CreateSandbox("y", publish=["9000-9001:90-91/udp"]),
    CreateSandbox("z", mode="container:y"),
    Publish("x", ["8081:81"]),
    Disconnect("x", "bridge"),
    RemoveSandbox("z"),
    CreateNetwork("gone"),
    RemoveNetwork("gone"),
]


async def build(world: World, history: Sequence[Request[Any]] = HISTORY) -> None:
    """An engine that does all of `history` and closes."""
    async with world.engine() as engine:
        for request in history:
            await engine.apply(request)


async def check_reopened(world: World) -> tuple[Any, ...]:
    """Open again; what was healed, once everything is as it should be."""
    async with world.engine() as engine:
        assert engine.problems == ()
        assert world.holds_what_is_wanted(engine)
        return engine.healed


def test_a_first_engine_heals_nothing_and_leaves_the_predefined_networks() -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        assert await check_reopened(world) == ()
        assert {network.name for network in (await store.load()).networks.values()} == {"bridge", "host", "none"}

    asyncio.run(scenario())


def test_rules_that_somebody_deletes_come_back_without_a_request() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            await engine.apply(CreateSandbox("x", publish=["8080:80"]))
            world.kernel.lose(next(item for item in world.kernel.objects.values() if isinstance(item, NftTable)))
            assert not world.holds_what_is_wanted(engine)
            async with asyncio.timeout(PATIENCE):
                while not world.holds_what_is_wanted(engine):  # noqa: ASYNC110 - a repair is no event
                    await asyncio.sleep(0)

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, 7, 33])
def test_a_pool_that_cannot_be_cut_to_size_is_invalid(size: int) -> None:
    async def scenario() -> None:
        world = World(config=Config(pools=(AddressPool(IPv4Network("10.0.0.0/8"), size),)))
        with pytest.raises(InvalidError, match=r"invalid address pool 10\.0\.0\.0/8") as caught:
            await check_reopened(world)
        assert (caught.value.field, caught.value.value) == ("pools", size)

    asyncio.run(scenario())


def test_a_configured_ipv6_pool_takes_the_place_of_unique_local_addresses() -> None:
    async def scenario() -> None:
        pools = (AddressPool(IPv4Network("10.0.0.0/8"), 16), AddressPool(IPv6Network("fd00:9::/64"), 64))
        async with World(config=Config(pools=pools)).engine() as engine:
            network = await engine.apply(CreateNetwork("a", ipv4=False, ipv6=True))
            assert str(network.subnets[0].prefix) == "fd00:9::/64"
            with pytest.raises(ExhaustedError):
                await engine.apply(CreateNetwork("b", ipv4=False, ipv6=True))

    asyncio.run(scenario())


def test_opening_what_is_whole_touches_nothing_but_ports() -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        await build(world)
        world.kernel.log.clear()
        commits = len(store.commits)
        assert await check_reopened(world) == ()
        assert len(store.commits) == commits
        assert all(isinstance(operation.object, HostPort) for operation in world.kernel.log)
        assert {str(operation.object) for operation in world.kernel.log}

    asyncio.run(scenario())


@pytest.mark.parametrize("firewall", [Nftables(), Iptables(userland_proxy=True)], ids=["nftables", "iptables"])
def test_whatever_one_object_was_taken_away_is_repaired_and_listed(firewall: Nftables | Iptables) -> None:
    async def scenario() -> None:
        world = World(firewall=firewall)
        await build(world)
        for item in list(world.kernel.objects.values()):
            world.kernel.lose(item)
            healed = await check_reopened(world)
            repaired = [operation.object for operation in healed if operation.verb is not Verb.REMOVE]
            assert any(again.key == item.key for again in repaired)

    asyncio.run(scenario())


@pytest.mark.parametrize("kinds", [(Bridge,), (Veth,), (NftElement,), (Bridge, Veth, NftTable), (Sysctl,)])
def test_whatever_kind_of_object_was_taken_away_is_repaired(kinds: tuple[type[KernelObject], ...]) -> None:
    async def scenario() -> None:
        world = World()
        await build(world)
        for item in list(world.kernel.objects.values()):
            if isinstance(item, kinds):
                world.kernel.lose(item)
        assert await check_reopened(world)

    asyncio.run(scenario())


def test_after_a_crash_at_any_point_the_kernel_holds_what_is_remembered() -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        for remembered in range(len(HISTORY) + 1):
            world = World()
            store = MemoryStore(ENGINE_ID)
            world.store = store
            await build(world)
            world.store = MemoryStore(ENGINE_ID, store.commits[: remembered + 1])
            await check_reopened(world)

    asyncio.run(scenario())


def test_leftovers_of_an_engine_that_never_remembered_anything_are_replaced() -> None:
    async def scenario() -> None:
        world = World()
        await build(world)
        world.store = MemoryStore(ENGINE_ID)
        async with world.engine() as engine:
            assert world.holds_what_is_wanted(engine)
            assert engine.problems == ()
            assert not engine.sandboxes

    asyncio.run(scenario())


def test_a_first_opening_that_fails_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        whole = World()
        await build(whole, [])
        for position in range(len(whole.kernel.log)):
            store = MemoryStore(ENGINE_ID)
            world = World(store=store)
            world.kernel.fail(after=position, number=errno.EIO)
            with pytest.raises(KernelError) as caught:
                await check_reopened(world)
            assert caught.value.errno == errno.EIO
            assert lasting(world.kernel.objects.values()) == {}
            assert store.commits == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("first", "alias", "said"),
    [(True, "another:engine", r"it carries 'another:engine'"), (False, "", "it carries no mark of ours")],
    ids=["first opening", "later opening"],
)
def test_a_bridge_of_someone_else_is_a_conflict_before_anything_is_touched(first: bool, alias: str, said: str) -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        if not first:
            await build(world)
            bridge = next(item for item in world.kernel.objects.values() if isinstance(item, Bridge))
            world.kernel.lose(bridge)
        world.kernel.strangers["docker0"] = alias
        before, calls, commits = world.kernel.dump(), world.kernel.calls, len(store.commits)
        with pytest.raises(ConflictError, match=rf"interface docker0 exists .* someone else \({said}\)") as caught:
            await check_reopened(world)
        assert (caught.value.field, caught.value.value) == ("interface", "docker0")
        assert caught.value.hint
        assert (world.kernel.dump(), world.kernel.calls, len(store.commits)) == (before, calls, commits)

    asyncio.run(scenario())


def test_what_cannot_be_repaired_is_a_problem_and_the_rest_works() -> None:
    async def scenario() -> None:
        world = World()
        await build(world)
        world.kernel.taken.add((Protocol.TCP, IPv4Address("0.0.0.0"), 8080))
        veth = next(item for item in world.kernel.objects.values() if isinstance(item, Veth))
        world.kernel.lose(veth)
        async with world.engine() as engine:
            [problem] = engine.problems
            assert problem.subject.startswith("port tcp 0.0.0.0 8080")
            assert "address already in use" in problem.message
            assert problem.hint
            assert veth in [operation.object for operation in engine.healed]
            assert (await engine.apply(CreateNetwork("more"))).name == "more"

    asyncio.run(scenario())


def test_an_engine_without_its_firewall_does_not_open() -> None:
    async def scenario() -> None:
        world = World()
        await build(world, [CreateNetwork("n")])
        for item in list(world.kernel.objects.values()):
            if isinstance(item, NftTable):
                world.kernel.lose(item)
        world.kernel.fail(after=0, number=errno.EPERM)
        with pytest.raises(UnavailableError):
            await check_reopened(world)

    asyncio.run(scenario())


def test_a_default_bridge_whose_settings_changed_is_renewed() -> None:
    async def scenario() -> None:
        world = World()
        await build(world, [CreateNetwork("n")])
        world.config = Config(mtu=1400, bip=IPv4Interface("10.5.0.1/16"))
        async with world.engine() as engine:
            assert world.holds_what_is_wanted(engine)
            held = [
                item for item in world.kernel.objects.values() if isinstance(item, Bridge) and item.name == "docker0"
            ]
            assert [item.mtu for item in held] == [1400]
            assert str(engine.network("bridge").subnets[0].prefix) == "10.5.0.0/16"
            renewed = engine.network("bridge")
        async with world.engine() as engine:
            assert engine.network("bridge") == renewed
            assert engine.healed == ()

    asyncio.run(scenario())


def test_a_default_bridge_that_is_renewed_avoids_what_the_host_routes() -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.facts = HostFacts(occupied=(ip_network("172.17.0.0/16"),))
        await build(world, [])
        world.config = Config(mtu=1400)
        async with world.engine() as engine:
            assert str(engine.network("bridge").subnets[0].prefix) == "172.18.0.0/16"

    asyncio.run(scenario())


def test_a_default_bridge_in_use_keeps_its_settings_and_the_problem_is_told() -> None:
    async def scenario() -> None:
        world = World()
        await build(world)
        world.config = Config(mtu=1400)
        async with world.engine() as engine:
            assert [problem.subject for problem in engine.problems] == ["network bridge"]
            assert engine.healed == ()
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_sandboxes_keep_their_addresses_and_ports_over_a_restart() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            sandbox = await engine.apply(CreateSandbox("x", publish=["80", "8080:80"]))
        async with world.engine() as engine:
            assert engine.sandbox("x").value == sandbox
            other = await engine.apply(CreateSandbox("y"))
            assert other.endpoints[0].addresses != sandbox.endpoints[0].addresses

    asyncio.run(scenario())


def test_what_nobody_serves_is_a_problem_and_the_rest_works() -> None:
    async def scenario() -> None:
        world = World(config=Config(names=True))
        await build(world)
        world.kernel.deaf = True
        async with world.engine() as engine:
            (problem,) = engine.problems
            assert problem == Problem("data plane", "nobody serves that", "make somebody")
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_first_opening_that_nobody_serves_leaves_nothing() -> None:
    async def scenario() -> None:
        world = World(config=Config(host_resolver=IPv4Address("127.0.0.76")))
        world.kernel.deaf = True
        with pytest.raises(UnservedError):
            async with world.engine():
                pass
        assert lasting(world.kernel.objects.values()) == {}

    asyncio.run(scenario())


def test_a_request_that_nobody_serves_is_taken_back() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            world.kernel.deaf = True
            with pytest.raises(UnservedError):
                await engine.apply(CreateSandbox("x", publish=["8080:80"]))
            assert await world.snapshot(engine) == before

    asyncio.run(scenario())

"""Requests that arrive together, callers who leave, and an engine that closes."""

import asyncio
from ipaddress import IPv4Address
from typing import Any

import pytest

from linkspan.engine.core import Engine
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError, UnavailableError
from linkspan.model.networks import Network
from linkspan.model.ports import Protocol
from linkspan.model.requests import (
    CreateNetwork,
    CreateSandbox,
    Publish,
    RemoveNetwork,
    RemoveSandbox,
    Request,
    Unpublish,
)
from linkspan.model.sandboxes import Sandbox
from linkspan.plan.operations import Operation, Verb, is_firewall
from tests.fakes.store import MemoryStore
from tests.support.engines import GatedKernel, World, outcome, together
from tests.support.scenes import ENGINE_ID

TAKEN = (Protocol.TCP, IPv4Address("0.0.0.0"), 8080)


def names(engine: Engine) -> set[str]:
    networks = {network.name for network in engine.networks.values() if not network.predefined}
    return networks | {sandbox.name for sandbox in engine.sandboxes.values()}


def test_requests_that_arrive_together_are_one_change() -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        async with world.engine() as engine:
            calls, commits = world.kernel.calls, len(store.commits)
            work = [engine.apply(CreateSandbox(f"x{number}", publish=[f"{8000 + number}:80"])) for number in range(20)]
            results = await together(*work)
            assert results == list(engine.sandboxes.values())
            assert (world.kernel.calls - calls, len(store.commits) - commits) == (1, 1)
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_requests_that_arrive_together_never_get_the_same_address_or_port() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            await together(*(engine.apply(CreateSandbox(f"x{number}", publish=["80"])) for number in range(50)))
            sandboxes = engine.sandboxes.values()
            assert len({endpoint.addresses for sandbox in sandboxes for endpoint in sandbox.endpoints}) == 50
            assert len({binding.host for sandbox in sandboxes for binding in sandbox.ports}) == 50

    asyncio.run(scenario())


def test_later_requests_of_a_batch_build_on_earlier_ones() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            results = await together(
                engine.apply(CreateNetwork("n")),
                engine.apply(CreateSandbox("x", networks=["n"])),
                engine.apply(RemoveSandbox("x")),
                engine.apply(RemoveNetwork("n")),
                engine.apply(CreateNetwork("n", internal=True)),
            )
            assert not [result for result in results if isinstance(result, Exception)]
            assert engine.network("n").internal
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (CreateNetwork("-"), InvalidError),
        (CreateNetwork("before"), ConflictError),
        (CreateSandbox("x", networks=["nowhere"]), NotFoundError),
        (CreateSandbox("x", publish=["8080:80"]), ConflictError),
        (CreateNetwork("x", options={"com.docker.network.bridge.name": "lan0"}), ConflictError),
    ],
    ids=["invalid", "duplicate", "not found", "port taken by a process", "bridge of someone else"],
)
def test_a_request_that_fails_does_not_disturb_the_others_of_its_batch(
    bad: Request[object], kind: type[Exception]
) -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.taken.add(TAKEN)
        world.kernel.strangers["lan0"] = "another"
        async with world.engine() as engine:
            before, error, after, sandbox = await together(
                engine.apply(CreateNetwork("before")),
                engine.apply(bad),
                engine.apply(CreateNetwork("after")),
                engine.apply(CreateSandbox("y", networks=["after"])),
            )
            assert isinstance(before, Network) and isinstance(after, Network) and isinstance(sandbox, Sandbox)
            assert type(error) is kind
            assert names(engine) == {"before", "after", "y"}
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_what_builds_on_a_request_that_fails_gets_an_error_of_its_own() -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.strangers["lan0"] = "another"
        async with world.engine() as engine:
            failed, dependent = await together(
                engine.apply(CreateNetwork("n", options={"com.docker.network.bridge.name": "lan0"})),
                engine.apply(CreateSandbox("x", networks=["n"])),
            )
            assert isinstance(failed, ConflictError)
            assert isinstance(dependent, NotFoundError)
            assert names(engine) == set()

    asyncio.run(scenario())


def test_a_request_is_not_refused_for_what_another_one_wanted_in_vain() -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.strangers["lan0"] = "another"
        async with world.engine() as engine:
            failed, other, planned = await together(
                engine.apply(CreateNetwork("n", options={"com.docker.network.bridge.name": "lan0"})),
                engine.apply(CreateNetwork("n")),
                engine.plan(RemoveNetwork("nowhere")),
            )
            assert isinstance(failed, ConflictError)
            assert isinstance(other, Network)
            assert isinstance(planned, NotFoundError)
            assert engine.network("n") is other

    asyncio.run(scenario())


def test_a_name_that_changes_hands_in_a_batch_that_fails_stays_with_its_owner() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            old = await engine.apply(CreateNetwork("n"))
            world.kernel.fail(after=0)
            await together(engine.apply(RemoveNetwork("n")), engine.apply(CreateNetwork("n")))
            assert engine.network("n").id != old.id
            await engine.apply(CreateSandbox("x", networks=["n"]))
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_port_that_changes_hands_in_a_batch_is_free_for_the_second() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            await engine.apply(CreateSandbox("x", publish=["8080:80", "0.0.0.0:9090:90"]))
            await engine.apply(CreateSandbox("y"))
            results = await together(
                engine.apply(Unpublish("x", ["8080", "9090"])),
                engine.apply(Publish("y", ["8080:80", "127.0.0.1:9090:90"])),
            )
            assert not [result for result in results if isinstance(result, Exception)]
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_plan_in_a_batch_sees_the_requests_before_it_and_leaves_nothing() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            created, preview = await together(
                engine.apply(CreateNetwork("n")), engine.plan(CreateSandbox("x", networks=["n"]))
            )
            assert isinstance(created, Network)
            assert "veth" in str(preview)
            assert names(engine) == {"n"}
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_caller_who_leaves_does_not_stop_a_change_that_has_begun() -> None:
    async def scenario() -> None:
        kernel = GatedKernel()
        world = World(kernel=kernel)
        async with world.engine() as engine:
            kernel.gate.clear()
            kernel.entered.clear()
            caller = asyncio.create_task(engine.apply(CreateNetwork("n")))
            await kernel.entered.wait()
            caller.cancel()
            kernel.gate.set()
            await engine.apply(CreateNetwork("m"))
            assert caller.cancelled()
            assert names(engine) == {"n", "m"}
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_caller_who_leaves_before_the_change_has_begun_wants_it_no_more() -> None:
    async def scenario() -> None:
        kernel = GatedKernel()
        world = World(kernel=kernel)
        async with world.engine() as engine:
            kernel.gate.clear()
            kernel.entered.clear()
            first = asyncio.create_task(engine.apply(CreateNetwork("n")))
            await kernel.entered.wait()
            second = asyncio.create_task(engine.apply(CreateNetwork("m")))
            await asyncio.sleep(0)
            second.cancel()
            kernel.gate.set()
            await first
            await engine.apply(CreateNetwork("last"))
            assert names(engine) == {"n", "last"}

    asyncio.run(scenario())


def test_closing_finishes_what_was_asked_for() -> None:
    async def scenario() -> None:
        kernel, store = GatedKernel(), MemoryStore(ENGINE_ID)
        world = World(kernel=kernel, store=store)
        async with world.engine() as engine:
            kernel.gate.clear()
            kernel.entered.clear()
            begun = asyncio.create_task(engine.apply(CreateNetwork("begun")))
            await kernel.entered.wait()
            waiting = asyncio.create_task(engine.apply(CreateNetwork("waiting")))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(kernel.gate.set)
        assert begun.done()
        assert {begun.result().name, (await waiting).name} == {"begun", "waiting"}
        assert {"begun", "waiting"} <= {network.name for network in (await store.load()).networks.values()}

    asyncio.run(scenario())


def test_an_error_in_the_block_comes_out_as_it_is_and_the_engine_is_closed() -> None:
    async def scenario() -> None:
        world = World()
        with pytest.raises(KeyError, match="mine"):
            async with world.engine() as engine:
                raise KeyError("mine")
        assert isinstance(await outcome(engine.apply(CreateNetwork("n"))), UnavailableError)

    asyncio.run(scenario())


def test_after_closing_every_call_says_that_the_engine_is_closed() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            pass
        for work in (engine.apply(CreateNetwork("n")), engine.plan(CreateNetwork("n"))):
            error = await outcome(work)
            assert isinstance(error, UnavailableError)
            assert error.message == "the engine is closed"
        assert [event async for event in engine.events()] == []

    asyncio.run(scenario())


def test_what_is_no_request_is_refused() -> None:
    async def scenario() -> None:
        async with World().engine() as engine:
            things: list[Any] = ["create a network", None, Request()]
            for thing in things:
                error = await outcome(engine.apply(thing))
                assert isinstance(error, InvalidError)
                assert (error.field, error.value) == ("request", thing)
                assert error.hint is not None and "CreateNetwork" in error.hint

    asyncio.run(scenario())


def test_networks_and_sandboxes_are_found_by_name_id_and_prefix() -> None:
    async def scenario() -> None:
        async with World().engine() as engine:
            network = await engine.apply(CreateNetwork("n"))
            sandbox = await engine.apply(CreateSandbox("x", networks=["n"]))
            assert engine.network("n") is engine.network(network.id) is engine.network(network.id[:12])
            assert engine.sandbox("x").value == engine.sandbox(sandbox.id[:12]).value == sandbox
            assert engine.members("n") == [sandbox]

    asyncio.run(scenario())


def test_a_request_that_finds_the_firewall_flushed_is_done_and_the_rest_repaired() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            await engine.apply(CreateSandbox("x", publish=["8080:80"]))
            rules = [item for item in world.kernel.objects.values() if is_firewall(item)]
            await world.kernel.apply([Operation(Verb.REMOVE, item) for item in rules])
            results = await together(
                engine.apply(CreateSandbox("y", publish=["8081:80"])), engine.plan(RemoveSandbox("y"))
            )
            assert not [result for result in results if isinstance(result, Exception)]
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_what_cannot_be_repaired_is_refused() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            bridge = engine.network("bridge").bridge
            assert bridge is not None
            await world.kernel.apply([Operation(Verb.REMOVE, world.kernel.objects["link", "", bridge.name])])
            world.kernel.strangers[bridge.name] = "another"
            refused = await outcome(engine.apply(CreateSandbox("x")))
            assert isinstance(refused, LinkspanError)
            assert names(engine) == set()

    asyncio.run(scenario())

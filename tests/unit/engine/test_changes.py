"""A change is whole or absent: what apply and plan do, and what is left when something fails at any point."""

import asyncio
import errno
import sqlite3
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from linkspan.model.errors import ConflictError, KernelError, LinkspanError
from linkspan.model.ports import Protocol
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    Publish,
    RemoveNetwork,
    RemoveSandbox,
    Request,
    Unpublish,
)
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.operations import undo
from linkspan.store.sqlite import SqliteStore, StoreError
from tests.fakes.store import MemoryStore
from tests.support.engines import BrokenKernel, World, outcome
from tests.support.scenes import ENGINE_ID

FIREWALLS: dict[str, Firewall] = {"nftables": Nftables(), "iptables": Iptables(userland_proxy=False)}

PREPARED: Sequence[Request[Any]] = [
    CreateNetwork("n", subnets=["10.1.0.0/24", "fd00:1::/64"], ipv6=True),
    CreateNetwork("empty"),
    CreateSandbox("x", networks=["n"], publish=["7000:70", "7100-7109:100-109/udp"]),
    CreateSandbox("two", networks=["n", EndpointRequest("bridge", gw_priority=1)], publish=["7200:72"]),
]

CHANGES: dict[str, Request[Any]] = {
    "create a network": CreateNetwork("new", ipv6=True),
    "create an internal network": CreateNetwork("new", internal=True),
    "remove a network": RemoveNetwork("empty"),
    "create a sandbox": CreateSandbox(
        "new", networks=["n", "bridge"], publish=["8080:80", "53:53/udp", "9000-9009:1-10"]
    ),
    "create an empty sandbox": CreateSandbox("new", mode="none"),
    "remove a sandbox": RemoveSandbox("two"),
    "connect": Connect("x", EndpointRequest("bridge", gw_priority=1)),
    "disconnect": Disconnect("two", "bridge"),
    "disconnect the last network": Disconnect("x", "n"),
    "publish": Publish("x", ["8080:80", "81"]),
    "unpublish": Unpublish("x", ["7000", "7100-7109/udp"]),
}


async def prepare(world: World, engine: Any) -> None:
    for request in PREPARED:
        await engine.apply(request)
    world.kernel.log.clear()


@pytest.mark.parametrize("firewall", FIREWALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_failure_of_any_operation_undoes_the_change_completely(change: str, firewall: str) -> None:
    async def scenario() -> None:
        world = World(firewall=FIREWALLS[firewall])
        async with world.engine() as engine:
            await prepare(world, engine)
            before = await world.snapshot(engine)
            steps = [operation for operation in await engine.plan(CHANGES[change]) if not operation.implied]
            for position in range(len(steps)):
                world.kernel.fail(after=position, number=errno.EIO)
                error = await outcome(engine.apply(CHANGES[change]))
                assert isinstance(error, KernelError)
                assert error.errno == errno.EIO
                assert not hasattr(error, "__notes__")
                assert await world.snapshot(engine) == before, f"after a failure at position {position}"
            await engine.apply(CHANGES[change])
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_only_what_was_applied_is_taken_back() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            request = CreateSandbox("x", publish=["8080:80"])
            steps = len(await engine.plan(request))
            world.kernel.log.clear()
            world.kernel.fail(after=steps - 2)
            await outcome(engine.apply(request))
            applied, taken_back = world.kernel.log[: steps - 2], world.kernel.log[steps - 2 :]
            assert taken_back == list(undo(applied))

    asyncio.run(scenario())


@pytest.mark.parametrize("change", CHANGES)
def test_a_failure_of_the_store_undoes_the_change_completely(change: str) -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        async with world.engine() as engine:
            await prepare(world, engine)
            before = await world.snapshot(engine)
            store.failure = StoreError("disk full")
            assert isinstance(await outcome(engine.apply(CHANGES[change])), StoreError)
            assert await world.snapshot(engine) == before
            await engine.apply(CHANGES[change])
            assert world.holds_what_is_wanted(engine)

    asyncio.run(scenario())


def test_a_failure_of_the_real_store_undoes_the_change_completely(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path, new_id=lambda: ENGINE_ID)
        world = World(store=store)
        async with world.engine() as engine:
            await prepare(world, engine)
            before = await world.snapshot(engine)
            with sqlite3.connect(tmp_path / "state.db") as other:
                other.execute("CREATE TRIGGER no BEFORE INSERT ON networks BEGIN SELECT RAISE(ABORT, 'full'); END")
            other.close()
            error = await outcome(engine.apply(CreateNetwork("new")))
            assert isinstance(error, StoreError)
            assert await world.snapshot(engine) == before
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("change", CHANGES)
def test_plan_gives_the_operations_that_apply_performs_and_changes_nothing(change: str) -> None:
    async def planned() -> tuple[Any, ...]:
        world = World()
        async with world.engine() as engine:
            await prepare(world, engine)
            before, events = await world.snapshot(engine), engine.events()
            preview = await engine.plan(CHANGES[change])
            assert await world.snapshot(engine) == before
            assert world.kernel.log == []
            assert preview.lines() and str(preview)
        assert [event async for event in events] == []
        return preview.operations

    async def applied() -> tuple[Any, ...]:
        world = World()
        async with world.engine() as engine:
            await prepare(world, engine)
            await engine.apply(CHANGES[change])
            return tuple(world.kernel.log)

    assert asyncio.run(planned()) == asyncio.run(applied())


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_planned_can_still_be_applied(change: str) -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            await prepare(world, engine)
            await engine.plan(CHANGES[change])
            await engine.apply(CHANGES[change])

    asyncio.run(scenario())


@pytest.mark.parametrize("unexpected", [RuntimeError("bug"), ValueError("bug")], ids=["RuntimeError", "ValueError"])
def test_an_unexpected_error_of_the_kernel_is_undone_and_work_goes_on(
    unexpected: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        kernel = BrokenKernel()
        world = World(kernel=kernel)
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            kernel.broken = unexpected
            assert await outcome(engine.apply(CreateNetwork("n"))) is unexpected
            assert await world.snapshot(engine) == before
            assert (await engine.apply(CreateNetwork("n"))).name == "n"

    asyncio.run(scenario())
    assert "a request failed in an unexpected way" in caplog.text


def test_an_unexpected_error_of_the_store_is_undone_and_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        store = MemoryStore(ENGINE_ID)
        world = World(store=store)
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            store.failure = unexpected = ValueError("bug")
            assert await outcome(engine.apply(CreateNetwork("n"))) is unexpected
            assert await world.snapshot(engine) == before
            await engine.apply(CreateNetwork("n"))

    asyncio.run(scenario())
    assert "a request failed in an unexpected way" in caplog.text


def test_an_error_that_does_not_say_how_far_it_came_is_undone_too() -> None:
    async def scenario() -> None:
        kernel = BrokenKernel()
        world = World(kernel=kernel)
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            kernel.broken = LinkspanError("the machine is gone")
            assert await outcome(engine.apply(CreateNetwork("n"))) is not None
            assert await world.snapshot(engine) == before

    asyncio.run(scenario())


def test_an_incomplete_undo_is_a_note_on_the_callers_error(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        kernel = BrokenKernel()
        world = World(kernel=kernel)
        async with world.engine() as engine:
            kernel.undo_fails = True
            kernel.fail(after=1)
            error = await outcome(engine.apply(CreateSandbox("x", publish=["8080:80"])))
            assert isinstance(error, KernelError)
            assert "undo is incomplete" in "".join(error.__notes__)

    asyncio.run(scenario())
    assert "undo is incomplete" in caplog.text


def test_a_port_of_a_host_process_is_refused_in_dockers_words() -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.taken.add((Protocol.TCP, IPv4Address("0.0.0.0"), 8080))
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            sandbox = "driver failed programming external connectivity on endpoint x ("
            reason = "): failed to bind host port 0.0.0.0:8080/tcp: address already in use"
            error = await outcome(engine.apply(CreateSandbox("x", publish=["8080:80"])))
            assert isinstance(error, ConflictError)
            assert error.message.startswith(sandbox)
            assert error.message.endswith(reason)
            assert (error.field, error.value) == ("publish", "8080")
            assert await world.snapshot(engine) == before

    asyncio.run(scenario())


@pytest.mark.parametrize(("taken", "given"), [(1, 32769), (10, 32778)])
def test_a_picked_port_that_another_process_has_is_picked_again(taken: int, given: int) -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            anywhere = IPv4Address("0.0.0.0")
            world.kernel.taken.update((Protocol.TCP, anywhere, port) for port in range(32768, 32768 + taken))
            sandbox = await engine.apply(CreateSandbox("x", publish=["80"]))
            assert [binding.host.first for binding in sandbox.ports] == [given]
            again = await engine.apply(Publish("x", ["81"]))
            assert again.ports[-1].host.first == given + 1

    asyncio.run(scenario())


def test_after_ten_more_picks_a_request_for_any_port_is_refused() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            anywhere = IPv4Address("0.0.0.0")
            world.kernel.taken.update((Protocol.TCP, anywhere, port) for port in range(32768, 32768 + 11))
            before = await world.snapshot(engine)
            error = await outcome(engine.apply(CreateSandbox("x", publish=["80"])))
            assert isinstance(error, ConflictError)
            assert await world.snapshot(engine) == before

    asyncio.run(scenario())


def test_a_port_of_a_range_that_another_process_has_is_passed_over() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            world.kernel.taken.add((Protocol.TCP, IPv4Address("127.0.0.1"), 8000))
            sandbox = await engine.apply(CreateSandbox("x", publish=["8000-8001:80", "9000:90"]))
            assert sorted(binding.host.first for binding in sandbox.ports) == [8001, 9000]

    asyncio.run(scenario())


def test_a_bridge_name_of_someone_else_is_a_conflict() -> None:
    async def scenario() -> None:
        world = World()
        world.kernel.strangers["lan0"] = "another engine"
        async with world.engine() as engine:
            before = await world.snapshot(engine)
            request = CreateNetwork("n", options={"com.docker.network.bridge.name": "lan0"})
            error = await outcome(engine.apply(request))
            assert isinstance(error, ConflictError)
            assert (error.field, error.value) == ("com.docker.network.bridge.name", "lan0")
            assert error.__cause__ is not None
            assert await world.snapshot(engine) == before

    asyncio.run(scenario())

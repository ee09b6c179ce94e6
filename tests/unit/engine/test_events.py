"""The event stream: everything from the subscription on, in order, without ever waiting for a subscriber."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkspan.engine.events import BACKLOG, KEPT, Announcer
from linkspan.model.errors import UnavailableError
from linkspan.model.events import Event
from linkspan.model.requests import CreateNetwork, CreateSandbox, Disconnect, RemoveNetwork, RemoveSandbox
from tests.support.engines import GatedKernel, World, collect, outcome, together
from tests.support.scenes import START


def event(number: int) -> Event:
    return Event("network", "create", str(number), START)


def test_every_change_is_announced_in_order_once_it_is_real() -> None:
    async def scenario() -> None:
        async with World().engine() as engine:
            stream = engine.events()
            await engine.apply(CreateNetwork("n"))
            await together(engine.apply(CreateSandbox("x", networks=["n"])), engine.apply(Disconnect("x", "n")))
            await engine.apply(RemoveSandbox("x"))
            await engine.apply(RemoveNetwork("n"))
            await outcome(engine.apply(RemoveNetwork("n")))
        assert [f"{event.type} {event.action}" for event in await collect(stream)] == [
            "network create",
            "sandbox create",
            "network connect",
            "network disconnect",
            "sandbox destroy",
            "network destroy",
        ]

    asyncio.run(scenario())


def test_a_change_that_fails_is_not_announced() -> None:
    async def scenario() -> None:
        world = World()
        async with world.engine() as engine:
            stream = engine.events()
            world.kernel.fail(after=2)
            await outcome(engine.apply(CreateNetwork("n")))
        assert await collect(stream) == []

    asyncio.run(scenario())


def test_what_is_finished_while_the_engine_closes_is_announced() -> None:
    async def scenario() -> None:
        kernel = GatedKernel()
        async with World(kernel=kernel).engine() as engine:
            stream = engine.events()
            kernel.gate.clear()
            kernel.entered.clear()
            begun = asyncio.create_task(engine.apply(CreateNetwork("n")))
            await kernel.entered.wait()
            asyncio.get_running_loop().call_soon(kernel.gate.set)
        assert [event.actor for event in await collect(stream)] == [(await begun).id]

    asyncio.run(scenario())


def test_a_subscriber_sees_only_what_happens_after_it_subscribed() -> None:
    async def scenario() -> None:
        announcer = Announcer()
        early = announcer.subscribe()
        announcer.announce(event(1))
        late = announcer.subscribe()
        announcer.announce(event(2))
        announcer.close()
        assert [each.actor for each in await collect(early)] == ["1", "2"]
        assert [each.actor for each in await collect(late)] == ["2"]

    asyncio.run(scenario())


def test_a_subscriber_who_is_too_far_behind_is_cut_off_after_what_it_has() -> None:
    async def scenario() -> None:
        announcer = Announcer()
        slow, quick = announcer.subscribe(), announcer.subscribe()
        seen = [await first_after(announcer, quick, number) for number in range(BACKLOG + 10)]
        assert [each.actor for each in seen] == [str(number) for number in range(BACKLOG + 10)]
        for number in range(BACKLOG):
            assert (await anext(slow)).actor == str(number)
        with pytest.raises(UnavailableError, match=f"{BACKLOG} behind"):
            await anext(slow)

    asyncio.run(scenario())


async def first_after(announcer: Announcer, stream: AsyncIterator[Event], number: int) -> Event:
    """Announce an event and read it from the stream."""
    announcer.announce(event(number))
    return await anext(stream)


def test_a_subscriber_who_leaves_is_forgotten() -> None:
    async def scenario() -> None:
        announcer = Announcer()
        stream = announcer.subscribe()
        announcer.announce(event(1))
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator
        assert not announcer._queues

    asyncio.run(scenario())


def test_a_stream_that_is_begun_after_closing_ends_at_once() -> None:
    async def scenario() -> None:
        announcer = Announcer()
        announcer.close()
        assert await collect(announcer.subscribe()) == []

    asyncio.run(scenario())


def test_who_comes_later_can_have_what_has_been() -> None:
    async def scenario() -> None:
        announcer = Announcer()
        for number in range(KEPT + 1):
            announcer.announce(event(number))
        stream = announcer.subscribe(past=True)
        announcer.announce(event(KEPT + 1))
        announcer.close()
        assert await collect(stream) == [event(number) for number in range(1, KEPT + 2)]

    asyncio.run(scenario())

"""A sandbox as something to work with: its value now, and where its programs run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkspan.engine.core import Engine
from linkspan.model.errors import NotFoundError, UnavailableError
from linkspan.model.requests import CreateSandbox, Publish, RemoveSandbox
from tests.support.engines import World


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    """With sandboxes `x`, `host`, and `shared` in the namespace of `x`."""
    async with World().engine() as engine:
        await engine.apply(CreateSandbox("x"))
        await engine.apply(CreateSandbox("host", mode="host"))
        await engine.apply(CreateSandbox("shared", mode="container:x"))
        yield engine


def test_the_namespace_is_its_own_that_of_another_or_the_engines() -> None:
    async def scenario() -> None:
        async with engine() as running:
            own = running.sandbox("x").namespace
            assert own is not None and own.name == running.sandbox("x").id[:12]
            assert running.sandbox("shared").namespace == own
            assert running.sandbox("host").namespace is None

    asyncio.run(scenario())


def test_the_value_is_that_of_now() -> None:
    async def scenario() -> None:
        async with engine() as running:
            live = running.sandbox("x")
            assert await running.apply(Publish("x", ["8080:80"])) == live.value
            await running.apply(RemoveSandbox("shared"))
            await running.apply(RemoveSandbox("x"))
            with pytest.raises(NotFoundError):
                _ = live.value

    asyncio.run(scenario())


def test_programs_are_started_by_the_kernel_room() -> None:
    async def scenario() -> None:
        async with engine() as running:
            with pytest.raises(UnavailableError, match="true"):
                await running.sandbox("x").run(["true"])

    asyncio.run(scenario())

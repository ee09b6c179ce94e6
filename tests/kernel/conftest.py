"""Tests with real packets: a test that is a coroutine runs in a loop of its own, inside the world it asks for."""

import asyncio
import inspect
from pathlib import Path

import pytest

from tests.support.world import IPTABLES_RELAY, NFTABLES, Variant, World


@pytest.fixture(params=[NFTABLES, IPTABLES_RELAY], ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    """The firewall backends; a test that concerns one of them alone says so with `parametrize`."""
    chosen: Variant = request.param
    return chosen


@pytest.fixture
def world(tmp_path: Path, variant: Variant, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine on a LAN; the coroutine test that takes it enters and leaves it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return World(tmp_path, variant)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test. Its world is entered in the same task, as task groups require."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def whole() -> None:
        world = arguments.get("world")
        if isinstance(world, World):
            async with world:
                await pyfuncitem.obj(**arguments)
        else:
            await pyfuncitem.obj(**arguments)

    asyncio.run(whole())
    return True

"""Stock clients against a daemon on a machine of the lab. A test that is a coroutine runs in a loop of its own."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.machine import DockerMachine
from tests.clients.shared import SharedMachine, shared_machine
from tests.support.images import busybox, nginx


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerMachine:
    """A machine for a daemon; the coroutine test that takes it enters and leaves it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return DockerMachine(tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test. Its machine is entered in the same task, as task groups require."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}

    async def whole() -> None:
        place = arguments.get("machine")
        if isinstance(place, DockerMachine):
            async with place:
                await pyfuncitem.obj(**arguments)
        else:
            await pyfuncitem.obj(**arguments)

    asyncio.run(whole())
    return True


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedMachine]:
    """One daemon with busybox and nginx for all tests of a module."""
    root = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(root))
        with shared_machine(root, [(busybox(), ["busybox:latest"]), (nginx(), ["nginx:latest"])]) as found:
            yield found

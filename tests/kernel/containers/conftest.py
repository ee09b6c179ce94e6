"""A dock for each test, entered in the task of the test."""

import asyncio
import inspect
from pathlib import Path

import pytest

from tests.support.container_hosts import container_host


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the dock has its roots."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Give a coroutine test that takes `place` a dock there."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "place" not in pyfuncitem.funcargs:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}

    root = Path(str(pyfuncitem.funcargs["place"]))

    async def whole() -> None:
        async with container_host(root) as opened:
            await pyfuncitem.obj(**{**arguments, "place": opened})

    asyncio.run(whole())
    return True

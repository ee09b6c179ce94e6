"""Threads that belong to a kernel. No namespace is entered here, so no privilege is needed."""

import asyncio
import threading
from pathlib import Path

import pytest

from linkspan.kernel.thread import KernelThread, visit
from linkspan.model.errors import UnavailableError


def test_everything_runs_on_one_thread_that_ends_with_it() -> None:
    async def names() -> set[str]:
        thread = KernelThread(None)
        found = {await thread.run(lambda: threading.current_thread().name) for _ in range(3)}
        thread.close()
        return found

    before = threading.active_count()
    (name,) = asyncio.run(names())
    assert name != threading.current_thread().name
    assert threading.active_count() == before


def test_errors_reach_the_caller() -> None:
    async def fail() -> None:
        thread = KernelThread(None)
        try:
            await thread.run(lambda: 1 // 0)
        finally:
            thread.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())


def test_a_cancelled_caller_waits_for_the_end_of_a_call_that_has_begun() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()
        ended.set()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        thread = KernelThread(None)
        caller = loop.create_task(thread.run(work))
        await asyncio.to_thread(begun.wait)
        caller.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not caller.done()
        caller.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended.is_set()
        thread.close()

    asyncio.run(scene())


def test_a_cancelled_call_that_has_not_begun_is_dropped() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go.wait()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        thread = KernelThread(None)
        first = loop.create_task(thread.run(work))
        await asyncio.to_thread(begun.wait)
        second = loop.create_task(thread.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        await first
        thread.close()

    asyncio.run(scene())
    assert done == []


def test_a_namespace_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot enter the network namespace"):
        KernelThread(tmp_path / "missing")


def test_a_visit_has_a_thread_of_its_own() -> None:
    assert visit(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        visit(lambda: 1 // 0)

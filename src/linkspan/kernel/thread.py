"""Threads and namespaces: the one thread that belongs to an engine, and the short-lived ones that visit sandboxes.

`setns` moves a thread for good, so a moved thread must never serve anyone who expects another namespace. There are two
kinds here. The `KernelThread` enters the namespace of its engine once and stays; every socket, firewall context and
child process made on it belongs to that namespace. A visitor (`visit`) is started for one call and ends with it; what
it leaves behind are the descriptors it opened, which keep their namespace for ever.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import TypeVar

from linkspan.kernel import native
from linkspan.model.errors import UnavailableError

Value = TypeVar("Value")


class KernelThread:
    """Runs callables, one at a time and in order, inside one network namespace.

    `namespace` None is the namespace of the process. Raises `UnavailableError` when the namespace cannot be entered.
    """

    def __init__(self, namespace: Path | None) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="linkspan-kernel")
        if namespace is not None:
            try:
                self._executor.submit(enter, namespace).result()
            except OSError as error:
                self._executor.shutdown()
                raise UnavailableError(
                    f"cannot enter the network namespace {namespace}: {error.strerror}",
                    hint="run as root (CAP_SYS_ADMIN), and check that the path is a network namespace",
                ) from error

    def call(self, function: Callable[[], Value]) -> Value:
        """Run `function` on the thread and wait for it. For start-up and tests, where no event loop is held up."""
        return self._executor.submit(function).result()

    async def run(self, function: Callable[[], Value]) -> Value:
        """Run `function` on the thread.

        A call that has begun runs to its end, and cancelling the caller waits for that end: nobody else may believe
        that the kernel is at rest. A call that has not begun is dropped.
        """
        job = self._executor.submit(function)
        waiting = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not job.cancel():
                await _settle(waiting)
            raise

    def close(self) -> None:
        """End the thread, after the calls that were already made."""
        self._executor.shutdown()


async def _settle(waiting: "asyncio.Future[Value]") -> None:
    """Wait for a future, whatever becomes of it and however often the waiting task is cancelled."""
    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue


def visit(function: Callable[[], Value]) -> Value:
    """Call `function`, which may move its thread to another namespace, on a thread of its own."""
    outcome: Future[Value] = Future()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller of visit(), not swallowed
            outcome.set_exception(error)

    thread = Thread(target=call, name="linkspan-visit", daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def enter(namespace: Path) -> None:
    """Move the calling thread into the namespace pinned at `namespace`."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        native.setns(fd)
    finally:
        os.close(fd)

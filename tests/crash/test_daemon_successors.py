"""A daemon that is killed while it starts a program: the child that is not yet that program has all it had open.

The child is a fork that waits at a pipe, where a real one is gone after some milliseconds, or after many on a machine
that is busy.
"""

import asyncio
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkspan.daemon.listening import listeners
from linkspan.daemon.options import Values
from linkspan.model.errors import ConflictError
from linkspan.store.sqlite import SqliteStore
from tests.crash.rig import fork


@contextmanager
def successor(life: Callable[[Callable[[], None]], None]) -> Iterator[Callable[[], None]]:
    """A dead process whose child has what `life` opened, until what this gives is called."""
    waits, lets_go = os.pipe()
    told, tells = os.pipe()

    def inherit() -> None:
        for each in (lets_go, tells):
            os.close(each)
        os.read(waits, 1)

    def bequeath() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the store has a thread, which the child does without
            fork(inherit)
        os.write(tells, b".")
        os.kill(os.getpid(), signal.SIGKILL)

    parent = fork(lambda: life(bequeath))
    assert os.read(told, 1) == b"."
    os.waitpid(parent, 0)
    open_ends = [lets_go]
    try:
        yield lambda: os.close(open_ends.pop())
    finally:
        for each in (waits, told, tells, *open_ends):
            os.close(each)


def test_a_socket_that_a_dead_daemon_began_to_listen_on_is_no_other_daemon(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/docker.sock"

    def life(bequeath: Callable[[], None]) -> None:
        with listeners([host], Values({})):
            bequeath()

    with successor(life), listeners([host], Values({})) as found:
        assert len(found) == 1
        with pytest.raises(ConflictError, match="another daemon listens"), listeners([host], Values({})):
            pass


def test_a_data_root_is_free_once_the_children_of_a_dead_daemon_have_let_it_go(tmp_path: Path) -> None:
    async def open_store() -> None:
        store = await SqliteStore.open(tmp_path, new_id=lambda: "0" * 64)
        with pytest.raises(ConflictError, match="in use by another engine"):
            await SqliteStore.open(tmp_path, new_id=lambda: "0" * 64)
        await store.close()

    async def bequeath_store(bequeath: Callable[[], None]) -> None:
        await SqliteStore.open(tmp_path, new_id=lambda: "0" * 64)
        bequeath()

    async def succeed(let_go: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(open_store())
            await asyncio.wait([opening], timeout=0.05)
            assert not opening.done()
            let_go()

    with successor(lambda bequeath: asyncio.run(bequeath_store(bequeath))) as let_go:
        asyncio.run(succeed(let_go))

"""The daemon's side of the data plane's process: it is found or started, asked, replaced when it is older than we are.

(Being written; the signatures are final.)
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linkspan.dataplane.ports import Held, Spawn, Wanted
from linkspan.model.dataplane import Key, Service, Trace


class RemoteDataPlane:
    """The data plane in a process of its own, which outlives this one.

    `wanted` says what the data plane should hold, with descriptors of our own: all of it is put again when the process
    has died and was started anew. To be set by whoever knows, before the first `change`.
    """

    wanted: Callable[[], Wanted]

    @classmethod
    @asynccontextmanager
    async def open(cls, exec_root: Path, spawn: Spawn) -> AsyncIterator["RemoteDataPlane"]:
        """Connect to the process of an exec root, started by `spawn` when there is none; keep it alive until the block
        ends. It goes on afterwards. Raises `UnavailableError` when it cannot be started.

        When its code is not ours, a new process takes over its sockets, and it ends with its last connection.
        """
        raise NotImplementedError
        yield

    async def take(self) -> Held:
        """Everything that is held, with descriptors that are the caller's from now on. To be called once, at open."""
        raise NotImplementedError

    async def change(self, put: Sequence[tuple[Service, Sequence[int]]], drop: Sequence[Key]) -> None:
        """Drop, then add or replace by key; the caller keeps its descriptors.

        No descriptors for a key that is held: its sockets stay, its value changes. Raises `UnavailableError`.
        """
        raise NotImplementedError

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How the name server would answer a sandbox. Raises `NotFoundError`, `InvalidError`, `UnavailableError`."""
        raise NotImplementedError

"""A store in memory, with the real one's promise: a change is remembered whole or not at all."""

import asyncio
from collections.abc import Iterable

from linkspan.model.state import Change, State


class MemoryStore:
    """Remembers desired state as long as the object lives; engines may come and go.

    `commits` is everything that was remembered, in order; a part of it makes the store of a machine that crashed
    before the rest. `failure`, once set, is raised by the next commit.
    """

    def __init__(self, engine_id: str, commits: Iterable[Change] = ()) -> None:
        self.commits = list(commits)
        self.failure: Exception | None = None
        self._engine_id = engine_id
        self._state = State()
        for change in self.commits:
            self._state.apply(change)

    @property
    def engine_id(self) -> str:
        """As given."""
        return self._engine_id

    async def load(self) -> State:
        """A copy of what is remembered."""
        await asyncio.sleep(0)
        return State(self._state.networks.values(), self._state.sandboxes.values())

    async def commit(self, change: Change) -> None:
        """Remember `change`, or fail as told."""
        await asyncio.sleep(0)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self._state.apply(change)
        self.commits.append(change)

    async def close(self) -> None:
        """What is remembered stays."""
        await asyncio.sleep(0)

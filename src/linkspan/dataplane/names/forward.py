"""Asking several servers the same question: all of them race, the fastest known one with a head start.

A server that refuses, fails or cannot be reached is passed over at once; a silent one is asked again, since datagrams
get lost, until the time is up. Questions that are under way already are not asked twice.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from linkspan.dataplane.names import upstream
from linkspan.dataplane.names.cache import Cache, Key, key_of
from linkspan.dataplane.names.messages import Query, Rcode, code_of
from linkspan.dataplane.names.tasks import Tasks

log = logging.getLogger(__name__)

Note = Callable[[str, str], None]
"""Takes one step of a trace: where was looked, and what came of it."""

TOTAL_SECONDS = 4.5
"""Less than the 5 s for which glibc waits (resolv.conf(5), `timeout`)."""
ROUNDS = (0.8, 1.5, TOTAL_SECONDS)
"""How long each round of asking silent servers lasts, seconds."""
STALE_AFTER = 1.8
"""Seconds after which an expired answer is served while asking goes on (RFC 8767 §5)."""
_HEAD_STARTS = (0.03, 0.25)
_FIRST_GUESS = 0.1
_SLOW = 5.0
_SWITCH_SECONDS = 0.25
_GOOD = (Rcode.NOERROR, Rcode.NXDOMAIN)


def unnoted(where: str, outcome: str) -> None:
    """Nobody traces, unless the log does."""
    log.debug("name server: %s: %s", where, outcome)


class Upstreams:
    """Some servers, asked from one place, and what they have answered."""

    def __init__(
        self, servers: Sequence[str], open_socket: upstream.Open, tasks: Tasks, cache_size: int, where: str = ""
    ) -> None:
        self.servers = tuple(servers)
        self._open = open_socket
        self._tasks = tasks
        self._cache = Cache(cache_size)
        self._where = where
        self._pending: dict[Key, asyncio.Task[bytes | None]] = {}
        self._speed = dict.fromkeys(self.servers, _FIRST_GUESS)

    def known(self, query: Query, note: Note = unnoted) -> bytes | None:
        """An answer that need not be asked for."""
        key = key_of(query)
        answer = None if key is None else self._cache.fresh(key, time.monotonic())
        note("cache", "known" if answer is not None else "unknown")
        return answer

    async def ask(self, query: Query, superseded: Callable[[], bool], note: Note = unnoted) -> bytes | None:
        """An answer from whoever has one first; None when nobody has, or when others are to be asked by now."""
        key = key_of(query)
        if key is None:
            return await self._race(query, note)
        if (task := self._pending.get(key)) is None:
            task = self._pending[key] = self._tasks.start(partial(self._fetch, key, query, note), "name server asks")
        else:
            note("upstream", "asked already")
        stale = self._cache.stale(key, time.monotonic())
        deadline = time.monotonic() + (2 * TOTAL_SECONDS if stale is None else STALE_AFTER)
        while not task.done() and not superseded() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([task], timeout=min(left, _SWITCH_SECONDS))
        answer = task.result() if task.done() and not task.cancelled() else None
        if answer is None and stale is not None:
            note("cache", "served after its time")
            return stale
        return answer

    async def _fetch(self, key: Key, query: Query, note: Note) -> bytes | None:
        try:
            answer = await self._race(query, note)
            if answer is None:
                self._cache.failed(key, time.monotonic())
            else:
                self._cache.put(key, answer, time.monotonic())
            return answer
        finally:
            del self._pending[key]

    async def _race(self, query: Query, note: Note) -> bytes | None:
        """The first good answer. The others are no longer waited for."""
        running: set[asyncio.Task[bytes | None]] = set()
        failed: set[str] = set()
        asked: dict[str, None] = {}
        deadline = time.monotonic() + TOTAL_SECONDS
        try:
            for server, patience, is_last in self._order(failed):
                asked[server] = None
                work = partial(self._attempt, server, query, failed, note)
                running.add(self._tasks.start(work, f"name server asks {server}"))
                until = min(time.monotonic() + patience, deadline)
                while running and (left := until - time.monotonic()) > 0:
                    done, running = await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                    if answer := next((answer for task in done if (answer := task.result()) is not None), None):
                        return answer
                    if done and not is_last:
                        break
            for server in asked.keys() - failed:
                note(f"upstream {server}{self._where}", "no answer")
            return None
        finally:
            for task in running:
                task.cancel()

    def _order(self, failed: set[str]) -> Iterator[tuple[str, float, bool]]:
        """Servers to ask, for how long to wait before the next is asked too, and whether it is the round's last."""
        for patience in ROUNDS:
            servers = [each for each in sorted(self.servers, key=self._speed.__getitem__) if each not in failed]
            for server in servers[:-1]:
                yield server, min(max(2 * self._speed[server], _HEAD_STARTS[0]), _HEAD_STARTS[1]), False
            if servers:
                yield servers[-1], patience, True

    async def _attempt(self, server: str, query: Query, failed: set[str], note: Note) -> bytes | None:
        """One server's answer, when it is good."""
        start = time.monotonic()
        where = f"upstream {server}{self._where}"
        try:
            answer = await upstream.ask(self._open, server, query)
        except OSError as error:
            note(where, error.strerror or str(error))
        except asyncio.CancelledError:  # lost the race, and took at least so long
            self._speed[server] = max(self._speed[server], time.monotonic() - start)
            raise
        else:
            code = code_of(answer)
            note(where, Rcode(code).name if code in list(Rcode) else f"response code {code}")
            if code in _GOOD:
                self._speed[server] += (time.monotonic() - start - self._speed[server]) / 3
                return answer
        failed.add(server)
        self._speed[server] = _SLOW
        return None

"""Rotating the logs of containers that run (`max-size` and `max-file`).

Theory of operation. conmon begins a new file in the place of `log` when its control pipe tells it to, between two
records. Every file has a second name by then (see `logfiles.py`), so nothing is lost, whoever dies in between. The
daemon decides when: it alone deletes, and hands what is begun to those who follow the log before it could be gone.

A log that nobody writes costs nothing: its directory is watched for one event. After that event its size is looked at,
in pauses that grow while there is room, until it is not growing any more.

While no daemon runs, conmon replaces the file by itself once it has written `unwatched_limit` bytes: the disk does not
fill. The file it replaces first stays, and so does the spare one that comes after it; of what comes then, the newest.
While a daemon runs, this is one more rotation, which it finds when it looks.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from linkspan.containers.attach import tell
from linkspan.containers.layout import Layout, Places
from linkspan.containers.logfiles import Trail
from linkspan.containers.ports import Host, Watch
from linkspan.containers.register import Life
from linkspan.model.logdrivers import Rotation, rotation

log = logging.getLogger(__name__)

REOPEN = "2 0 0"
"""What tells conmon to begin a new file (`ctrl.c`, REOPEN_LOGS_EVENT)."""

SHORTEST, LONGEST = 0.005, 0.1
"""Seconds between two looks at a log that grows: conmon writes about 100 MB a second."""

RETRY = 30.0
"""Seconds after which a directory that could not be watched is looked at again."""

_MUCH = 2
"""A file of so many times its size, whose container has ended, is not left to be gone on with."""


def next_pause(last: float, grown: int, room: int) -> float:
    """Seconds until the next look at a file that has `grown` in the `last` ones: half of those it has room for."""
    forecast = last * room / grown / 2 if grown > 0 else LONGEST
    return min(max(min(2 * last, forecast), SHORTEST), LONGEST)


@dataclass(eq=False, slots=True)
class Rotated:
    """A log that is being looked after."""

    life: Life
    places: Places
    wanted: Rotation
    trail: Trail
    size: int = 0
    pause: float = SHORTEST
    ordered: bool = False
    """Whether conmon has been told to begin a new file, and has not yet."""
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Rotator:
    """Looks after the logs of all containers that run."""

    def __init__(self, host: Host, layout: Layout) -> None:
        self._host = host
        self._layout = layout
        self._logs: dict[str, Rotated] = {}
        self._watched: dict[int, Rotated] = {}
        self._watch: Watch | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Rotate until the block ends."""
        loop = asyncio.get_running_loop()
        self._watch = watch = self._host.watch()
        loop.add_reader(watch.descriptor, self._told)
        try:
            yield
        finally:
            loop.remove_reader(watch.descriptor)
            for each in self._logs.values():
                _stop(each)
            self._logs.clear()
            self._watched.clear()
            watch.close()
            self._watch = None

    def begin(self, life: Life) -> None:
        """Look after the log of a container that has been started, or taken over: at once, and from then on."""
        found = self._found(life)
        if found is not None:
            self._logs[life.container.id] = found
            self._look(found)

    def end(self, life: Life) -> None:
        """The container has ended: nothing is written any more."""
        found = self._logs.pop(life.container.id, None) or self._found(life)
        if found is None:
            return
        _stop(found)
        try:
            self._catch_up(found)
            if _size(found.places) >= _MUCH * found.wanted.size:
                found.trail.conclude(begin=True)
                self._catch_up(found)
            found.trail.conclude(begin=False)
        except OSError as error:
            _complain(found, error)

    def size(self, life: Life) -> int | None:
        """How large the newest file of a log was when it was looked at last; None for one that is not looked after."""
        found = self._logs.get(life.container.id)
        return None if found is None else found.size

    def _found(self, life: Life) -> Rotated | None:
        wanted = rotation(life.container.wanted.logging)
        if wanted is None:
            return None
        places = self._layout.of(life.container.id)
        try:
            return Rotated(life, places, wanted, Trail(places, wanted))
        except OSError as error:
            log.warning("the log of container %s cannot be rotated: %s", life.container.name, error)
            return None

    def _told(self) -> None:
        """Something was written somewhere."""
        assert self._watch is not None
        numbers = self._watch.told()
        for number in list(self._watched) if numbers is None else numbers:
            found = self._watched.pop(number, None)
            if found is not None and found.timer is None and self._logs.get(found.life.container.id) is found:
                found.pause = SHORTEST
                self._look(found)

    def _look(self, found: Rotated) -> None:
        found.timer = None
        try:
            self._catch_up(found)
            if not self._rotate(found):
                self._await(found)
        except OSError as error:
            _complain(found, error)
            self._again(found, RETRY)

    def _catch_up(self, found: Rotated) -> None:
        """Take notice of a file that conmon has begun, before anybody else does."""
        if begun := found.trail.begun():
            found.ordered = False
            found.size, found.pause = 0, SHORTEST
            for number in begun:
                for reader in found.life.readers:
                    reader.add(number, found.places.numbered_log(number))
            found.trail.prune()
        found.trail.mark_torn()
        found.trail.lay_out()

    def _rotate(self, found: Rotated) -> bool:
        """Whether there is something to look at again soon: the file grows, or is to be replaced."""
        size = _size(found.places)
        grown, found.size = size - found.size, size
        if size >= found.wanted.size:
            found.pause = min(2 * found.pause, LONGEST) if found.ordered else SHORTEST
            found.ordered = found.ordered or tell(found.places.bundle, REOPEN)
        elif grown:
            found.pause = next_pause(found.pause, grown, found.wanted.size - size)
        else:
            return False
        self._again(found, found.pause)
        return True

    def _await(self, found: Rotated) -> None:
        """Wait for the next that is written; what was written before that could be told is looked at."""
        assert self._watch is not None
        self._watched[self._watch.add(found.places.data, once=True)] = found
        if _size(found.places) != found.size:
            self._again(found, found.pause)

    def _again(self, found: Rotated, pause: float) -> None:
        found.timer = asyncio.get_running_loop().call_later(pause, self._look, found)


def _stop(found: Rotated) -> None:
    if found.timer is not None:
        found.timer.cancel()
        found.timer = None


def _size(places: Places) -> int:
    try:
        return places.log.stat().st_size
    except FileNotFoundError:
        return 0


def _complain(found: Rotated, error: OSError) -> None:
    log.warning("the log of container %s could not be rotated: %s", found.life.container.name, error)

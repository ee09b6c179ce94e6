"""What happens when the process or the machine has no more descriptors or memory: accepting slows down, nothing ends.

To pause, rather than to spin or to give up, is what `trio.serve_listeners` does: waiting clients stay in the backlog of
their listener until connections that end have made room.
"""

import errno
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
"""How long a port accepts nothing after a failure."""
QUIET_SECONDS = 5.0
"""Without a failure for so long, a burst is over."""

PASSING = frozenset(
    {errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOPROTOOPT}
    | {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET, errno.EOPNOTSUPP}
)
"""Errors of one connection, or none to accept after all (accept(2)); with every other the port has to pause."""


class Overload:
    """Says once for each burst that there is one. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None

    def note(self, error: OSError) -> None:
        """Something could not be opened or accepted."""
        now = self._clock()
        if self._last is None or now - self._last > QUIET_SECONDS:
            log.warning("relay: new connections have to wait: %s", error.strerror)
        self._last = now

"""The resolvers of the host, as its resolv.conf says at the time of the question.

The file is looked at when a question needs it, at most every quarter of a second. inotify would have to follow every
symbolic link on the way to it (resolv.conf usually is one, and its target is replaced, not written to), watch the
directories of all of them, and still look at the file after an overflow; a look costs 2 us.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

from linkspan.dataplane.names.forward import Upstreams

log = logging.getLogger(__name__)

INTERVAL = 0.25
_MOST = 3  # MAXNS of resolv.h
_DEFAULT = ("127.0.0.1",)
"""With no server in the file, the resolver library asks the local machine (resolv.conf(5))."""


def servers(text: str) -> Sequence[str]:
    """The servers in a resolv.conf. 127.0.0.53 is as good as any: it is asked from the host, where it listens."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_address(words[1]):
            found.append(words[1])
    return tuple(dict.fromkeys(found))[:_MOST] or _DEFAULT


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class HostServers:
    """Keeps in step with the file. A file that cannot be read changes nothing: it is about to be replaced."""

    def __init__(self, path: Path, make: Callable[[Sequence[str]], Upstreams]) -> None:
        self._path = path
        self._make = make
        self._looked = float("-inf")
        self._seen: tuple[int, ...] = ()
        self._current = make(_DEFAULT)

    def current(self) -> Upstreams:
        """Whom to ask now."""
        now = time.monotonic()
        if now - self._looked >= INTERVAL:
            self._looked = now
            self._look()
        return self._current

    def _look(self) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - at every quarter of a second, and Path costs as much again
            seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            if seen == self._seen:
                return
            found = servers(self._path.read_text(errors="replace"))
        except OSError as error:
            log.debug("%s: %s", self._path, error.strerror)
            return
        self._seen = seen
        if found != self._current.servers:
            log.info("names are asked of %s now", ", ".join(found))
            self._current = self._make(found)

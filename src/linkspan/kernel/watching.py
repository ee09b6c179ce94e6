"""Being told of what happens in directories: inotify(7)."""

import os
import struct
from pathlib import Path

from linkspan.kernel import native

_EVENT = struct.Struct("iIII")
_PORTION = 64 * 1024
_MASK = native.IN_MODIFY | native.IN_MOVED_TO | native.IN_CREATE
_OVERFLOWN = -1


class Watch:
    """An inotify descriptor. See `linkspan.containers.ports.Watch`.

    A directory is watched, and not a file in it: who replaces the file by another would have to be told of that first.
    What is watched once costs nothing after the first event, however often files are written.
    """

    def __init__(self) -> None:
        self.descriptor = native.inotify()

    def add(self, directory: Path, *, once: bool = False) -> int:
        """Tell of a directory from now on."""
        return native.add_watch(self.descriptor, directory, _MASK | (native.IN_ONESHOT if once else 0))

    def told(self) -> frozenset[int] | None:
        """Every directory of which there is something to tell; None when the kernel has lost count."""
        numbers: set[int] = set()
        try:
            while data := os.read(self.descriptor, _PORTION):
                numbers |= events(data)
        except BlockingIOError:
            pass
        return None if _OVERFLOWN in numbers else frozenset(numbers)

    def close(self) -> None:
        """Watch no longer."""
        os.close(self.descriptor)


def events(data: bytes) -> set[int]:
    """The numbers of what was watched, of whole events as the kernel gives them."""
    found, position = set(), 0
    while position < len(data):
        number, _, _, length = _EVENT.unpack_from(data, position)
        found.add(number)
        position += _EVENT.size + length
    return found

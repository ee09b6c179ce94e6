"""Pipes that data is spliced through, shared by all connections.

A flow borrows a pipe while it moves data, and keeps it only while the receiving side takes no more. So a relay with
thousands of lively connections needs one or two pipes, and a stalled connection holds at most what fits in its own.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass

SIZE = 1 << 20
"""Bytes a pipe is asked to hold, what any user may have (pipe-max-size). Up to here more saves system calls."""
SPARE = 16
"""Empty pipes kept for the next flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Pipe:
    """The two ends."""

    source: int
    sink: int

    def close(self) -> None:
        """Whatever is in it is lost."""
        os.close(self.source)
        os.close(self.sink)


class Pipes:
    """Lends empty pipes."""

    def __init__(self) -> None:
        self._spare: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe; None when the process or the machine can open no more."""
        if self._spare:
            return self._spare.pop()
        try:
            pipe = Pipe(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return None
        with suppress(OSError):  # the pages of this user's pipes may be used up: then this one has fewer
            fcntl.fcntl(pipe.sink, fcntl.F_SETPIPE_SZ, SIZE)
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Return a pipe, empty."""
        if len(self._spare) < SPARE:
            self._spare.append(pipe)
        else:
            pipe.close()

    def close(self) -> None:
        """Close the spare ones."""
        while self._spare:
            self._spare.pop().close()

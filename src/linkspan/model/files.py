"""Files inside containers, as clients that copy them want to know them."""

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path: `mode` as stat(2) has it, `modified` in nanoseconds since 1970.

    `link_target` is where a symbolic link leads in the end, as a path inside; empty for anything else.
    """

    name: str
    size: int
    mode: int
    modified: int
    link_target: str = ""


class ChangeKind(IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path at which a container's files differ from those it was made from."""

    path: str
    kind: ChangeKind

"""Bodies about files in containers (the transcript's §9)."""

from msgspec import Struct, field

from linkspan.api.bodies.spelling import docker_name


class PathStatBody(Struct, kw_only=True):
    """What is at a path; `mode` as Go's os.FileMode has it."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = field(name="linkTarget")


class ChangeBody(Struct, rename=docker_name, kw_only=True):
    """A change: 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


class CommittedBody(Struct, rename=docker_name, kw_only=True):
    """201 of POST /commit."""

    id: str

"""Building an image: what is asked for, under Docker's terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from linkspan.model.errors import InvalidError
from linkspan.model.images import Credentials, Image, ImageProgress
from linkspan.model.references import Reference


@dataclass(frozen=True, slots=True)
class BuildNetwork:
    """The path of the namespace in which the programs of a build run (empty: the host's), and whom they ask for names.

    Without servers, whom the host asks.
    """

    namespace: str = ""
    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """How to build. `dockerfile` is a path in the context; `pull` asks the registries for the images it begins with.

    `network` is one of Docker's network modes. `identities` are credentials by the domain of a registry; `ulimits` are
    as the command line has them.
    """

    dockerfile: str = "Dockerfile"
    names: Sequence[Reference] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    network: str = "default"
    platform: str = ""
    no_cache: bool = False
    pull: bool = False
    hosts: Sequence[str] = ()
    ulimits: Sequence[str] = ()
    identities: Mapping[str, Credentials] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildLine:
    """Something that the build, or a program of it, said: whole lines, with their ends."""

    text: str


BuildNews: TypeAlias = BuildLine | ImageProgress | Image
"""What a build tells: lines, the transfer of an image that it begins with, and at the end the new image."""


class BuildError(InvalidError):
    """The build cannot go on; `status` is the exit status of the program that failed, 0 when it was none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message, field="Dockerfile")
        self.status = status

"""Images: what a container's root file system and its defaults come from, under Docker's and OCI's terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from linkspan.model.references import Reference


@dataclass(frozen=True, slots=True)
class ImageHealth:
    """A health check as images write it. Times are in nanoseconds, 0 is the default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The defaults of containers. `exposed` and `volumes` are the keys of Docker's maps."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: ImageHealth | None = None
    onbuild: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: `digest` names the blob as it is kept, `diff_id` the archive inside; `size` is that of its files."""

    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A step in the making of an image; an empty one made no layer."""

    created: datetime | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, in Go's words: `linux`, `amd64`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is remembered.

    `id` is the digest of its configuration, `manifest` that of the manifest it came with; both are kept as blobs.
    `root` names its unpacked files, `names` are full references (`docker.io/library/busybox:latest`, or with a digest).
    `tagged` is when it last got a name.
    """

    id: str
    manifest: str
    root: str
    platform: Platform
    config: ImageConfig
    layers: Sequence[Layer]
    size: int
    created: datetime | None = None
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    history: Sequence[HistoryEntry] = ()
    names: Sequence[str] = ()
    tagged: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImageUse:
    """A container that was made from an image: `root` is where its files are."""

    container: str
    image: str
    root: str
    running: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks a registry. `identity_token` stands for a password."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """A step of a transfer: what is said, of which layer, and how many bytes of how many."""

    status: str
    id: str = ""
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a registry has after a push: the digest and the size of the manifest."""

    tag: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal took away, in order: names, and ids of what was deleted."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that was in an archive: its names there, and the images that had them before."""

    image: Image
    names: tuple[Reference, ...]
    renamed: tuple[tuple[Reference, str], ...] = ()

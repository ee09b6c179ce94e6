"""What the room needs from the machine, the store and the programs that transfer and unpack, as protocols it owns."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from linkspan.model.builds import BuildNetwork, BuildRequest
from linkspan.model.images import Credentials, Image
from linkspan.model.references import Reference

Stream: TypeAlias = int | IO[bytes] | None

INCOMING = "incoming"
"""The directory in a scratch directory in which layers grow while they come from a registry."""
DIGEST_FILE = "digest"
"""The file in a scratch directory that has the digest of what was sent."""
TAG = "i"
"""The name of the image in a layout that is to be unpacked."""


class Process(Protocol):
    """The part of `asyncio.subprocess.Process` that the room uses."""

    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    async def communicate(self, input: bytes | None = None) -> tuple[bytes, bytes]: ...

    def kill(self) -> None: ...


class Host(Protocol):
    """The machine: programs."""

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> Process:
        """Start a program in the engine's namespace (`sandbox` None). `NotFoundError` when there is no such program."""
        ...


class BuildHost(Host, Protocol):
    """The machine, for who builds: control groups, too."""

    async def remove_cgroup(self, path: str) -> Sequence[int] | None:
        """Remove a control group, in every hierarchy; None when it is gone, else the processes in it."""
        ...


class ImageStore(Protocol):
    """Remembers images."""

    async def load_images(self) -> Sequence[Image]:
        """Every image, in the order in which they came."""
        ...

    async def put_images(self, images: Sequence[Image]) -> None:
        """Remember images as they are now, all or none."""
        ...

    async def delete_image(self, id: str) -> None:
        """Forget an image."""
        ...


@dataclass(frozen=True, slots=True)
class Bundle:
    """A directory with one image: its manifest as `manifest.json`, each blob by the hex digits of its digest.

    This is skopeo's `dir:` layout, which keeps manifests and configurations byte for byte.
    """

    path: Path

    @property
    def manifest(self) -> Path:
        """The manifest."""
        return self.path / "manifest.json"

    def blob(self, digest: str) -> Path:
        """A blob."""
        return self.path / digest.partition(":")[2]


class Transport(Protocol):
    """Brings images from and to registries and archives."""

    async def manifest(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        """The manifest, or the list of manifests, that a registry has under a name; byte for byte.

        Raises `NotFoundError`, `ForbiddenError` or `UnavailableError` in Docker's words. `scratch` is a private
        directory for files that have to exist meanwhile; so it is below.
        """
        ...

    async def tags(self, source: Reference, credentials: Credentials | None, scratch: Path) -> Sequence[str]:
        """Every tag of a repository."""
        ...

    async def config(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        """The configuration of the image that a registry has under a name; byte for byte."""
        ...

    async def fetch_layers(
        self, source: Reference, into: Bundle, credentials: Credentials | None, scratch: Path
    ) -> None:
        """Bring the layers of an image that are not in the bundle yet. Its directory is called `sha256`."""
        ...

    async def extract(self, archive: Path, index: int, into: Bundle) -> None:
        """Bring the image at a place in a docker archive. Raises `InvalidError`."""
        ...

    async def decompress(self, bundle: Bundle, into: Bundle, scratch: Path) -> None:
        """The image of a bundle once more, with plain layers. Raises `InvalidError`."""
        ...

    def send(
        self, bundle: Bundle, target: Reference, credentials: Credentials | None, scratch: Path
    ) -> AsyncIterator[str]:
        """Bring an image to a registry: yields what the program says, line by line.

        The digest of the manifest that the registry has then is in `scratch / DIGEST_FILE`.
        """
        ...

    async def login(self, credentials: Credentials, scratch: Path) -> None:
        """Ask a registry whether it knows somebody. Raises `UnauthorizedError`."""
        ...


class Unpacker(Protocol):
    """Makes files of layers."""

    async def unpack(self, layout: Path, into: Path) -> None:
        """Unpack the image `TAG` of an OCI layout into the directory `into`, which does not exist. `InvalidError`."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """Where a build takes place: `scratch` is private to it, `workshop` keeps what later builds can use again."""

    scratch: Path
    workshop: Path

    @property
    def context(self) -> Path:
        """The directory with the files that the client has sent."""
        return self.scratch / "context"


class BuildTool(Protocol):
    """Builds images from Dockerfiles, among files of its own."""

    def check(self) -> None:
        """Raise `UnimplementedError` when it is not installed."""
        ...

    async def take(self, bundle: Bundle, name: str, site: Site) -> None:
        """Get to know an image that a build begins with, under a full name."""
        ...

    def build(self, request: BuildRequest, dockerfile: Path, site: Site, network: BuildNetwork) -> AsyncIterator[str]:
        """Build; yields what it says, line by line. Raises `BuildError`. The id is then in `site.scratch / "id"`."""
        ...

    async def hand_over(self, id: str, into: Bundle, site: Site) -> None:
        """Write an image that was built into a bundle, whose directory does not exist."""
        ...

    async def recover(self, scratches: Sequence[Path]) -> None:
        """Take away what the kernel holds of builds that a crash has ended, by the directories they had."""
        ...

    async def tidy(self, site: Site) -> None:
        """Take away what builds have left that did not come to their end; none runs."""
        ...


class Networks(Protocol):
    """What the programs of a build can reach."""

    def joined(self, mode: str) -> AbstractAsyncContextManager[BuildNetwork]:
        """A network while the block runs, by Docker's name of a mode. Raises `NotFoundError`, `ConflictError`."""
        ...


class ContextUnpacker(Protocol):
    """Unpacks what a client sends to be built."""

    def __call__(self, archive: Path, into: Path) -> None:
        """Unpack an archive, compressed or not, without ever leaving the directory. `InvalidError`. In a thread."""
        ...

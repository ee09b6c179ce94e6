"""`docker build`: what the client sends becomes files, the images it begins with are brought, a program builds."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import TypeAlias

from linkspan.images.adding import Adder
from linkspan.images.dockerfile import bases, count
from linkspan.images.files import Files, tree_size
from linkspan.images.layers import compression
from linkspan.images.platforms import fits, parse_platform
from linkspan.images.ports import BuildTool, Bundle, ContextUnpacker, Networks, Site
from linkspan.images.pushing import bundle_of
from linkspan.images.register import Register
from linkspan.model.builds import BuildLine, BuildRequest
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.images import Image, ImageProgress
from linkspan.model.references import parse_reference

Bring: TypeAlias = Callable[[str, BuildRequest], AsyncIterator[ImageProgress]]
"""Brings an image from its registry."""

_MAX_DOCKERFILE = 4 << 20
_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)", re.DOTALL)
_CACHED = re.compile(r"--> Using cache ([0-9a-f]{12})")
_MADE = re.compile(r"--> ([0-9a-f]{11,12})")
_UNUSED = re.compile(r"\[Warning\] one or more build args were not consumed: (\[.*\])")
_NOISE = re.compile(
    r"time=\S+ level=(?:warning|info) |(?:\[\d+/\d+\] )?COMMIT(?: |$)|Getting image source|Copying (?:blob|config)|"
    r"Writing manifest"
)


@dataclass
class Builder:
    """Builds images. The caller adds what has been built to the register."""

    files: Files
    register: Register
    adder: Adder
    tool: BuildTool
    unpack: ContextUnpacker
    networks: Networks
    bring: Bring
    _running: int = field(default=0, init=False)

    @contextmanager
    def at_work(self) -> Iterator[bool]:
        """Nobody throws away what builds keep while the block runs; whether it is the only one."""
        self._running += 1
        try:
            yield self._running == 1
        finally:
            self._running -= 1

    async def build(
        self, archive: Path, request: BuildRequest, scratch: Path, *, alone: bool
    ) -> AsyncIterator[BuildLine | ImageProgress]:
        """Build from the archive of a context; the bundle `scratch / "image"` is the result. Raises `BuildError`."""
        site = Site(scratch, self.files.workshop)
        dockerfile, text = await asyncio.to_thread(self._prepare, archive, site.context, request.dockerfile)
        if alone:
            await self.tool.tidy(site)
        async for progress in self._supply(bases(text, request.arguments), request, site):
            yield progress
        teller = Teller(count(text) + bool(request.labels))
        async with self.networks.joined(request.network) as network:
            async for line in self.tool.build(request, dockerfile, site, network):
                if said := teller.shown(line):
                    yield BuildLine(said)
        id = await asyncio.to_thread((scratch / "id").read_text)
        if not teller.ended_with(_short(id)):
            yield BuildLine(f" ---> {_short(id)}\n")
        await self.tool.hand_over(id.strip(), result(scratch), site)

    def _prepare(self, archive: Path, context: Path, name: str) -> tuple[Path, str]:
        context.mkdir(mode=0o755)
        _complete(archive)
        self.unpack(archive, context)
        archive.unlink()
        return _dockerfile(context, name)

    async def _supply(self, names: tuple[str, ...], request: BuildRequest, site: Site) -> AsyncIterator[ImageProgress]:
        """Give the program every image that the build begins with; those that are not here come from registries."""
        for number, name in enumerate(names):
            image = self._here(name)
            if image is None or not _suits(image, request) or (request.pull and not _is_id(name, image)):
                async for progress in self.bring(name, request):
                    yield progress
                image = self.register.find(name)[0]
            with self.files.pinned((image.id, image.manifest, *(layer.digest for layer in image.layers))):
                bundle = bundle_of(self.files, image, site.scratch / f"base{number}")
            await self.tool.take(bundle, _name_there(name, image), site)

    def _here(self, name: str) -> Image | None:
        try:
            return self.register.find(name)[0]
        except NotFoundError:
            return None

    def size(self) -> int:
        """The bytes of what builds keep. In a thread."""
        return tree_size(self.files.workshop)

    def since(self) -> datetime | None:
        """When what builds keep was last added to; None when there is nothing."""
        with suppress(FileNotFoundError):
            return datetime.fromtimestamp(self.files.workshop.stat().st_mtime, UTC)
        return None

    async def prune(self) -> int:
        """Throw away what builds keep; the bytes that this freed. Raises `ConflictError` while one runs."""
        if self._running:
            raise ConflictError("a build is running, and needs what is to be pruned", hint="try again when it is done")
        with self.at_work():
            return await asyncio.to_thread(self._prune)

    def _prune(self) -> int:
        size = self.size()
        shutil.rmtree(self.files.workshop, ignore_errors=True)
        return size


def result(scratch: Path) -> Bundle:
    """Where a build leaves its image."""
    return Bundle(scratch / "image")


def _complete(archive: Path) -> None:
    """Fill the last block up: with `-f` and a file from elsewhere the docker command ends in the middle of it."""
    if missing := -archive.stat().st_size % BLOCKSIZE if not compression(archive) else 0:
        with archive.open("ab") as file:
            file.write(b"\0" * missing)


def _dockerfile(context: Path, name: str) -> tuple[Path, str]:
    """The Dockerfile, which no link may lead out of the context."""
    place = Path(os.path.realpath(context / name.lstrip("/")))
    if not place.is_relative_to(os.path.realpath(context)):
        raise InvalidError(f"Forbidden path outside the build context: {name}", field="dockerfile", value=name)
    try:
        with place.open("rb") as file:
            text = file.read(_MAX_DOCKERFILE).decode(errors="replace")
    except (OSError, ValueError) as error:
        raise InvalidError(f"Cannot locate specified Dockerfile: {name}", field="dockerfile", value=name) from error
    if not count(text):
        raise InvalidError(f"the Dockerfile ({name}) cannot be empty", field="dockerfile", value=name)
    return place, text


def _name_there(name: str, image: Image) -> str:
    """What the program is to call an image: what the Dockerfile calls it, in full. An id it finds by itself."""
    if _is_id(name, image):
        return f"localhost/linkspan:{image.id.removeprefix('sha256:')}"
    reference = parse_reference(name)
    return f"{reference.name}:{reference.tag or 'latest'}"


def _suits(image: Image, request: BuildRequest) -> bool:
    """Whether an image is for the machine that is built for."""
    return not request.platform or fits(image.platform, parse_platform(request.platform, image.platform))


def _is_id(name: str, image: Image) -> bool:
    return image.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:"))


def _short(id: str) -> str:
    return id.removeprefix("sha256:").strip()[:12]


class Teller:
    """What the program says, as Docker's own builder would say it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._step = 0
        self._made = ""

    def shown(self, line: str) -> str:
        """Text for a client; empty for what it need not know."""
        if match := _STEP.match(line):
            self._step += 1
            self._made = ""
            return f"Step {self._step}/{max(self._total, self._step)} : {match[1]}\n"
        if match := _CACHED.match(line):
            self._made = match[1]
            return f" ---> Using cache\n ---> {match[1]}\n"
        if match := _MADE.match(line):
            self._made = match[1]
            return f" ---> {match[1]}\n"
        if match := _UNUSED.match(line):
            return f"[Warning] One or more build-args {match[1]} were not consumed\n"
        return "" if _NOISE.match(line) else f"{line}\n"

    def ended_with(self, id: str) -> bool:
        """Whether the last step has told that id already."""
        return bool(self._made) and id.startswith(self._made)

"""The facade of the room: images, as every front door uses them."""

import asyncio
import platform as machine
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from linkspan.images import documents
from linkspan.images.adding import Adder
from linkspan.images.announcing import Announcer
from linkspan.images.archives import Loader
from linkspan.images.building import Builder, result
from linkspan.images.changes import changed
from linkspan.images.files import Files, spool
from linkspan.images.jobs import Jobs, Say
from linkspan.images.making import Maker, Making
from linkspan.images.platforms import fits, machine_platform, parse_platform
from linkspan.images.ports import BuildTool, ContextUnpacker, ImageStore, Networks, Transport, Unpacker
from linkspan.images.pulling import Puller
from linkspan.images.pushing import Pusher
from linkspan.images.register import Register
from linkspan.images.removing import Remover
from linkspan.images.saving import Saved, saved, to_save
from linkspan.model.builds import BuildNews, BuildRequest
from linkspan.model.errors import InvalidError, LinkspanError, NotFoundError
from linkspan.model.events import Event
from linkspan.model.images import (
    Credentials,
    Image,
    ImageConfig,
    ImageProgress,
    ImageUse,
    Loaded,
    Platform,
    Pushed,
    Removal,
)
from linkspan.model.references import Reference, parse_reference

_SCRATCH = "docker.io/library/scratch"
"""The name of what is empty, which no registry has."""


@dataclass(frozen=True)
class Surroundings:
    """What the room is told of the world around it.

    `uses` tells which containers were made from images; `announce` takes events.
    """

    now: Callable[[], datetime]
    uses: Callable[[], Iterable[ImageUse]]
    announce: Callable[[Event], None]
    platform: Platform = field(default_factory=lambda: machine_platform(machine.machine()))


class Images:
    """The images of one data root. To be used inside `async with images.running():`."""

    def __init__(
        self,
        *,
        data_root: Path,
        store: ImageStore,
        transport: Transport,
        unpacker: Unpacker,
        builds: tuple[BuildTool, ContextUnpacker, Networks],
        surroundings: Surroundings,
    ) -> None:
        self._around = surroundings
        self._transport = transport
        self._files = Files(data_root)
        self._register = Register(store)
        self._jobs = Jobs()
        adder = Adder(self._files, self._register, transport, unpacker, surroundings.now)
        self._puller = Puller(self._files, self._register, transport, adder)
        self._pusher = Pusher(self._files, self._register, transport)
        self._loader = Loader(self._files, self._register, transport, adder, surroundings.platform)
        self._maker = Maker(adder)
        self._adder = adder
        tool, unpack, networks = builds
        self._builder = Builder(self._files, self._register, adder, tool, unpack, networks, self._bring)
        self._announcer = Announcer(surroundings.now, surroundings.announce)
        self._remover = Remover(self._register, self._announcer, surroundings.uses, self._sweep)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Images"]:
        """Clean up what was left half made, and serve until the block ends; transfers end with it."""
        await self._register.load()
        await self._builder.tool.recover(self._files.scratches())
        await asyncio.to_thread(self._files.prepare)
        await self._sweep()
        async with self._jobs.open():
            yield self

    # ------------------------------------------------------------------------------------------------------- look up

    def get(self, reference: str) -> Image:
        """An image by name, id or the beginning of one; `NotFoundError` in Docker's words."""
        return self._register.find(reference)[0]

    def all(self) -> Sequence[Image]:
        """Every image, in the order in which they came."""
        return self._register.all()

    @property
    def platform(self) -> Platform:
        """What images have to be for, to run here."""
        return self._around.platform

    def root(self, image: Image) -> Path:
        """The directory with the files of an image, which nobody may change."""
        return self._files.root(image.root)

    def shown(self, name: str, id: str) -> str:
        """What a container's image is called now: its name, or its id when something else has the name."""
        try:
            return name if self.get(name).id == id else id
        except LinkspanError:
            return id

    @contextmanager
    def holding(self, reference: str, platform: str = "") -> Iterator[Image]:
        """An image that nobody can remove while the block makes a container of it."""
        image = self.get(reference)
        wanted = parse_platform(platform, self._around.platform)
        if platform and not fits(image.platform, wanted):
            raise NotFoundError(
                f"image with reference {reference} was found but its platform ({image.platform}) does not match the "
                f"specified platform ({wanted})",
                field="platform",
            )
        self._remover.held.append(image.id)
        try:
            yield image
        finally:
            self._remover.held.remove(image.id)

    # ------------------------------------------------------------------------------------------------------ registries

    async def pull(
        self, reference: Reference, platform: str = "", credentials: Credentials | None = None
    ) -> AsyncGenerator[ImageProgress, None]:
        """Bring an image from its registry; who asks for the same at the same time follows the same transfer."""
        wanted = parse_platform(platform, self._around.platform)
        if reference.name == _SCRATCH:
            raise InvalidError("'scratch' is a reserved name", field="reference")

        async def work(say: Say) -> None:
            async with self._nothing_half():
                await self._puller.pull(reference, wanted, credentials, say)
            self._announcer.transfer(self._register.by_name(reference), reference, "pull")

        key = ("pull", reference, wanted, credentials)
        async with aclosing(self._jobs.follow(key, work)) as said:
            async for progress in said:
                yield progress

    async def tags(self, repository: Reference, credentials: Credentials | None) -> Sequence[Reference]:
        """Every name that a repository has in its registry."""
        async with self._files.scratch() as scratch:
            found = await self._transport.tags(repository, credentials, scratch)
        return [replace(repository, tag=tag) for tag in found]

    async def push(
        self, reference: Reference, credentials: Credentials | None = None
    ) -> AsyncGenerator[ImageProgress | Pushed, None]:
        """Send an image to the registry that its name says. The last value is what the registry has then."""
        image = self._register.by_name(reference)
        if image is None:
            yield ImageProgress(f"The push refers to repository [{reference.name}]")
            raise self._not_here(reference)
        outcome: list[Pushed] = []

        async def work(say: Say) -> None:
            with self._files.pinned(_digests(image)):
                outcome.append(await self._pusher.push(image, reference, credentials, say))
            self._announcer.transfer(self._register.by_name(reference), reference, "push")

        async with aclosing(self._jobs.follow(("push", image.id, reference, credentials), work)) as said:
            async for progress in said:
                yield progress
        for pushed in outcome:
            yield pushed

    def _not_here(self, reference: Reference) -> NotFoundError:
        if self.names_of(reference):
            return NotFoundError(f"tag does not exist: {reference.familiar}", field="reference")
        return NotFoundError(
            f"An image does not exist locally with the tag: {reference.familiar_name}", field="reference"
        )

    def names_of(self, repository: Reference) -> Sequence[Reference]:
        """The names with a tag that images here have in a repository."""
        return self._register.names_of(repository)

    async def login(self, credentials: Credentials) -> None:
        """Ask a registry whether it knows somebody."""
        async with self._files.scratch() as scratch:
            await self._transport.login(credentials, scratch)

    async def distribution(
        self, reference: Reference, credentials: Credentials | None
    ) -> tuple[bytes, Sequence[Platform]]:
        """The manifest, or the list of them, that a registry has under a name, and what it is for."""
        async with self._files.scratch() as scratch:
            data = await self._transport.manifest(reference, credentials, scratch)
            listed = documents.parse_list(data)
            if listed is not None:
                found = [each.platform for each in listed.manifests if each.platform is not None]
                return data, [Platform(each.os, each.architecture, each.variant) for each in found]
            config = await self._transport.config(reference, credentials, scratch)
            return data, [documents.parse_config(config).platform]

    # -------------------------------------------------------------------------------------------------------- archives

    async def load(self, body: AsyncIterator[bytes]) -> Sequence[Loaded]:
        """Every image of an archive, or an error and none."""
        async with self._files.scratch() as scratch:
            archive = scratch / "archive.tar"
            await spool(body, archive)
            loaded = await self._jobs.carry_out(self._load(archive, scratch), "load images")
        for each in loaded:
            self._announcer.image(each.image, "load")
        return loaded

    async def _load(self, archive: Path, scratch: Path) -> Sequence[Loaded]:
        async with self._nothing_half():
            return await self._loader.load(archive, scratch)

    def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """The archive with these images. What is wrong with a name is said before the first piece."""
        return self._archive(to_save(self._register, references))

    async def _archive(self, chosen: Sequence[Saved]) -> AsyncIterator[bytes]:
        with self._files.pinned(digest for each in chosen for digest in each.digests):
            async for data in saved(self._files, chosen):
                yield data
        for each in chosen:
            self._announcer.image(each.image, "save")

    async def make(
        self,
        body: AsyncIterator[bytes],
        name: Reference | None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> Image:
        """An image with the files of an archive: `docker import`."""
        config = changed(ImageConfig(), changes)
        wanted = parse_platform(platform, self._around.platform)
        if wanted.os != self._around.platform.os:
            raise InvalidError("operating system is not supported", field="platform", value=platform)
        making = Making(config, wanted, message)
        async with self._files.scratch() as scratch:
            archive = scratch / "archive.tar"
            await spool(body, archive)
            names = [name.tagged] if name is not None else []
            image = await self._jobs.carry_out(self._make(archive, making, names, scratch), "import an image")
        self._announcer.tags(image, names)
        self._announcer.image(image, "import")
        return image

    async def commit(
        self,
        body: AsyncIterator[bytes],
        name: Reference | None,
        base: str,
        config: ImageConfig,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        author: str = "",
    ) -> Image:
        """An image with the layer `body` on top of those of the image `base` (an id; empty: on nothing)."""
        async with AsyncExitStack() as stack:
            below = stack.enter_context(self.holding(base)) if base else None
            platform = self._around.platform if below is None else below.platform
            making = Making(changed(config, changes), platform, message, author, " ".join(config.cmd))
            scratch = await stack.enter_async_context(self._files.scratch())
            archive = scratch / "archive.tar"
            await spool(body, archive)
            names = [name.tagged] if name is not None else []
            work = self._make(archive, making, names, scratch, below)
            image = await self._jobs.carry_out(work, "commit an image")
        self._announcer.tags(image, names)
        return image

    async def _make(
        self, archive: Path, making: Making, names: Sequence[Reference], scratch: Path, base: Image | None = None
    ) -> Image:
        async with self._nothing_half():
            return await self._maker.make(archive, making, names, scratch, base)

    # ---------------------------------------------------------------------------------------------------------- builds

    async def build(self, body: AsyncIterator[bytes], request: BuildRequest) -> AsyncIterator[BuildNews]:
        """An image by a Dockerfile, from the archive of its context. What is told last is the image.

        Raises `UnimplementedError` when the program that builds is not installed, `BuildError` when it fails.
        """
        self._builder.tool.check()
        async with self._files.scratch() as scratch:
            archive = scratch / "context.tar"
            await spool(body, archive)
            with self._builder.at_work() as alone:
                async for news in self._builder.build(archive, request, scratch, alone=alone):
                    yield news
            yield await self._jobs.carry_out(self._built(request, scratch), "keep what was built")

    async def _built(self, request: BuildRequest, scratch: Path) -> Image:
        async with self._nothing_half():
            image = await self._adder.add(result(scratch), request.names, scratch)
        self._announcer.tags(image, request.names)
        return image

    async def _bring(self, name: str, request: BuildRequest) -> AsyncIterator[ImageProgress]:
        reference = parse_reference(name)
        credentials = request.identities.get(reference.domain)
        async for progress in self.pull(reference.tagged, request.platform, credentials):
            yield progress

    async def builds_size(self) -> int:
        """The bytes that builds keep for later ones."""
        return await asyncio.to_thread(self._builder.size)

    def builds_since(self) -> datetime | None:
        """When a build last added to what is kept; None when there is nothing."""
        return self._builder.since()

    async def prune_builds(self) -> int:
        """Throw away what builds keep; the bytes that this freed. Raises `ConflictError` while one runs."""
        return await self._builder.prune()

    # ----------------------------------------------------------------------------------------------------------- names

    async def tag(self, reference: str, name: Reference) -> None:
        """Give an image one more name, which another loses that had it."""
        image = self.get(reference)
        if name.digest:
            raise InvalidError("refusing to create a tag with a digest reference", field="repo")
        if name.familiar_name == "sha256":
            raise InvalidError(
                "refusing to create an ambiguous tag using digest algorithm as name", field="repo", value=name.familiar
            )
        await self._jobs.carry_out(self._register.put(image, [name.tagged], self._around.now()), f"tag {name.familiar}")
        self._announcer.image(image, "tag", name=name.tagged.familiar)

    async def remove(self, reference: str, *, force: bool = False) -> Removal:
        """Take a name, or everything, from an image. Raises `ConflictError` when a container needs it."""
        return await self._jobs.carry_out(self._remover.remove(reference, force=force), f"remove {reference}")

    async def prune(self, chosen: Callable[[Image], bool]) -> tuple[Sequence[Removal], int]:
        """Remove every image of these that no container uses; the bytes that this freed."""
        return await self._jobs.carry_out(self._remover.prune(chosen), "prune images")

    # ---------------------------------------------------------------------------------------------------------- inside

    @asynccontextmanager
    async def _nothing_half(self) -> AsyncIterator[None]:
        """Delete what a failed transfer has put into place and nobody remembers."""
        try:
            yield
        except BaseException:
            await self._sweep()
            raise

    async def _sweep(self) -> int:
        wanted = {digest for image in self.all() for digest in _digests(image)}
        return await self._files.sweep(wanted, {use.root for use in self._around.uses()})


def _digests(image: Image) -> tuple[str, ...]:
    """Everything that is kept of an image."""
    return (image.id, image.manifest, image.root, *(layer.digest for layer in image.layers))

"""Pulling: what a registry has under a name becomes an image here."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from linkspan.images import documents
from linkspan.images.adding import Adder
from linkspan.images.documents import Manifest
from linkspan.images.files import Files
from linkspan.images.jobs import Say
from linkspan.images.platforms import choose
from linkspan.images.ports import INCOMING, Bundle, Transport
from linkspan.images.register import Register
from linkspan.model.errors import LinkspanError
from linkspan.model.images import Credentials, Image, ImageProgress, Platform
from linkspan.model.references import Reference

TICK = 0.2
"""Seconds between two looks at how much has come; the program that brings it tells nobody."""
SHORT = 12


@dataclass(frozen=True)
class Puller:
    """Pulls images."""

    files: Files
    register: Register
    transport: Transport
    adder: Adder

    async def pull(self, wanted: Reference, platform: Platform, credentials: Credentials | None, say: Say) -> Image:
        """Bring an image, and give it its name and its digest. Says what Docker says."""
        async with self.files.scratch() as scratch:
            found = await self.transport.manifest(wanted, credentials, scratch)
            digest = documents.digest_of(found)
            source = wanted.with_digest(digest)
            listed = documents.parse_list(found)
            if listed is not None:
                source = wanted.with_digest(choose(listed, platform).digest)
                found = await self.transport.manifest(source, credentials, scratch)
            say(ImageProgress(f"Pulling from {wanted.path}", wanted.full if wanted.digest else wanted.tag))
            names = [*([wanted] if wanted.tag and not wanted.digest else []), wanted.with_digest(digest)]
            image, news = await self._taken(found, source, names, credentials, scratch, say)
        say(ImageProgress(f"Digest: {digest}"))
        status = "Downloaded newer image for" if news else "Image is up to date for"
        say(ImageProgress(f"Status: {status} {wanted.familiar}"))
        return image

    async def _taken(
        self,
        data: bytes,
        source: Reference,
        names: Sequence[Reference],
        credentials: Credentials | None,
        scratch: Path,
        say: Say,
    ) -> tuple[Image, bool]:
        """The image of a manifest, and whether it, or one of its names, is new here."""
        manifest = documents.parse_manifest(data)
        known = self.register.by_id(manifest.config.digest)
        if known is not None:
            news = any(self.register.holder(name.full) != known.id for name in names)
            return await self.register.put(known, names, self.adder.now()), news
        bundle = Bundle(scratch / "sha256")
        bundle.path.mkdir()
        bundle.manifest.write_bytes(data)
        bundle.blob(manifest.config.digest).write_bytes(await self.transport.config(source, credentials, scratch))
        coming = self._seed(manifest, bundle, say)
        if coming:
            await self._fetch(source, bundle, coming, credentials, scratch, say)
        image = await self.adder.add(bundle, names, scratch)
        for digest in coming:
            say(ImageProgress("Pull complete", short(digest)))
        return image, True

    def _seed(self, manifest: Manifest, bundle: Bundle, say: Say) -> dict[str, int]:
        """Put the layers that are here already into a bundle; the sizes of the others."""
        coming: dict[str, int] = {}
        for layer in manifest.layers:
            blob = self.files.blob(layer.digest)
            if blob.exists() and not bundle.blob(layer.digest).exists():
                os.link(blob, bundle.blob(layer.digest))
                say(ImageProgress("Already exists", short(layer.digest)))
            elif not blob.exists() and layer.digest not in coming:
                coming[layer.digest] = layer.size
                say(ImageProgress("Pulling fs layer", short(layer.digest)))
        return coming

    async def _fetch(
        self,
        source: Reference,
        bundle: Bundle,
        coming: dict[str, int],
        credentials: Credentials | None,
        scratch: Path,
        say: Say,
    ) -> None:
        watch = _Watch(bundle, scratch / INCOMING, dict(coming), say)
        failure: LinkspanError | None = None
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch.run(), name="watch a transfer")
            try:
                await self.transport.fetch_layers(source, bundle, credentials, scratch)
            except LinkspanError as error:  # to be raised as itself, not in a group
                failure = error
            finally:
                watching.cancel()
        if failure is not None:
            raise failure
        watch.look()


class _Watch:
    """Tells how much of each layer has come, by the sizes of the files that grow."""

    def __init__(self, bundle: Bundle, incoming: Path, coming: dict[str, int], say: Say) -> None:
        self._bundle = bundle
        self._incoming = incoming
        self._coming = coming
        self._say = say

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.look()

    def look(self) -> None:
        """Layers come in their order, several at a time; which file is whose is not told, but their order is."""
        for digest in [digest for digest in self._coming if self._bundle.blob(digest).exists()]:
            del self._coming[digest]
            self._say(ImageProgress("Download complete", short(digest)))
        for (digest, total), size in zip(self._coming.items(), _growing(self._incoming), strict=False):
            if size:
                self._say(ImageProgress("Downloading", short(digest), min(size, total), total))


def _growing(directory: Path) -> list[int]:
    """The sizes of the files that are being written, the oldest first."""
    found: list[tuple[int, int]] = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.is_file() and entry.name.startswith("oci-put-blob"):
                with suppress(FileNotFoundError):
                    found.append((entry.inode(), entry.stat().st_size))
    return [size for _, size in sorted(found)]


def short(digest: str) -> str:
    """How Docker shows a layer."""
    return digest.partition(":")[2][:SHORT]

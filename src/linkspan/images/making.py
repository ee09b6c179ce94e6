"""Making images out of a file system: import, and what commits a container."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linkspan.images import writing
from linkspan.images.adding import Adder
from linkspan.images.documents import digest_of
from linkspan.images.layers import compression, measure
from linkspan.images.ports import Bundle
from linkspan.images.writing import Blob
from linkspan.model.images import HistoryEntry, Image, ImageConfig, Platform
from linkspan.model.references import Reference


@dataclass(frozen=True, slots=True)
class Making:
    """What a new image says of itself."""

    config: ImageConfig
    platform: Platform
    comment: str = ""
    author: str = ""
    created_by: str = ""


@dataclass(frozen=True)
class Maker:
    """Makes images."""

    adder: Adder

    async def make(
        self, archive: Path, making: Making, names: Sequence[Reference], scratch: Path, base: Image | None = None
    ) -> Image:
        """An image with the files of an archive, which is moved away, on top of those of `base`."""
        bundle = await asyncio.to_thread(self._bundle, archive, making, scratch, base)
        return await self.adder.add(bundle, names, scratch)

    def _bundle(self, archive: Path, making: Making, scratch: Path, base: Image | None) -> Bundle:
        """The new layer on top of the others, with a configuration and a manifest."""
        measured = measure(archive)
        digest = _file_digest(archive) if compression(archive) else measured.diff_id
        bundle = Bundle(scratch / "bundle")
        bundle.path.mkdir()
        archive.rename(bundle.blob(digest))
        below = () if base is None else base.layers
        for layer in {layer.digest for layer in below} - {digest}:
            os.link(self.adder.files.blob(layer), bundle.blob(layer))
        config = self._config(making, base, measured.diff_id)
        id = digest_of(config)
        bundle.blob(id).write_bytes(config)
        blobs = [Blob(each, bundle.blob(each).stat().st_size) for each in (*(one.digest for one in below), digest)]
        bundle.manifest.write_bytes(writing.docker_manifest(Blob(id, len(config)), blobs))
        return bundle

    def _config(self, making: Making, base: Image | None, diff_id: str) -> bytes:
        now = self.adder.now()
        layers, history = ((), ()) if base is None else (base.layers, base.history)
        step = HistoryEntry(now, making.created_by, making.author, making.comment)
        return writing.config_bytes(
            making.config,
            making.platform,
            [*(layer.diff_id for layer in layers), diff_id],
            [*history, step],
            created=now,
            author=making.author,
            comment=making.comment,
        )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

"""From a directory with manifest, configuration and layers to an image that containers can use."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from linkspan.images import documents, writing
from linkspan.images.documents import MAX_DOCUMENT, ConfigDocument, Manifest
from linkspan.images.files import Files, chain_id
from linkspan.images.layers import compression, measure, opened
from linkspan.images.ports import TAG, Bundle, Transport, Unpacker
from linkspan.images.register import Register
from linkspan.images.writing import Blob
from linkspan.model.errors import InvalidError
from linkspan.model.images import Image, Layer
from linkspan.model.references import Reference


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle, checked as far as that goes without reading its layers."""

    bundle: Bundle
    manifest_digest: str
    manifest: Manifest
    config: ConfigDocument
    plain: Bundle | None = None
    """The same layers as plain archives, where Python and umoci cannot read them as they are."""

    def layer(self, digest: str, diff_id: str) -> tuple[str, Path]:
        """A layer that can be read: its digest, and where it is."""
        if self.plain is not None:
            return diff_id, self.plain.blob(diff_id)
        return digest, self.bundle.blob(digest)

    @property
    def id(self) -> str:
        """The image's id."""
        return self.manifest.config.digest

    @property
    def chain(self) -> str:
        """The name of its unpacked files."""
        return chain_id(self.config.diff_ids)

    @property
    def digests(self) -> tuple[str, ...]:
        """Everything that is kept of it."""
        return (self.manifest_digest, self.id, self.chain, *(layer.digest for layer in self.manifest.layers))


def read_bundle(bundle: Bundle) -> Contents:
    """The documents of a bundle. Raises `InvalidError` when they are not there, or do not fit together."""
    data = _document(bundle.manifest)
    manifest = documents.parse_manifest(data)
    config = _document(bundle.blob(manifest.config.digest))
    if documents.digest_of(config) != manifest.config.digest:
        raise InvalidError("invalid image: its configuration does not have the digest that its manifest says")
    document = documents.parse_config(config)
    if len(document.diff_ids) != len(manifest.layers):
        raise InvalidError(
            f"invalid image: {len(manifest.layers)} layers, but its configuration names {len(document.diff_ids)}"
        )
    return Contents(bundle, documents.digest_of(data), manifest, document)


def _document(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise InvalidError(f"invalid image: {path.name} is missing") from error


@dataclass(frozen=True)
class Adder:
    """Unpacks and remembers. Layers that are there already are not unpacked again."""

    files: Files
    register: Register
    transport: Transport
    unpacker: Unpacker
    now: Callable[[], datetime]
    _locks: "WeakValueDictionary[str, asyncio.Lock]" = field(default_factory=WeakValueDictionary)

    async def add(self, bundle: Bundle, names: Iterable[Reference], scratch: Path) -> Image:
        """The image of a bundle, with those names. Nothing is remembered of one that turns out to be broken."""
        contents = read_bundle(bundle)
        with self.files.pinned(contents.digests):
            return await self.register.put(await self.make(contents, scratch), names, self.now())

    async def make(self, contents: Contents, scratch: Path) -> Image:
        """Check and unpack what is not here yet, and put it into place; it is not remembered before it is registered.

        The caller has pinned its digests.
        """
        lock = self._locks.setdefault(contents.chain, asyncio.Lock())
        async with lock:
            return self.register.by_id(contents.id) or await self._made(contents, scratch)

    async def _made(self, contents: Contents, scratch: Path) -> Image:
        if await asyncio.to_thread(_has_zstd, contents):
            plain = Bundle(scratch / "plain")
            await self.transport.decompress(contents.bundle, plain, scratch)
            contents = replace(contents, plain=plain)
        layers = await asyncio.to_thread(_measured, contents)
        root = self.files.root(contents.chain)
        if not root.exists():
            await self._unpack(contents, scratch)
        self._keep(contents)
        document = contents.config
        return Image(
            id=contents.id,
            manifest=contents.manifest_digest,
            root=contents.chain,
            platform=document.platform,
            config=documents.image_config(document),
            layers=layers,
            size=sum(layer.size for layer in layers),
            created=documents.moment(document.created),
            author=document.author,
            comment=document.comment or next((step.comment for step in (document.history or ())[-1:]), ""),
            docker_version=document.docker_version,
            history=documents.image_history(document),
        )

    async def _unpack(self, contents: Contents, scratch: Path) -> None:
        layout, target = scratch / "layout", scratch / "root"
        if contents.manifest.layers:
            await asyncio.to_thread(_make_layout, contents, layout)
            await self.unpacker.unpack(layout, target)
        else:
            target.mkdir(mode=0o755)
        self.files.keep(target, self.files.root(contents.chain))

    def _keep(self, contents: Contents) -> None:
        bundle = contents.bundle
        self.files.keep(bundle.manifest, self.files.blob(contents.manifest_digest))
        for digest in (contents.id, *(layer.digest for layer in contents.manifest.layers)):
            blob = self.files.blob(digest)
            if not blob.exists():  # one layer can be there twice
                self.files.keep(bundle.blob(digest), blob)


def _has_zstd(contents: Contents) -> bool:
    paths = [contents.bundle.blob(layer.digest) for layer in contents.manifest.layers]
    return any(path.is_file() and compression(path) == "zstd" for path in paths)


def _measured(contents: Contents) -> Sequence[Layer]:
    """Every layer, read through once."""
    found = []
    for descriptor, diff_id in zip(contents.manifest.layers, contents.config.diff_ids, strict=True):
        _, path = contents.layer(descriptor.digest, diff_id)
        if not path.is_file():
            raise InvalidError(f"invalid image: the layer {descriptor.digest} is missing")
        measured = measure(path)
        if measured.diff_id != diff_id:
            raise InvalidError(f"invalid image: the layer {descriptor.digest} does not hold {diff_id}")
        found.append(Layer(descriptor.digest, diff_id, measured.size))
    return tuple(found)


def _make_layout(contents: Contents, layout: Path) -> None:
    """An OCI layout with the image under a tag, for umoci: the blobs are links, the manifest is OCI's."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifest = contents.manifest
    config = _link(manifest.config.digest, contents.bundle.blob(manifest.config.digest), blobs)
    layers = [
        _plain_layer(contents, layer.digest, diff_id, blobs)
        for layer, diff_id in zip(manifest.layers, contents.config.diff_ids, strict=True)
    ]
    data = writing.oci_manifest(config, layers)
    digest = documents.digest_of(data)
    (blobs / digest.partition(":")[2]).write_bytes(data)
    (layout / "index.json").write_bytes(writing.oci_index(digest, len(data), TAG))
    (layout / "oci-layout").write_bytes(b'{"imageLayoutVersion": "1.0.0"}')


def _link(digest: str, source: Path, blobs: Path) -> Blob:
    target = blobs / digest.partition(":")[2]
    if not target.exists():
        os.link(source, target)
    return Blob(digest, source.stat().st_size)


def _plain_layer(contents: Contents, digest: str, diff_id: str, blobs: Path) -> Blob:
    """A layer as umoci can read it: plain, or compressed with gzip."""
    name, source = contents.layer(digest, diff_id)
    kind = compression(source)
    if kind in ("", "gzip"):
        return replace(_link(name, source, blobs), gzipped=kind == "gzip")
    target = blobs / diff_id.partition(":")[2]
    with opened(source) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    return Blob(diff_id, target.stat().st_size)

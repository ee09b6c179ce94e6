"""Archives of images: `docker save`.

What is saved has the layout of Docker 25 and later: blobs by their digest, `manifest.json` beside them, which Docker of
any age, skopeo and podman read, and `index.json`, which makes it an OCI layout.
"""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from linkspan.images.documents import MAX_DOCUMENT
from linkspan.images.files import Files
from linkspan.images.register import Register, unknown
from linkspan.model.errors import NotFoundError
from linkspan.model.images import Image
from linkspan.model.references import Reference, parse_reference

_CHUNK = 1 << 20
_BLOBS = "blobs/sha256"
_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to be saved, with the names it is to have."""

    image: Image
    names: tuple[Reference, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """The blobs of it."""
        return (self.image.id, self.image.manifest, *(layer.digest for layer in self.image.layers))


def to_save(register: Register, references: Sequence[str]) -> Sequence[Saved]:
    """What these names and ids mean. Raises `NotFoundError` in Docker's words."""
    wanted: dict[str, list[Reference]] = {}
    for text in references:
        for image, names in _meant(register, text):
            wanted.setdefault(image.id, []).extend(names)
    return [Saved(register.find(id)[0], tuple(dict.fromkeys(names))) for id, names in wanted.items()]


def _meant(register: Register, text: str) -> Iterator[tuple[Image, list[Reference]]]:
    """A name without a tag means every tag of its repository."""
    image, name = _found(register, text)
    if name is None or (image is not None and name.digest):
        assert image is not None
        yield image, []
    elif image is not None and (":" in text.rpartition("/")[2]):
        yield image, [name]
    else:
        names = register.names_of(name)
        if not names:
            raise unknown(name.familiar_name)
        for each in names:
            found = register.by_name(each)
            assert found is not None
            yield found, [each]


def _found(register: Register, text: str) -> tuple[Image | None, Reference | None]:
    try:
        return register.find(text)
    except NotFoundError:
        reference = parse_reference(text)
        if reference.tag or reference.digest:
            raise
        return None, reference


async def saved(files: Files, images: Sequence[Saved]) -> AsyncIterator[bytes]:
    """The archive with these images, piece by piece."""
    for digest in dict.fromkeys(digest for each in images for digest in each.digests):
        path = files.blob(digest)
        with path.open("rb") as file:
            yield _head(f"{_BLOBS}/{_hex(digest)}", path.stat().st_size)
            async for data in _contents(file):
                yield data
    index = {"schemaVersion": 2, "manifests": [entry for each in images for entry in _listed(files, each)]}
    yield _member("index.json", msgspec.json.encode(index))
    yield _member("manifest.json", msgspec.json.encode([_entry(each) for each in images]))
    yield _member("oci-layout", _LAYOUT)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


async def _contents(file: IO[bytes]) -> AsyncIterator[bytes]:
    length = 0
    while data := await asyncio.to_thread(file.read, _CHUNK):
        length += len(data)
        yield data
    if padding := -length % tarfile.BLOCKSIZE:
        yield b"\0" * padding


def _member(name: str, data: bytes) -> bytes:
    return _head(name, len(data)) + data + b"\0" * (-len(data) % tarfile.BLOCKSIZE)


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.PAX_FORMAT)


def _entry(saved: Saved) -> Mapping[str, Any]:
    """An image in `manifest.json`."""
    layers = [f"{_BLOBS}/{_hex(layer.digest)}" for layer in saved.image.layers]
    names = [name.familiar for name in saved.names]
    return {"Config": f"{_BLOBS}/{_hex(saved.image.id)}", "RepoTags": names or None, "Layers": layers}


def _listed(files: Files, saved: Saved) -> Iterator[Mapping[str, Any]]:
    """An image in `index.json`: once for every name."""
    with files.blob(saved.image.manifest).open("rb") as file:
        data = file.read(MAX_DOCUMENT)
    kind = msgspec.json.decode(data).get("mediaType") or "application/vnd.oci.image.manifest.v1+json"
    entry = {"mediaType": kind, "digest": saved.image.manifest, "size": len(data)}
    for name in saved.names:
        named = {"io.containerd.image.name": name.full, "org.opencontainers.image.ref.name": name.tag}
        yield {**entry, "annotations": named}
    if not saved.names:
        yield entry


def _hex(digest: str) -> str:
    return digest.partition(":")[2]

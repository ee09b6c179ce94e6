"""OCI layouts in archives: what `docker buildx build -o type=oci`, `skopeo copy … oci-archive:` and podman write.

Where an image has a full name it is in the annotation of containerd (`io.containerd.image.name`) or, as podman writes
it, in that of OCI, which else is a tag alone and names nothing (image-spec, annotations.md).
"""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkspan.images import documents
from linkspan.images.documents import MAX_DOCUMENT, Descriptor
from linkspan.images.platforms import choose
from linkspan.images.ports import Bundle
from linkspan.model.errors import InvalidError
from linkspan.model.images import Platform
from linkspan.model.references import Reference, parse_reference

INDEX = "index.json"

_CHUNK = 1 << 20
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Listed:
    """One image of a layout."""

    manifest: str
    names: tuple[Reference, ...]


class Layout:
    """The layout in an open archive."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive if member.isreg()}

    def images(self, platform: Platform) -> Sequence[Listed]:
        """Every image, each once; of one for several platforms, that for `platform`.

        Raises `InvalidError`, and `NotFoundError` when there is none for it.
        """
        listed = documents.parse_list(self._read(INDEX))
        if listed is None or not listed.manifests:
            raise InvalidError("invalid archive: it holds no image", field="body")
        names: dict[str, list[Reference]] = {}
        for descriptor in listed.manifests:
            found = names.setdefault(self._chosen(descriptor, platform), [])
            found.extend(_names(descriptor.annotations))
        return [Listed(digest, tuple(dict.fromkeys(found))) for digest, found in names.items()]

    def _chosen(self, descriptor: Descriptor, platform: Platform) -> str:
        inner = documents.parse_list(self._document(descriptor.digest))
        return descriptor.digest if inner is None else choose(inner, platform).digest

    def extract(self, digest: str, into: Bundle) -> None:
        """Write the image of a manifest into a bundle, whose directory does not exist. Raises `InvalidError`."""
        into.path.mkdir()
        data = self._document(digest)
        into.manifest.write_bytes(data)
        manifest = documents.parse_manifest(data)
        for each in {manifest.config.digest, *(layer.digest for layer in manifest.layers)}:
            self._copy(each, into.blob(each))

    def _document(self, digest: str) -> bytes:
        data = self._read(_path(digest))
        if documents.digest_of(data) != digest:
            raise _differs(digest)
        return data

    def _copy(self, digest: str, target: Path) -> None:
        hashed = hashlib.sha256()
        with target.open("wb") as file:
            for data in self._pieces(_path(digest)):
                hashed.update(data)
                file.write(data)
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise _differs(digest)

    def _read(self, path: str) -> bytes:
        member = self._members.get(path)
        if member is not None and member.size > MAX_DOCUMENT:
            raise InvalidError(f"invalid archive: {path} is larger than {MAX_DOCUMENT >> 20} MiB", field="body")
        return b"".join(self._pieces(path))

    def _pieces(self, path: str) -> Iterator[bytes]:
        member = self._members.get(path)
        file = None if member is None else self._archive.extractfile(member)
        if file is None:
            raise InvalidError(f"invalid archive: it has no {path}", field="body")
        with file:
            while data := file.read(_CHUNK):
                yield data


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _names(annotations: Mapping[str, str]) -> Iterator[Reference]:
    text = next((annotations[name] for name in _NAMES if name in annotations), "")
    if "/" in text or ":" in text:
        yield parse_reference(text).tagged


def _differs(digest: str) -> InvalidError:
    return InvalidError(f"invalid archive: what it has as {digest} has another digest", field="body")

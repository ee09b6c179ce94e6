"""Archives of images: `docker load`."""

import asyncio
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path

import msgspec
from msgspec import Struct, field

from linkspan.images.adding import Adder, Contents, read_bundle
from linkspan.images.files import Files
from linkspan.images.layers import compression, opened
from linkspan.images.layouts import INDEX, Layout
from linkspan.images.ports import Bundle, Transport
from linkspan.images.register import Register
from linkspan.model.errors import InvalidError
from linkspan.model.images import Image, Loaded, Platform
from linkspan.model.references import Reference, parse_reference

_CHUNK = 1 << 20
_MAX_INDEX = 8 << 20
_CONFIG = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.json)?$")


class _Entry(Struct, rename="pascal", kw_only=True):
    """One image of `manifest.json`."""

    config: str = ""
    repo_tags: list[str] | None = None
    layers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Loader:
    """Loads archives."""

    files: Files
    register: Register
    transport: Transport
    adder: Adder
    platform: Platform

    async def load(self, archive: Path, scratch: Path) -> Sequence[Loaded]:
        """Every image of an archive, compressed or not, or an `InvalidError` and none. The archive is in `scratch`."""
        archive = await asyncio.to_thread(_plain, archive)
        entries = await asyncio.to_thread(_entries, archive, self.platform)
        found: list[tuple[Contents, tuple[Reference, ...], Path]] = []
        for index, entry in enumerate(entries):
            place = scratch / f"image{index}"
            place.mkdir()
            bundle = Bundle(place / "bundle")
            if entry.manifest:
                await asyncio.to_thread(_extract, archive, entry.manifest, bundle)
            else:
                await self.transport.extract(archive, index, bundle)
            contents = read_bundle(bundle)
            if entry.id not in ("", contents.id):
                raise InvalidError(f"invalid archive: the configuration of {entry.id} has another digest", field="body")
            found.append((contents, entry.names, place))
        with ExitStack() as pins:
            for contents, _, _ in found:
                pins.enter_context(self.files.pinned(contents.digests))
            made = [(await self.adder.make(contents, place), names) for contents, names, place in found]
            return [await self._named(image, names) for image, names in made]

    async def _named(self, image: Image, names: tuple[Reference, ...]) -> Loaded:
        holders = ((name, self.register.holder(name.full)) for name in names)
        renamed = tuple((name, id) for name, id in holders if id not in (None, image.id) and id is not None)
        return Loaded(await self.register.put(image, names, self.adder.now()), names, renamed)


@dataclass(frozen=True, slots=True)
class _Found:
    """An image in an archive: its names, its id where the archive says it, and its manifest where it is OCI's."""

    names: tuple[Reference, ...]
    id: str = ""
    manifest: str = ""


def _plain(archive: Path) -> Path:
    """The archive that is inside, if it is compressed: Debian's skopeo reads no others."""
    if compression(archive) == "":
        return archive
    target = archive.with_name("plain.tar")
    with _reading(), opened(archive) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, _CHUNK)
    archive.unlink()
    return target


def _entries(archive: Path, platform: Platform) -> list[_Found]:
    """The images of an archive."""
    with _reading(), tarfile.open(archive, "r:") as tar:
        if (index := _member(tar, "manifest.json")) is not None:
            return _parsed(index)
        if _member(tar, INDEX) is not None:
            return [_Found(each.names, manifest=each.manifest) for each in Layout(tar).images(platform)]
    raise InvalidError("invalid archive: it has no manifest.json", field="body")


def _extract(archive: Path, manifest: str, bundle: Bundle) -> None:
    with _reading(), tarfile.open(archive, "r:") as tar:
        Layout(tar).extract(manifest, bundle)


@contextmanager
def _reading() -> Iterator[None]:
    """What cannot be read of an archive is the request's mistake."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, zlib.error, LZMAError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = (str(error) or "it is truncated").splitlines()[0].strip(":")
        raise InvalidError(f"invalid archive: {reason}", field="body") from error


def _member(tar: tarfile.TarFile, name: str) -> bytes | None:
    for member in tar:
        if member.name.removeprefix("./") == name and member.isreg():
            file = tar.extractfile(member)
            assert file is not None
            return file.read(_MAX_INDEX)
    return None


def _parsed(index: bytes) -> list[_Found]:
    try:
        entries = msgspec.json.decode(index, type=list[_Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError(f"invalid archive: its manifest.json cannot be read: {error}", field="body") from error
    if not entries:
        raise InvalidError("invalid archive: it holds no image", field="body")
    return [
        _Found(tuple(parse_reference(text).tagged for text in entry.repo_tags or ()), _id(entry.config))
        for entry in entries
    ]


def _id(config: str) -> str:
    """The id in the path of a configuration: `<id>.json` of Docker to version 24, `blobs/sha256/<id>` later."""
    match = _CONFIG.search(config)
    return f"sha256:{match[1]}" if match else ""

"""What images need of the world, in memory: a store, a registry with archives, and an unpacker without whiteouts."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from linkspan.images.ports import DIGEST_FILE, Bundle
from linkspan.model.errors import InvalidError, NotFoundError, UnauthorizedError, UnavailableError
from linkspan.model.images import Credentials, Image
from linkspan.model.references import Reference
from tests.support.images import Picture, digest


class MemoryImageStore:
    """Remembers images as long as it lives. `failure`, once set, is raised by the next change."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.failure: Exception | None = None

    async def load_images(self) -> Sequence[Image]:
        await asyncio.sleep(0)
        return list(self.images.values())

    async def put_images(self, images: Sequence[Image]) -> None:
        await self._fail()
        self.images.update({image.id: image for image in images})

    async def delete_image(self, id: str) -> None:
        await self._fail()
        self.images.pop(id, None)

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


class MemoryRegistry:
    """A registry, and a reader of archives. Layers come when `open` is set: `waiting` tells that they are wanted.

    With `password`, only who knows it gets in.
    """

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.waiting, self.given_up = asyncio.Event(), asyncio.Event()
        self.password = ""

    def put(self, picture: Picture, *names: str) -> str:
        """Have an image under these full names, and its digest."""
        data = picture.manifest()
        self.blobs |= {digest(each): each for each in (picture.document, *picture.packed())}
        repositories = {name.rpartition(":")[0] for name in names}
        self.manifests |= {f"{repository}@{digest(data)}": data for repository in repositories}
        self.manifests |= dict.fromkeys(names, data)
        return digest(data)

    def put_list(self, data: bytes, name: str) -> None:
        """Have a list under a name."""
        self.manifests |= {name: data, f"{name.rpartition(':')[0]}@{digest(data)}": data}

    async def manifest(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        await asyncio.sleep(0)
        if self.password and (credentials is None or credentials.password != self.password):
            raise UnavailableError("unauthorized: authentication required")
        if source.tagged.full not in self.manifests:
            raise NotFoundError(f"manifest for {source.familiar} not found: manifest unknown: manifest unknown")
        return self.manifests[source.tagged.full]

    async def tags(self, source: Reference, credentials: Credentials | None, scratch: Path) -> Sequence[str]:
        await asyncio.sleep(0)
        return [name.rpartition(":")[2] for name in self.manifests if name.startswith(f"{source.name}:")]

    async def config(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        data = json.loads(await self.manifest(source, credentials, scratch))
        return self.blobs[data["config"]["digest"]]

    async def fetch_layers(
        self, source: Reference, into: Bundle, credentials: Credentials | None, scratch: Path
    ) -> None:
        data = json.loads(await self.manifest(source, credentials, scratch))
        self.waiting.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        for each in data["layers"]:
            if not into.blob(each["digest"]).exists():
                self.fetched.append(each["digest"])
                into.blob(each["digest"]).write_bytes(self.blobs[each["digest"]])

    async def extract(self, archive: Path, index: int, into: Bundle) -> None:
        await asyncio.sleep(0)
        into.path.mkdir()
        try:
            with tarfile.open(archive) as tar:
                self._extract(tar, index, into)
        except (tarfile.TarError, KeyError, OSError, ValueError, IndexError, TypeError) as error:
            raise InvalidError(f"invalid archive: {error}") from error

    @staticmethod
    def _extract(tar: tarfile.TarFile, index: int, into: Bundle) -> None:
        entry = json.load(_file(tar, "manifest.json"))[index]
        config = _file(tar, entry["Config"]).read()
        layers = [_file(tar, name).read() for name in entry["Layers"]]
        for data in (config, *layers):
            into.blob(digest(data)).write_bytes(data)
        manifest = {
            "schemaVersion": 2,
            "config": {"digest": digest(config), "size": len(config)},
            "layers": [{"digest": digest(each), "size": len(each)} for each in layers],
        }
        into.manifest.write_text(json.dumps(manifest))

    async def decompress(self, bundle: Bundle, into: Bundle, scratch: Path) -> None:
        await asyncio.sleep(0)
        raise InvalidError("invalid image: this registry decompresses nothing")

    async def send(
        self, bundle: Bundle, target: Reference, credentials: Credentials | None, scratch: Path
    ) -> AsyncIterator[str]:
        data = bundle.manifest.read_bytes()
        for each in json.loads(data)["layers"]:
            yield f"Copying blob {each['digest']}"
            self.blobs[each["digest"]] = bundle.blob(each["digest"]).read_bytes()
        config = json.loads(data)["config"]["digest"]
        self.blobs[config] = bundle.blob(config).read_bytes()
        self.manifests |= {target.tagged.full: data, target.with_digest(digest(data)).full: data}
        (scratch / DIGEST_FILE).write_text(digest(data))

    async def login(self, credentials: Credentials, scratch: Path) -> None:
        await asyncio.sleep(0)
        if credentials.password != self.password:
            raise UnauthorizedError("unauthorized: authentication required")


def _file(tar: tarfile.TarFile, name: str) -> io.BufferedReader:
    found = tar.extractfile(name)
    assert found is not None
    return found  # type: ignore[return-value]


class TarUnpacker:
    """Extracts layers one over the other, once `open` is set: `waiting` tells that there are some.

    `unpacked` counts; `failure`, once set, is raised by the next.
    """

    def __init__(self) -> None:
        self.unpacked = 0
        self.failure: Exception | None = None
        self.open, self.waiting = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def unpack(self, layout: Path, into: Path) -> None:
        self.waiting.set()
        await self.open.wait()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.unpacked += 1
        try:
            self._unpack(layout, into)
        except (tarfile.TarError, EOFError, KeyError, OSError, ValueError) as error:
            raise InvalidError(f"invalid image: its layers cannot be unpacked: {error}") from error

    @staticmethod
    def _unpack(layout: Path, into: Path) -> None:
        blobs = layout / "blobs"
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((blobs / index["manifests"][0]["digest"].replace(":", "/")).read_text())
        into.mkdir()
        for each in manifest["layers"]:
            with tarfile.open(blobs / each["digest"].replace(":", "/")) as tar:
                tar.extraction_filter = getattr(tarfile, "tar_filter", None)  # since Python 3.11.4
                tar.extractall(into)

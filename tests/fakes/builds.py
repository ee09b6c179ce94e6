"""A program in memory that builds: it knows FROM, COPY, LABEL, and RUN of `false` and of `sleep`."""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linkspan.images.ports import Bundle, Site
from linkspan.model.builds import BuildError, BuildNetwork, BuildRequest
from linkspan.model.errors import InvalidError, NotFoundError, UnimplementedError
from tests.support.images import Entry, Picture, digest, layer


class MemoryBuilder:
    """`taken` are the images that it was given; `missing` makes it one that is not installed."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.requests: list[BuildRequest] = []
        self.networks: list[BuildNetwork] = []
        self.tidied = 0
        self.recovered: list[str] = []
        self.missing = False
        self.sleeping = asyncio.Event()
        self._pictures: dict[str, Picture] = {}

    def check(self) -> None:
        if self.missing:
            raise UnimplementedError("install the package buildah")

    async def take(self, bundle: Bundle, name: str, site: Site) -> None:
        await asyncio.sleep(0)
        assert bundle.manifest.exists()
        self.taken.append(name)

    async def build(
        self, request: BuildRequest, dockerfile: Path, site: Site, network: BuildNetwork
    ) -> AsyncIterator[str]:
        self.networks.append(network)
        self.requests.append(request)
        files: list[Entry] = []
        labels = dict(request.labels)
        lines = dockerfile.read_text(errors="replace").splitlines() or [""]  # noqa: ASYNC240 - a small file
        for number, line in enumerate(lines, 1):
            yield f"STEP {number}/{len(lines)}: {line}"
            await self._step(line.split(), files, labels, site)
        picture = Picture([layer(*files)], config={"Labels": labels})
        self._pictures[picture.id] = picture
        _keep(site, picture.id)

    async def _step(self, words: list[str], files: list[Entry], labels: dict[str, str], site: Site) -> None:
        if words[:1] == ["COPY"] and len(words) == 3:
            source = site.context / words[1]
            if not source.is_file():
                raise BuildError(f"COPY failed: {words[1]}")
            files.append(Entry(words[2].lstrip("/"), source.read_bytes()))
        elif words[:1] == ["LABEL"] and len(words) == 3:
            labels[words[1]] = words[2]
        elif words == ["RUN", "false"]:
            raise BuildError("The command '/bin/sh -c false' returned a non-zero code: 1", status=1)
        elif words == ["RUN", "sleep"]:
            self.sleeping.set()
            await asyncio.Event().wait()

    async def hand_over(self, id: str, into: Bundle, site: Site) -> None:
        await asyncio.sleep(0)
        picture = self._pictures[id]
        into.path.mkdir()
        into.manifest.write_bytes(picture.manifest())
        for data in (picture.document, *picture.packed()):
            into.blob(digest(data)).write_bytes(data)

    async def recover(self, scratches: Sequence[Path]) -> None:
        await asyncio.sleep(0)
        self.recovered += [scratch.name for scratch in scratches]

    async def tidy(self, site: Site) -> None:
        await asyncio.sleep(0)
        self.tidied += 1


class MemoryNetworks:
    """Networks with those names; `left` counts how often one was left."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.left = 0

    @asynccontextmanager
    async def joined(self, mode: str) -> AsyncIterator[BuildNetwork]:
        if mode not in self.names:
            raise NotFoundError(f"network {mode} not found")
        try:
            yield BuildNetwork(f"/netns/{mode}")
        finally:
            self.left += 1


def _keep(site: Site, id: str) -> None:
    (site.scratch / "id").write_text(f"{id}\n")
    site.workshop.mkdir(exist_ok=True)
    (site.workshop / "cache").write_bytes(b"12345678")


def unpack_context(archive: Path, into: Path) -> None:
    """What `linkspan.wiring` takes from the kernel."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since Python 3.11.4
            tar.extractall(into)
    except (tarfile.TarError, EOFError, KeyError, OSError, ValueError) as error:
        raise InvalidError(f"cannot read the archive: {error}", field="body") from error

"""Where the files of images are: blobs by their digest, unpacked images by the digest of their layers, and scratch.

Everything is made in a scratch directory and renamed into place, whole, before the store remembers it; whatever neither
the store nor a container knows is deleted at start. So a crash leaves nothing half.
"""

import asyncio
import os
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from linkspan.images.documents import digest_of

Result = TypeVar("Result")

_SPOOLED = 1 << 20


def chain_id(diff_ids: Sequence[str]) -> str:
    """OCI's name for layers on top of one another (image-spec, config.md); Docker's ids of layers are these."""
    chain = ""
    for diff_id in diff_ids:
        chain = digest_of(f"{chain} {diff_id}".encode()) if chain else diff_id
    return chain or digest_of(b"")


class Files:
    """The directories under one data root. All paths are absolute."""

    def __init__(self, data_root: Path) -> None:
        top = data_root.absolute() / "images"
        self._blobs, self._roots, self._scratch = top / "blobs" / "sha256", top / "roots", top / "tmp"
        self._pins: Counter[str] = Counter()
        self.workshop = top / "builds"
        """What builds keep for later ones; who builds makes it, and may delete it whenever none runs."""

    def prepare(self) -> None:
        """Make the directories, and delete what a crash left behind. May take long."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        for directory in (self._blobs, self._roots, self._scratch):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._roots.chmod(0o711)  # programs of containers that are not root's have to come through

    def scratches(self) -> Sequence[Path]:
        """The private directories that there are: before `prepare`, those that a crash left behind."""
        return _children(self._scratch)

    def blob(self, digest: str) -> Path:
        """Where a blob is, or would be."""
        return self._blobs / _hex(digest)

    def root(self, chain: str) -> Path:
        """Where unpacked layers are, or would be."""
        return self._roots / _hex(chain)

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A private directory, gone at the end of the block."""
        directory = self._new_scratch()
        try:
            yield directory
        finally:
            await _to_the_end(lambda: shutil.rmtree(directory, ignore_errors=True))

    def _new_scratch(self) -> Path:
        directory = self._scratch / secrets.token_hex(8)
        directory.mkdir(mode=0o700)
        return directory

    def keep(self, source: Path, target: Path) -> None:
        """Rename into place, unless it is there already."""
        if not target.exists():
            source.rename(target)

    @contextmanager
    def pinned(self, digests: Iterable[str]) -> Iterator[None]:
        """Keep blobs and roots that nothing refers to yet."""
        names = [_hex(digest) for digest in digests]
        self._pins.update(names)
        try:
            yield
        finally:
            self._pins.subtract(names)
            self._pins = +self._pins

    async def sweep(self, wanted: Collection[str], roots_in_use: Collection[str]) -> int:
        """Delete all blobs and roots but those: `wanted` are digests, `roots_in_use` paths. Returns the bytes freed.

        They are moved away at once, so that whoever makes one of them anew is not disturbed, and deleted after, also
        when the caller is cancelled.
        """
        names = {_hex(digest) for digest in wanted} | self._pins.keys()
        doomed = [
            path
            for directory in (self._blobs, self._roots)
            for path in _children(directory)
            if path.name not in names and str(path) not in roots_in_use
        ]
        if not doomed:
            return 0
        scratch = self._new_scratch()
        for number, path in enumerate(doomed):
            path.rename(scratch / str(number))
        return await _to_the_end(lambda: _removed(scratch))


async def _to_the_end(work: Callable[[], Result]) -> Result:
    """Do `work` in a thread, and wait until it is done even when cancelled in between."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return done.result()


def _removed(directory: Path) -> int:
    """Delete a directory; the bytes that were in it."""
    size = tree_size(directory)
    shutil.rmtree(directory, ignore_errors=True)
    return size


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _children(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def tree_size(directory: Path) -> int:
    """The bytes of all files below a directory, which may not exist."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(f"{path}/{name}").st_size
    return total


async def spool(body: AsyncIterator[bytes], path: Path) -> None:
    """Write what comes into a file, in large pieces."""
    with path.open("wb") as file:
        gathered = bytearray()
        async for data in body:
            gathered += data
            if len(gathered) >= _SPOOLED:
                await asyncio.to_thread(file.write, bytes(gathered))
                gathered.clear()
        file.write(gathered)

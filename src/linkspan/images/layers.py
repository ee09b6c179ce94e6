"""What is in a layer: its compression, the digest of the archive inside, and the size of its files."""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from linkspan.model.errors import InvalidError

_CHUNK = 1 << 20
_BLOCK = 512
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A layer that was read through: the digest of its archive, and the size of the files in it."""

    diff_id: str
    size: int


def compression(path: Path) -> str:
    """`gzip`, `bzip2`, `xz`, `zstd`, or nothing for a plain archive."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The archive inside, whatever compresses it. Raises `InvalidError` for what nothing here can decompress."""
    kind = compression(path)
    openers: dict[str, Any] = {"": open, "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    if kind not in openers:
        raise InvalidError(f"invalid image: layers compressed with {kind} cannot be read here")
    with openers[kind](path, "rb") as file:
        yield file


class _Hashing:
    """Hashes whatever is read through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def measure(path: Path) -> Measured:
    """Read a layer through. Raises `InvalidError` when it is truncated, or no archive. Takes long."""
    try:
        with opened(path) as file:
            hashing = _Hashing(file)
            size = _size(hashing)
            while hashing.read(_CHUNK):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise InvalidError(f"invalid image: a layer cannot be read: {error}") from error
    return Measured(f"sha256:{hashing.digest.hexdigest()}", size)


def _size(file: _Hashing) -> int:
    """Of the files, links by the length of what they say, as Docker counts.

    A stream reader of tarfile takes what stands after an archive's end for its end.
    """
    with tarfile.open(fileobj=file, mode="r|", bufsize=_CHUNK, errorlevel=2) as archive:  # type: ignore[call-overload]
        total = 0
        for member in archive:
            archive.members = []  # it would keep every one
            total += len(member.linkname.encode(errors="surrogateescape")) if member.issym() else member.size
    return total

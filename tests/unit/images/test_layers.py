"""Reading layers through."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from linkspan.images.layers import measure
from linkspan.model.errors import InvalidError
from tests.support.images import Entry, digest, layer

DATA = layer(Entry("a/"), Entry("a/b", b"x" * 5000), Entry("c", b"y"), Entry("d", link="c"), Entry("e", hard="c"))


def plain(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("pack", [plain, gzip.compress, bz2.compress, lzma.compress])
def test_digest_and_size_are_those_of_the_archive_inside(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "layer"
    path.write_bytes(pack(DATA))
    found = measure(path)
    assert (found.diff_id, found.size) == (digest(DATA), 5002)


def test_what_stands_behind_the_end_of_an_archive_counts(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(DATA + bytes(3 << 20))
    assert measure(path).diff_id == digest(DATA + bytes(3 << 20))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_layer_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(DATA)
    path = tmp_path / "layer"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InvalidError, match="a layer cannot be read"):
        measure(path)


def test_a_file_that_ends_inside_a_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(DATA[:3000])
    with pytest.raises(InvalidError, match="a layer cannot be read"):
        measure(path)


def test_what_nothing_here_decompresses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 100)
    with pytest.raises(InvalidError, match="compressed with zstd"):
        measure(path)

"""Tar streams of directories, and back, with what a hostile archive or container may try."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkspan.containers.packing import Manner, pack, pack_layer, unpack
from linkspan.kernel.native import open_inside
from linkspan.model.errors import InvalidError

LOOK = os.O_PATH | os.O_DIRECTORY


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root directory with a place to unpack in, and something outside that nobody may touch."""
    (tmp_path / "root/place").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("kept")
    fd = os.open(tmp_path / "root", LOOK)
    yield fd
    os.close(fd)
    assert (tmp_path / "outside/kept").read_text() == "kept"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["kept"]


def packed(directory: Path, name: str = "", shown: str = "") -> dict[str, tarfile.TarInfo]:
    stream = io.BytesIO()
    fd = os.open(directory, LOOK)
    try:
        pack(fd, name, shown, stream)
    finally:
        os.close(fd)
    return {info.name: info for info in tarfile.open(fileobj=io.BytesIO(stream.getvalue()))}


def archive(*members: tuple[str, bytes | str | None]) -> io.BytesIO:
    """Files (bytes), symbolic links (text) and directories (None)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o640, 1000
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o750
                tar.addfile(info)
    return io.BytesIO(stream.getvalue())


def put(root: int, *members: tuple[str, bytes | str | None], below: str = "/place", keep_kinds: bool = False) -> None:
    owner = (os.getuid(), os.getgid())
    unpack(root, open_inside, Manner(below, keep_kinds, owner), archive(*members))


def test_everything_is_packed_below_the_name_it_is_shown_as(tmp_path: Path) -> None:
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "d/f").write_text("text")
    (tmp_path / "d/f").chmod(0o4755)
    os.link(tmp_path / "d/f", tmp_path / "d/sub/hard")
    (tmp_path / "d/sub/soft").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "d/pipe")
    found = packed(tmp_path, "d", "x")
    assert sorted(found) == ["x", "x/f", "x/pipe", "x/sub", "x/sub/hard", "x/sub/soft"]
    assert (found["x/f"].size, found["x/f"].mode) == (4, 0o4755)
    assert (found["x/sub/hard"].type, found["x/sub/hard"].linkname) == (tarfile.LNKTYPE, "x/f")
    assert (found["x/sub/soft"].type, found["x/sub/soft"].linkname) == (tarfile.SYMTYPE, "/etc/passwd")
    assert found["x/pipe"].isfifo()


def test_without_a_name_to_show_a_directory_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert list(packed(tmp_path)) == ["f"]


def test_a_layer_leaves_out_what_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").touch()
    (tmp_path / "etc/new").touch()
    stream = io.BytesIO()
    fd = os.open(tmp_path, LOOK)
    pack_layer(fd, frozenset({"/etc/hosts"}), stream)
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as tar:
        assert tar.getnames() == ["etc", "etc/new"]


def test_files_are_unpacked_with_modes_and_times(root: int, tmp_path: Path) -> None:
    put(root, ("d", None), ("d/f", b"text"), ("d/l", "f"))
    place = tmp_path / "root/place/d"
    assert (place / "f").read_text() == "text" and (place / "l").readlink() == Path("f")
    assert stat.S_IMODE((place / "f").stat().st_mode) == 0o640 and stat.S_IMODE(place.stat().st_mode) == 0o750
    assert (place / "f").stat().st_mtime == 1000 and place.stat().st_mtime == 1000


def test_directories_that_are_missing_are_made(root: int, tmp_path: Path) -> None:
    put(root, ("a/b/f", b"text"))
    assert (tmp_path / "root/place/a/b/f").read_text() == "text"


@pytest.mark.parametrize("name", ["../f", "a/../../f", ".."])
def test_a_path_that_leads_out_is_refused(root: int, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidError, match="outside"):
        put(root, (name, b"bad"))
    assert not (tmp_path / "root/f").exists()


def test_a_link_in_the_archive_leads_no_further_than_the_root(root: int, tmp_path: Path) -> None:
    (tmp_path / f"root/{tmp_path}/outside").mkdir(parents=True)
    put(root, ("l", f"{tmp_path}/outside"), ("l/kept", b"bad"), ("up", "../../../.."), ("up/f", b"bad"))
    assert (tmp_path / f"root/{tmp_path}/outside/kept").read_text() == "bad"
    assert (tmp_path / "root/f").read_text() == "bad"


def test_a_link_that_is_there_already_leads_no_further_either(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/place").rmdir()
    (tmp_path / "root/place").symlink_to(tmp_path / "outside")
    with pytest.raises(FileNotFoundError):
        put(root, ("kept", b"bad"))


def test_a_file_takes_the_place_of_a_link_and_not_of_what_it_leads_to(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/place/f").symlink_to(tmp_path / "outside/kept")
    put(root, ("f", b"good"))
    assert not (tmp_path / "root/place/f").is_symlink() and (tmp_path / "root/place/f").read_text() == "good"


def test_a_hard_link_to_something_outside_is_refused(root: int, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.type, info.linkname = tarfile.LNKTYPE, "../../outside/kept"
        tar.addfile(info)
    with pytest.raises(InvalidError, match="outside"):
        unpack(root, open_inside, Manner("/place"), io.BytesIO(stream.getvalue()))


def test_a_directory_gives_way_to_a_file_unless_kinds_are_kept(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/place/d/inner").mkdir(parents=True)
    with pytest.raises(InvalidError, match='cannot overwrite directory "d" with non-directory'):
        put(root, ("d", b"text"), keep_kinds=True)
    put(root, ("d", b"text"))
    assert (tmp_path / "root/place/d").read_text() == "text"
    with pytest.raises(InvalidError, match='cannot overwrite non-directory "d" with directory'):
        put(root, ("d", None), keep_kinds=True)


@pytest.mark.parametrize("data", [b"", b"no archive at all" * 100, archive(("f", b"x" * 2000)).getvalue()[:1500]])
def test_what_is_no_archive_is_refused(root: int, data: bytes) -> None:
    with pytest.raises(InvalidError, match="cannot read the archive"):
        unpack(root, open_inside, Manner("/place", owner=(os.getuid(), os.getgid())), io.BytesIO(data))

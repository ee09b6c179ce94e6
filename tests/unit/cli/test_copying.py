"""What a container sends lands where it was asked for, and nowhere else."""

import io
import tarfile
from pathlib import Path

import pytest

from linkspan.cli.copying import _inside
from linkspan.model.errors import InvalidError


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def extracted(directory: Path, *members: tarfile.TarInfo) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for each in members:
            tar.addfile(each)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        tar.extraction_filter = lambda found, _: found
        tar.extractall(directory, _inside(tar.getmembers(), directory))


def test_files_directories_and_links_land_inside(tmp_path: Path) -> None:
    extracted(
        tmp_path,
        member("/absolute"),
        member("d", tarfile.DIRTYPE),
        member("d/f"),
        member("h", tarfile.LNKTYPE, "d/f"),
        member("s", tarfile.SYMTYPE, "/etc/hostname"),
    )
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["absolute", "d", "d/f", "h", "s"]


@pytest.mark.parametrize(
    "members",
    [
        [member("../f")],
        [member("s", tarfile.SYMTYPE, ".."), member("s/f")],
        [member("h", tarfile.LNKTYPE, "../outside")],
    ],
)
def test_nothing_lands_outside(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "outside").write_text("kept")
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(InvalidError, match="would land outside"):
        extracted(inside, *members)
    assert {path.name for path in tmp_path.iterdir()} == {"inside", "outside"}

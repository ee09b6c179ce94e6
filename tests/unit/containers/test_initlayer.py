"""What is in every root file system."""

from pathlib import Path

import pytest

from linkspan.containers.differing import differences, untouched
from linkspan.containers.initlayer import PATHS, make_init_layer


def test_an_empty_root_file_system_has_all_of_it_and_no_change(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    lower.mkdir()
    make_init_layer(upper)
    assert {f"/{path.relative_to(upper)}" for path in upper.rglob("*")} == PATHS
    assert str((upper / "etc/mtab").readlink()) == "/proc/mounts"
    assert differences(upper, lower) == [] and untouched(upper, lower) == PATHS


@pytest.mark.parametrize("name", ["etc/hosts", "etc/mtab", ".dockerenv"])
def test_what_is_there_stays(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("theirs")
    make_init_layer(tmp_path)
    assert place.read_text() == "theirs"


def test_a_link_in_the_way_leads_nowhere_outside(tmp_path: Path) -> None:
    outside, rootfs = tmp_path / "outside", tmp_path / "rootfs"
    outside.mkdir()
    rootfs.mkdir()
    (rootfs / "etc").symlink_to(outside)
    (rootfs / ".dockerenv").symlink_to(outside / "file")
    make_init_layer(rootfs)
    assert list(outside.iterdir()) == []
    assert (rootfs / str(outside).lstrip("/") / "hosts").is_file()

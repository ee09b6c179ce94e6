"""What a writable layer says about changes."""

from pathlib import Path

import pytest

from linkspan.containers.differing import differences
from linkspan.model.files import ChangeKind

LETTERS = {ChangeKind.MODIFIED: "C", ChangeKind.ADDED: "A", ChangeKind.DELETED: "D"}


def shown(upper: Path, lower: Path) -> list[str]:
    return [f"{LETTERS[change.kind]} {change.path}" for change in differences(upper, lower)]


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (upper / "etc").mkdir(parents=True)
    (lower / "etc").mkdir(parents=True)
    (lower / "etc/old").write_text("old")
    return upper, lower


def test_files_are_added_and_modified_with_their_directories(layers: tuple[Path, Path]) -> None:
    upper, lower = layers
    (upper / "etc/old").write_text("new")
    (upper / "etc/fresh").touch()
    (upper / "srv/www").mkdir(parents=True)
    assert shown(upper, lower) == ["C /etc", "A /etc/fresh", "C /etc/old", "A /srv", "A /srv/www"]


def test_a_directory_in_which_nothing_is_left_has_not_changed(layers: tuple[Path, Path]) -> None:
    assert shown(*layers) == []


def test_a_directory_with_another_mode_has_changed(layers: tuple[Path, Path]) -> None:
    (layers[0] / "etc").chmod(0o700)
    assert shown(*layers) == ["C /etc"]


def test_mount_points_of_ours_are_no_change(layers: tuple[Path, Path]) -> None:
    upper, lower = layers
    for name in ("proc", "sys", "dev"):
        (upper / name).mkdir()
    (upper / "etc/resolv.conf").touch()
    assert shown(upper, lower) == []


def test_what_a_process_wrote_there_is_one(layers: tuple[Path, Path]) -> None:
    (layers[0] / "dev").mkdir()
    (layers[0] / "dev/file").touch()
    assert shown(*layers) == ["A /dev", "A /dev/file"]


def test_a_container_that_was_never_started_has_no_changes(tmp_path: Path) -> None:
    assert shown(tmp_path / "none", tmp_path) == []

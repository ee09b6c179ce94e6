"""A watch tells of directories in which files are written, made or replaced, and of nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from linkspan.kernel.watching import Watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A watch, closed afterwards."""
    found = Watch()
    yield found
    found.close()


def test_every_directory_is_told_of_by_its_number(watch: Watch, tmp_path: Path) -> None:
    numbers = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        numbers.append(watch.add(tmp_path / name))
    assert watch.told() == frozenset()
    (tmp_path / "a" / "a name of some length").write_text("x")
    (tmp_path / "c" / "log").touch()
    assert watch.told() == frozenset({numbers[0], numbers[2]})
    (tmp_path / "c" / "log").rename(tmp_path / "b" / "log")
    assert watch.told() == frozenset({numbers[1]})
    (tmp_path / "b" / "log").unlink()
    assert watch.told() == frozenset()


def test_what_is_watched_once_is_told_once(watch: Watch, tmp_path: Path) -> None:
    number = watch.add(tmp_path, once=True)
    for _ in range(3):
        (tmp_path / "log").write_text("x")
    assert watch.told() == frozenset({number})
    (tmp_path / "log").write_text("x")
    assert watch.told() == frozenset()


def test_what_is_not_there_cannot_be_watched(watch: Watch, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watch.add(tmp_path / "nosuch")

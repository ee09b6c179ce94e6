import os
from pathlib import Path

import pytest

from linkspan.dataplane import starting
from linkspan.dataplane.starting import Place


def test_a_process_id_that_is_somebody_elses_by_now_is_nobody(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.lock.write_text(f"{os.getpid()}\n")
    assert starting.holder(place) is None


@pytest.mark.parametrize("text", ["", "x", "99999999999999999999", "-1"])
def test_a_lock_file_of_any_content_names_nobody(tmp_path: Path, text: str) -> None:
    place = Place(tmp_path)
    place.lock.write_text(text)
    assert starting.holder(place) is None


def test_there_is_nobody_to_connect_to_at_a_path_without_a_socket(tmp_path: Path) -> None:
    assert starting.connect(Place(tmp_path)) is None


def test_the_build_is_the_same_until_the_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dataplane/a.py", "dataplane/names/b.py", "model/c.py", "daemon/dataplane.py", "cli/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(starting, "__file__", str(tmp_path / "dataplane/starting.py"))
    before = starting.build_id()

    (tmp_path / "cli/d.py").write_text("x = 2\n")
    assert starting.build_id() == before
    (tmp_path / "dataplane/names/b.py").write_text("x = 2\n")
    assert starting.build_id() != before

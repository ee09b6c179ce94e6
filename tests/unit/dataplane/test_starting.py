import asyncio
import os
import socket
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


def test_a_process_that_takes_no_connections_any_more_keeps_nobody_waiting(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stuck:
        stuck.bind(str(place.socket))
        stuck.listen(0)
        first = starting.connect(place)
        assert first is not None
        assert starting.connect(place) is None
        first.close()


def test_a_full_disk_is_noticed_before_a_process_is_started(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.lock.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(starting.take_lock(place))


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

import grp
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from linkspan.daemon import supervision
from linkspan.daemon.listening import listeners
from linkspan.daemon.options import Values
from linkspan.daemon.supervision import notify, pid_file
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError, UnavailableError

NOTHING = Values({"group": grp.getgrgid(os.getegid()).gr_name})
"""The group is our own: giving a socket to the group docker, where there is one, takes a privilege."""


def test_a_socket_is_for_its_group_alone_and_goes_with_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "run" / "socket"
    with listeners([f"unix://{path}"], NOTHING):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert os.access(path.parent, os.R_OK | os.W_OK | os.X_OK)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_several_hosts_are_served(tmp_path: Path) -> None:
    with listeners([f"unix://{tmp_path}/a", f"{tmp_path}/b"], NOTHING) as found:
        assert [each.socket.getsockname() for each in found] == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "socket"))
    with listeners([f"unix://{tmp_path}/socket"], NOTHING) as found:
        assert len(found) == 1


def test_another_daemons_socket_is_left_alone(tmp_path: Path) -> None:
    with (
        listeners([f"unix://{tmp_path}/socket"], NOTHING),
        pytest.raises(ConflictError, match="another daemon listens on"),
        listeners([f"unix://{tmp_path}/socket"], NOTHING),
    ):
        pass
    assert not (tmp_path / "socket").exists()


def test_a_file_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text("precious")
    with pytest.raises(ConflictError, match="is not a socket"), listeners([f"unix://{tmp_path}/socket"], NOTHING):
        pass
    assert (tmp_path / "socket").read_text() == "precious"


def test_a_group_that_was_named_has_to_exist(tmp_path: Path) -> None:
    values = Values({"group": "no-such-group"})
    with pytest.raises(NotFoundError, match="no group"), listeners([f"unix://{tmp_path}/socket"], values):
        pass
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize("host", ["http://x", "npipe://x"])
def test_other_kinds_of_hosts_are_refused(host: str) -> None:
    with pytest.raises(InvalidError, match="invalid bind address"), listeners([host], NOTHING):
        pass


def test_no_inherited_socket_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    with pytest.raises(UnavailableError, match="no socket was passed"), listeners(["fd://"], NOTHING):
        pass


def test_the_supervisor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert supervisor.recv(100) == b"READY=1"
        notify("RELOADING=1")
        assert supervisor.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_without_a_supervisor_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_supervisor_that_is_gone_keeps_nobody_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    assert "cannot be told READY=1: No such file or directory" in caplog.text


def test_the_pid_file_goes_with_the_daemon(tmp_path: Path) -> None:
    with pid_file(tmp_path / "pid"):
        assert (tmp_path / "pid").read_text() == str(os.getpid())
    assert not (tmp_path / "pid").exists()


def test_a_living_process_keeps_its_pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_PAUSE", 0.001)
    (tmp_path / "pid").write_text("1")
    with pytest.raises(ConflictError, match="process with PID 1 is still running"), pid_file(tmp_path / "pid"):
        pass
    assert (tmp_path / "pid").read_text() == "1"


@pytest.mark.parametrize("content", ["", "x", "4194305", "-1"])
def test_what_is_left_of_a_dead_daemon_is_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(content)
    with pid_file(tmp_path / "pid"):
        assert (tmp_path / "pid").read_text() == str(os.getpid())


def test_a_process_that_was_just_killed_keeps_no_pid_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)])
    (tmp_path / "pid").write_text(str(child))
    os.kill(child, signal.SIGKILL)  # and nobody asks for its exit status yet
    with pid_file(tmp_path / "pid"):
        assert (tmp_path / "pid").read_text() == str(os.getpid())
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)

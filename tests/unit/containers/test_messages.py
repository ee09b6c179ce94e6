"""What conmon and the runtime say: any bytes give a value or one error."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.containers.conmon import number, streams
from linkspan.containers.failures import RuntimeFailureError, complaint, exit_status, start_error
from linkspan.containers.runtime import find_programs
from linkspan.model.errors import InvalidError, UnavailableError

RUNC = (
    'time="2026-11-24T21:29:42Z" level=error msg="runc create failed: unable to start container process: exec: '
    '\\"nosuch\\": executable file not found in $PATH"\n'
)
MESSAGE = 'runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RUNC, MESSAGE),
        ('{"level":"error","msg":"broken","time":"x"}\n', "broken"),
        ("executable file `nosuch` not found in $PATH: No such file or directory\n", MESSAGE.partition("process: ")[2]),
        ("plain words", "plain words"),
        ("", "the runtime failed without a word"),
        ("{not json", "{not json"),
        ('level=error msg="unfinished \\"', 'level=error msg="unfinished \\"'),
    ],
)
def test_complaints_are_found_in_what_a_runtime_prints(text: str, expected: str) -> None:
    assert complaint(text) == expected


@given(st.text())
def test_any_text_is_a_complaint(text: str) -> None:
    assert complaint(text)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ('exec: "/x": permission denied', 126),
        ('exec: "/": is a directory', 126),
        ("anything else", 128),
    ],
)
def test_exit_statuses_are_dockers(message: str, status: int) -> None:
    assert exit_status(message) == status
    assert isinstance(start_error(message), UnavailableError if status == 128 else InvalidError)


def test_conmon_reports_a_number_or_a_complaint() -> None:
    assert number(b'{"data": 123}\n', "") == 123
    assert number(b'{"data": -1}\n', "", refused=False) == -1
    with pytest.raises(RuntimeFailureError, match=r"^nothing left$"):
        number(b'{"data": -1, "message": "nothing left"}\n', "")
    with pytest.raises(RuntimeFailureError, match=r"^no such option$"):
        number(b"", "no such option")


@given(st.binary())
def test_any_bytes_from_conmon_are_a_number_or_one_error(message: bytes) -> None:
    try:
        assert number(message, "") >= 0
    except RuntimeFailureError:
        return


def test_the_standard_input_stays_open_only_when_asked() -> None:
    assert streams(tty=False, stdin=False, stay_open=True) == []
    assert streams(tty=True, stdin=True, stay_open=False) == ["--terminal", "--stdin"]
    assert streams(tty=False, stdin=True, stay_open=True) == ["--stdin", "--leave-stdin-open"]


def test_the_runtime_is_chosen_by_what_works(tmp_path: Path) -> None:
    for name in ("conmon", "runc", "crun"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    path = str(tmp_path)
    assert find_programs(unified=True, path=path).runtime.endswith("/crun")
    assert find_programs(unified=False, path=path).runtime.endswith("/runc")
    assert find_programs(unified=True, wanted="runc", path=path).runtime.endswith("/runc")
    (tmp_path / "runc").unlink()
    with pytest.raises(UnavailableError) as caught:
        find_programs(unified=False, path=path)
    assert caught.value.hint == "install the package runc"
    (tmp_path / "conmon").unlink()
    with pytest.raises(UnavailableError) as caught:
        find_programs(unified=True, path=path)
    assert caught.value.hint == "install the package conmon"

"""What conmon and the runtime say, and what is written in a log: any bytes give a value or one error."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.containers.conmon import number, streams
from linkspan.containers.failures import RuntimeFailureError, complaint, exit_status, start_error
from linkspan.containers.logs import Selection, entries, parse
from linkspan.containers.runtime import find_programs
from linkspan.model.containers import LogEntry
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


def test_a_line_of_a_log_has_a_time_a_stream_and_a_text() -> None:
    full = parse(b"2026-11-24T21:29:57.762059718+01:00 stderr F a b  c")
    assert full == LogEntry(2, datetime(2026, 11, 24, 20, 29, 57, 762059, tzinfo=UTC), b"a b  c\n")
    piece = parse(b"2026-11-24T21:29:57.762059718+00:00 stdout P \xff")
    assert piece is not None and piece.data == b"\xff" and piece.stream == 1


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"2026-11-24T21:29:57+00:00 stdin F x", b"x stdout F x", b"2026-11-24T21:29:57 stdout F x"],
)
def test_what_is_not_a_line_is_left_out(line: bytes) -> None:
    assert parse(line) is None


@given(st.binary())
def test_any_bytes_are_a_line_or_none(line: bytes) -> None:
    entry = parse(line)
    assert entry is None or entry.time.tzinfo is UTC


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(alphabet="ab \t")), max_size=20),
    st.integers(0, 25),
)
def test_a_log_gives_back_what_was_written(lines: list[tuple[str, str]], tail: int) -> None:
    """Whole lines come back in their order; of a tail, the last."""
    written = b"".join(f"2026-11-24T21:29:57.0+00:00 {stream} F {text}\n".encode() for stream, text in lines)
    with TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        log.write_bytes(written)
        expected = [f"{text}\n".encode() for _, text in lines]
        assert asyncio.run(_read(log, None)) == expected
        assert asyncio.run(_read(log, tail)) == expected[len(expected) - min(tail, len(expected)) :]


async def _read(path: Path, tail: int | None) -> list[bytes]:
    return [entry.data async for entry in entries(path, Selection(), tail, None)]


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"2026-11-24T21:29:57.0+00:00 stdout F one\n2026-11-24T21:29:57.0+00:00 stdout F tw")
    assert asyncio.run(_read(log, None)) == [b"one\n"]
    assert asyncio.run(_read(tmp_path / "absent", None)) == []


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

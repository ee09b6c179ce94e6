"""A log comes back as it was written, in any portions, selected by stream, time and number."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.containers.layout import Places
from linkspan.containers.logfile import LONGEST_RECORD, Decoder, Selection, stamp
from linkspan.containers.logfiles import LogFiles, beginning_of_tail
from linkspan.containers.logs import chunks

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Piece: TypeAlias = tuple[int, str, bool]
"""Stream, text, and whether the line ends with it."""

ALL = Selection()
PIECES = st.lists(st.tuples(st.integers(1, 2), st.text(alphabet="ab \t\r"), st.booleans()), max_size=20)


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def record(second: int, stream: int, text: str, *, full: bool = True) -> bytes:
    name, tag = ("stdout", "stderr")[stream - 1], "F" if full else "P"
    return stamp(at(second)) + f"+00:00 {name} {tag} {text}\n".encode()


def written(pieces: list[Piece]) -> list[bytes]:
    return [record(number, stream, text, full=full) for number, (stream, text, full) in enumerate(pieces)]


def decoded(data: bytes, selection: Selection = ALL, portion: int = 1 << 20) -> list[tuple[int, bytes]]:
    decoder = Decoder(selection)
    portions = [data[start : start + portion] for start in range(0, len(data), portion)]
    return [(chunk.stream, line) for each in portions for chunk in decoder.feed(each) for line in chunk.lines]


@given(PIECES, st.integers(1, 200))
def test_what_was_written_comes_back_in_order(pieces: list[Piece], portion: int) -> None:
    expected = [(stream, text.encode() + b"\n" * full) for stream, text, full in pieces]
    assert decoded(b"".join(written(pieces)), portion=portion) == expected


@given(PIECES, st.integers(0, 19), st.integers(0, 19))
def test_records_are_selected_by_stream_and_time(pieces: list[Piece], first: int, last: int) -> None:
    selection = Selection(stderr=False, since=at(first), until=at(last))
    expected = [
        (stream, text.encode() + b"\n" * full)
        for second, (stream, text, full) in enumerate(pieces)
        if stream == 1 and first <= second <= last
    ]
    assert decoded(b"".join(written(pieces)), selection) == expected


def last_pieces(pieces: list[Piece], wanted: set[int]) -> list[int]:
    """Which of the wanted streams' pieces are the last of their lines; a line may not have ended yet."""
    unfinished = {stream: number for number, (stream, _, _) in enumerate(pieces)}
    return [n for n, (stream, _, full) in enumerate(pieces) if stream in wanted and (full or unfinished[stream] == n)]


@given(PIECES, st.integers(0, 25), st.booleans())
def test_a_tail_begins_with_the_first_piece_of_its_first_line(pieces: list[Piece], count: int, stderr: bool) -> None:
    ends = last_pieces(pieces, {1, 2} if stderr else {1})
    first = 0 if count >= len(ends) else ends[len(ends) - count - 1] + 1
    records, selection = written(pieces), Selection(stderr=stderr)
    start, wanting = beginning_of_tail(io.BytesIO(b"".join(records)), selection, count)
    assert wanting == max(0, count - len(ends))
    assert decoded(b"".join(records)[start:], selection) == decoded(b"".join(records[first:]), selection)


def test_a_time_goes_in_front_of_each_line_and_not_of_each_piece() -> None:
    data = record(0, 1, "long", full=False) + record(1, 2, "error") + record(2, 1, " line") + record(3, 1, "next")
    assert decoded(data, Selection(timestamps=True)) == [
        (1, b"2026-11-24T12:00:00.000000000Z long"),
        (2, b"2026-11-24T12:00:01.000000000Z error\n"),
        (1, b" line\n"),
        (1, b"2026-11-24T12:00:03.000000000Z next\n"),
    ]


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"2026-11-24T21:29:57+00:00 stdin F x", b"x stdout F x", b"2026-11-24T21:29:57 stdout F x"],
)
def test_what_is_no_record_is_left_out(line: bytes) -> None:
    assert decoded(record(0, 1, "a") + line + b"\n" + record(1, 1, "b")) == [(1, b"a\n"), (1, b"b\n")]


@given(st.binary(), st.sampled_from([Selection(), Selection(since=NOON, until=NOON, timestamps=True)]))
def test_any_bytes_are_read(data: bytes, selection: Selection) -> None:
    for _, line in decoded(data + b"\n", selection):
        assert line


def test_a_line_without_end_takes_no_memory() -> None:
    decoder = Decoder(Selection())
    list(decoder.feed(b"x" * (LONGEST_RECORD + 1)))
    assert [chunk.lines for chunk in decoder.feed(record(0, 1, "a"))] == [[b"a\n"]]


def test_reading_ends_where_the_wanted_times_do() -> None:
    decoder = Decoder(Selection(until=at(0)))
    assert [chunk.lines for chunk in decoder.feed(record(0, 1, "a") + record(1, 1, "b"))] == [[b"a\n"]]
    assert decoder.complete


async def lines_of(data: Path, tail: int | None = None) -> list[bytes]:
    with LogFiles(Places(data, data)) as files:
        return [line async for chunk in chunks(files, Selection(), tail) for line in chunk.lines]


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(record(0, 1, "one") + record(1, 1, "tw")[:-1])
    assert asyncio.run(lines_of(tmp_path)) == [b"one\n"]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert asyncio.run(lines_of(tmp_path / "absent")) == []

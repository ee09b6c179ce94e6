"""Whatever conmon does between two looks, every file of a log is found, in order, and only what is too much goes."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linkspan.containers import logfiles
from linkspan.containers.layout import Places
from linkspan.containers.logfile import Selection
from linkspan.containers.logfiles import LogFiles, Trail, cut, retained, written
from linkspan.containers.logs import chunks
from linkspan.containers.rotating import LONGEST, SHORTEST, next_pause
from linkspan.model.logdrivers import Rotation

MANY = Rotation(1000, 100)
TIME = "2026-11-24T12:00:00.000000000+00:00"


class Writer:
    """conmon, as far as its log is concerned."""

    def __init__(self, data: Path) -> None:
        self.places = Places(data, data)
        self.count = 0
        self.places.log.touch()

    def write(self, *, tag: str = "F") -> None:
        """One more line, or piece of one."""
        self.count += 1
        with self.places.log.open("a") as file:
            file.write(f"{TIME} stdout {tag} {self.count}\n")

    def reopen(self) -> None:
        """What it does when it is told to, and when it has written enough."""
        with self.places.spare_log.open("w"):
            pass
        self.places.spare_log.rename(self.places.log)


def numbered(files: LogFiles, tail: int | None = None) -> list[int]:
    return [int(line) for line in lines(files, tail)]


def lines(files: LogFiles, tail: int | None = None) -> list[bytes]:
    async def read() -> list[bytes]:
        with files:
            return [line for chunk in [each async for each in chunks(files, Selection(), tail)] for line in chunk.lines]

    return asyncio.run(read())


def look(trail: Trail, *readers: LogFiles) -> list[int]:
    """What is done at each look at a log."""
    begun = trail.begun()
    for number in begun:
        for reader in readers:
            reader.add(number, trail.places.numbered_log(number))
    trail.lay_out()
    return begun


STEPS = st.lists(st.sampled_from(["write", "reopen", "look", "follow", "die"]), max_size=30)


@given(steps=STEPS)
@example(steps=["reopen", "write", "reopen", "follow", "look"])
def test_no_line_is_lost_or_repeated_unless_two_files_are_begun_between_looks(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    writer = Writer(tmp_path_factory.mktemp("log"))
    trail = Trail(writer.places, MANY)
    look(trail)
    follower = LogFiles(writer.places)
    begun = 0
    for step in steps:
        if step == "write":
            writer.write()
        elif step == "reopen" and begun < 2:
            writer.reopen()
            begun += 1
        elif step == "look":
            look(trail, follower)
            begun = 0
        elif step == "follow":
            with follower:
                follower = LogFiles(writer.places)
        elif step == "die":  # and come again
            trail = Trail(writer.places, MANY)
            look(trail)
            with follower:
                follower = LogFiles(writer.places)
            begun = 0
    expected = list(range(1, writer.count + 1))
    assert numbered(LogFiles(writer.places)) == expected
    look(trail, follower)
    assert numbered(LogFiles(writer.places)) == expected
    assert numbered(follower) == expected


@given(sizes=st.lists(st.integers(0, 5), max_size=6), count=st.integers(0, 30))
def test_a_tail_begins_in_whichever_file_has_it(
    sizes: list[int], count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    writer = Writer(tmp_path_factory.mktemp("log"))
    trail = Trail(writer.places, MANY)
    look(trail)
    for size in sizes:
        for _ in range(size):
            writer.write()
        writer.reopen()
        look(trail)
    total = sum(sizes)
    assert numbered(LogFiles(writer.places), count) == list(range(max(0, total - count) + 1, total + 1))


def test_a_line_in_pieces_goes_on_in_the_next_file(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, MANY)
    look(trail)
    writer.write(tag="P")
    writer.reopen()
    writer.write()
    assert lines(LogFiles(writer.places)) == [b"1", b"2\n"]


def test_the_rest_of_a_line_is_left_out_by_who_cannot_have_its_beginning(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, Rotation(100, 1))
    look(trail)
    writer.write(tag="P")
    follower = LogFiles(writer.places)
    writer.reopen()
    look(trail, follower)
    trail.prune()
    for tag in "PFF":
        writer.write(tag=tag)
    trail.mark_torn()
    assert lines(LogFiles(writer.places)) == [b"4\n"]
    assert lines(follower) == [b"1", b"2", b"3\n", b"4\n"]


def test_a_cut_tells_which_lines_it_tore(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for tag in "FPF":
        writer.write(tag=tag)
    size = writer.places.log.stat().st_size
    assert cut(writer.places.log, size // 3) == {b"stdout"}
    assert cut(writer.places.log, 0) == frozenset()


def test_half_a_record_at_the_end_of_a_file_does_not_spoil_the_next(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, MANY)
    look(trail)
    with writer.places.log.open("a") as file:
        file.write(f"{TIME} stdout F ha")
    writer.reopen()
    writer.write()
    assert lines(LogFiles(writer.places)) == [b"1\n"]


def test_a_log_that_was_replaced_by_somebody_else_is_gone_on_with(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, MANY)
    look(trail)
    writer.write()
    (tmp_path / "other").touch()
    (tmp_path / "other").rename(writer.places.log)
    writer.write()
    look(trail)
    writer.reopen()
    writer.write()
    look(trail)
    assert numbered(LogFiles(writer.places)) == [1, 2, 3]


def test_after_the_end_only_what_was_written_is_left(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, MANY)
    look(trail)
    writer.write()
    trail.conclude(begin=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]


def test_only_as_many_files_stay_as_are_wanted(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, Rotation(100, 3))
    for _ in range(5):
        look(trail)
        trail.prune()
        writer.write()
        writer.reopen()
    look(trail)
    trail.prune()
    assert written(writer.places) == [4, 5, 6] and numbered(LogFiles(writer.places)) == [4, 5]


def test_who_reads_slowly_loses_only_what_is_far_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    trail = Trail(writer.places, Rotation(1, 1))
    look(trail)
    writer.write()
    follower = LogFiles(writer.places)
    size = writer.places.log.stat().st_size
    monkeypatch.setattr(logfiles, "HELD", 2 * size)
    for _ in range(6):
        writer.reopen()
        writer.write()
        look(trail, follower)
        trail.prune()
    assert numbered(follower) == [1, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([], []),
        ([1000, 1000], [1000, 1000]),
        ([1000, 1000, 1000], [1000, 1000]),
        ([1100, 1100], [1100, 1100]),
        ([1000, 2000], [2000]),
        ([1000, 2900], [2900]),
        ([1000, 9000], [2000]),
        ([9000, 500], [1500, 500]),
        ([0, 0], [0, 0]),
    ],
)
def test_what_stays_is_limited_by_number_and_by_size(sizes: list[int], kept: list[int]) -> None:
    assert retained(sizes, Rotation(1000, 3)) == kept


def test_one_file_means_that_no_other_stays() -> None:
    assert retained([10, 10], Rotation(1000, 1)) == []


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=20), keep=st.integers(0, 400))
def test_a_cut_leaves_whole_records_of_the_end(
    sizes: list[int], keep: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "log.1"
    records = [b"x" * size + b"\n" for size in sizes]
    path.write_bytes(b"".join(records))
    cut(path, keep)
    left = path.read_bytes()
    fitting = [b"".join(records[at:]) for at in range(len(records) + 1)]
    assert left == max((each for each in fitting if len(each) <= keep), key=len)


def test_looks_are_frequent_where_a_file_is_nearly_full_and_rare_where_it_is_not() -> None:
    assert next_pause(SHORTEST, 1, 10**6) == 2 * SHORTEST
    assert next_pause(LONGEST, 1, 10**6) == LONGEST
    assert next_pause(0.04, 1000, 1000) == 0.02
    assert next_pause(LONGEST, 10**6, 1) == SHORTEST

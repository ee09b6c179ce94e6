"""The files of a log on disk: in which order they are read, and which of them stay.

conmon writes to `log`. To begin a new file it opens `log.tmp`, made if need be, and renames that to `log`: what `log`
was before has lost its name. So where a log is rotated, every file has a second name before it is written to: a spare
file is laid out beforehand, as `log.tmp` and under the next number, `log.8` after `log.7`. A number is kept until the
file is deleted. Whoever dies in whatever moment, and whenever conmon begins a file by itself, all files are there, and
a reader knows what comes next.
"""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

from linkspan.containers.layout import Places
from linkspan.containers.logfile import LONGEST_RECORD, Selection, first_tag, torn
from linkspan.model.logdrivers import Rotation

HELD = 128 * 1024 * 1024
"""Bytes of deleted files that are kept for a reader that is slower than the writer; the oldest are lost to it then."""

UNWATCHED = 32 * 1024 * 1024
"""Bytes that conmon may write at least before it replaces a file by itself: no daemon that is there comes too late."""

_PORTION = 256 * 1024
_END = 64 * 1024
"""Bytes in which the last, or first, record of a stream is looked for."""
_LARGEST_CUT = 64 * 1024 * 1024
_Identity: TypeAlias = tuple[int, int]
_NUMBERED = re.compile(r"log\.([0-9]{1,18})")


def _numbers(places: Places) -> list[int]:
    found = (_NUMBERED.fullmatch(name) for name in os.listdir(places.data))  # noqa: PTH208 - names alone
    return sorted(int(match[1]) for match in found if match is not None)


def written(places: Places) -> list[int]:
    """The numbers of the files that have been begun, the oldest first; `log` may be one more, which has none yet."""
    newest, spare = _identity(places.log), _identity(places.spare_log)
    found: list[int] = []
    for number in _numbers(places):
        identity = _identity(places.numbered_log(number))
        if identity is None or identity == spare:
            continue
        found.append(number)
        if identity == newest:
            break
    return found


class LogFiles:
    """The files of a log, open and in order, for one reader; what is written meanwhile can be added."""

    def __init__(self, places: Places) -> None:
        self._files: deque[BinaryIO] = deque()
        self._number = 0
        with suppress(FileNotFoundError):
            for self._number in written(places):
                self._open(places.numbered_log(self._number))
            self._open(places.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self._files:
            self._files.popleft().close()

    def add(self, number: int, path: Path) -> None:
        """The file with that number has been begun."""
        if number <= self._number:
            return
        self._number = number
        self._open(path)
        late = deque(file for file in list(self._files)[1:] if os.fstat(file.fileno()).st_nlink == 0)
        while sum(os.fstat(file.fileno()).st_size for file in late) > HELD:
            self._files.remove(lost := late.popleft())
            lost.close()

    def _open(self, path: Path) -> None:
        """A file, unless it is the newest one under another name, or gone."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        if self._files and os.path.samestat(os.fstat(self._files[-1].fileno()), os.fstat(file.fileno())):
            file.close()
            return
        self._files.append(file)

    @property
    def current(self) -> BinaryIO | None:
        """What is to be read now; None when there is no log."""
        return self._files[0] if self._files else None

    @property
    def more(self) -> bool:
        """Whether a newer file has been begun: nothing is written to the current one any more."""
        return len(self._files) > 1

    def step(self) -> None:
        """On to the next file."""
        self._files.popleft().close()

    def to_tail(self, selection: Selection, count: int) -> None:
        """Go to where the last `count` selected lines begin, in whichever file that is."""
        for at in range(len(self._files) - 1, -1, -1):
            start, count = beginning_of_tail(self._files[at], selection, count)
            self._files[at].seek(start)
            if count == 0:
                for _ in range(at):
                    self.step()
                return


def beginning_of_tail(file: BinaryIO, selection: Selection, count: int) -> tuple[int, int]:
    """Where the last `count` selected lines of a file begin, and how many are wanting.

    A line is all its pieces, and one that has not ended yet counts. Reads backwards: it costs what the tail does.
    """
    found = file.seek(0, os.SEEK_END)
    met: set[bytes] = set()
    for start, record in _backwards(file, found):
        wanted = selection.wanted(record) if record.endswith(b"\n") else None
        if wanted is None:
            continue
        stream, tag = wanted
        if tag == b"F" or stream not in met:  # else it is a piece of the line that comes after it
            if count == 0:
                break
            count -= 1
            met.add(stream)
        found = start
    return found, count


def _backwards(file: BinaryIO, position: int) -> Iterator[tuple[int, bytes]]:
    """Where each line begins and the line, the last one first."""
    rest = b""
    while position > 0:
        size = min(_PORTION, position)
        position -= size
        file.seek(position)
        data = file.read(size) + rest
        end = len(data)
        while (start := data.rfind(b"\n", 0, end - 1) + 1) > 0:
            yield position + start, data[start:end]
            end = start
        rest = data[:end]
    if rest:
        yield 0, rest


class Trail:
    """The files of one log that is rotated, for the one who rotates it."""

    def __init__(self, places: Places, rotation: Rotation) -> None:
        self.places = places
        self._rotation = rotation
        self._numbers = written(places)
        last = self._numbers[-1] if self._numbers else 0
        self._newest = _identity(places.numbered_log(last))
        self._spare: _Identity | None = None
        self._torn: frozenset[bytes] = frozenset()

    def begun(self) -> list[int]:
        """The numbers of the files that conmon has begun since the last time; the file it writes to is the last."""
        newest = _identity(self.places.log)
        if newest in (None, self._newest):
            return []
        found: list[int] = []
        if self._spare is not None and _identity(self.places.spare_log) != self._spare:  # it has been taken
            found.append(self._next)
            self._numbers.append(self._next)
        elif self._spare not in (None, newest):  # somebody else has replaced the log: the spare one comes later
            self.places.numbered_log(self._next).unlink(missing_ok=True)
        if newest != self._spare:
            with suppress(FileNotFoundError):
                os.link(self.places.log, self.places.numbered_log(self._next))
                found.append(self._next)
                self._numbers.append(self._next)
        self._spare = None
        self._newest = _identity(self.places.numbered_log(self._numbers[-1]))
        return found

    def lay_out(self) -> None:
        """See that there is a spare file, with a number, which conmon begins next."""
        if self._spare is not None:
            return
        spare, name = self.places.spare_log, self.places.numbered_log(self._next)
        spare.touch(0o600)
        try:
            os.link(spare, name)
        except FileNotFoundError:  # conmon has just taken it
            return
        except FileExistsError:  # from before we died
            if _identity(spare) != _identity(name):
                if _identity(name) != _identity(self.places.log):  # or conmon has just taken that one
                    name.unlink(missing_ok=True)
                return
        self._spare = _identity(name)

    def conclude(self, *, begin: bool) -> None:
        """After the end of conmon: no spare file from now on; `begin` makes it the newest one."""
        if begin:
            self.places.spare_log.rename(self.places.log)
        elif self._spare is not None:
            self.places.numbered_log(self._next).unlink(missing_ok=True)
            self._spare = None
        self.places.spare_log.unlink(missing_ok=True)

    @property
    def _next(self) -> int:
        return self._numbers[-1] + 1 if self._numbers else 1

    def prune(self) -> None:
        """Delete what is too much, by number and by size: of a file that is far too large, its end stays.

        A line whose beginning goes is marked, see `logfile.py`.
        """
        sizes = [_size(self.places.numbered_log(number)) for number in self._numbers[:-1]]
        kept = retained(sizes, self._rotation)
        gone = len(sizes) - len(kept)
        if gone:
            self._torn = torn(_end(self.places.numbered_log(self._numbers[gone - 1])))
        for number in self._numbers[:gone]:
            self.places.numbered_log(number).unlink(missing_ok=True)
        del self._numbers[:gone]
        for number, size, stays in zip(self._numbers, sizes[gone:], kept, strict=False):
            if stays < size:
                self._torn = cut(self.places.numbered_log(number), stays)
        self.mark_torn()

    def mark_torn(self) -> None:
        """Mark the rest of a line that lacks its beginning, as soon as it is there."""
        if self._torn:
            with suppress(FileNotFoundError):
                self._torn = _mark(self.places.numbered_log(self._numbers[0]), self._torn)


def unwatched_limit(rotation: Rotation) -> int:
    """Bytes after which conmon replaces a file by itself."""
    return max(rotation.size * rotation.files, UNWATCHED)


def retained(sizes: Sequence[int], rotation: Rotation) -> list[int]:
    """How much stays of each of the newest of some files, the oldest first; `sizes` are without the one being written.

    A file may have grown far beyond its size: while nobody watched, or because it was written faster than anyone looks.
    A little more is not worth copying.
    """
    kept: list[int] = []
    room = rotation.kept
    for size in reversed(sizes):
        if len(kept) == rotation.files - 1 or room <= 0:
            break
        too_much = size - room
        kept.append(room if too_much > rotation.size and room <= _LARGEST_CUT else size)
        room -= size
    return kept[::-1]


def cut(path: Path, size: int) -> frozenset[bytes]:
    """Leave the whole records in the last `size` bytes of a file; returns the streams whose lines were torn by that.

    Who has the file open reads on in the old one.
    """
    new = path.with_name(f"{path.name}.cut")
    with path.open("rb") as source, new.open("wb") as target:
        new.chmod(0o600)
        start = source.seek(max(0, source.seek(0, os.SEEK_END) - size))
        if start:
            source.seek(start - 1)
            start += len(source.readline(LONGEST_RECORD)) - 1
        source.seek(max(0, start - _END))
        before = source.read(min(start, _END))
        while copied := os.copy_file_range(source.fileno(), target.fileno(), _LARGEST_CUT, start):
            start += copied
    new.rename(path)
    return torn(before)


def _end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
            return file.read()
    except FileNotFoundError:
        return b""


def _mark(path: Path, streams: Iterable[bytes]) -> frozenset[bytes]:
    """Mark the first record of streams as the rest of a line; those that have none yet are returned."""
    with path.open("r+b") as file:
        beginning = file.read(_END)
        missing = set()
        for stream in streams:
            at = first_tag(beginning, stream)
            if at is None:
                missing.add(stream)
            else:
                os.pwrite(file.fileno(), beginning[at : at + 1].lower(), at)
    return frozenset(missing) if len(beginning) < _END else frozenset()


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

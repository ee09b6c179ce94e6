"""The log of a container as conmon writes it, decoded; pure, and fast enough for hundreds of megabytes.

Each record is a line `TIME STREAM TAG TEXT`: the time by RFC 3339 with nanoseconds, in UTC (conmon runs with TZ=UTC, so
times compare as text), the stream `stdout` or `stderr`, the tag `F` for a full line or `P` for a piece whose line goes
on in a later record. In lower case, which is our mark, the tag says that the line began in a file that is deleted: who
has not read that file leaves the rest of the line out.

Records are taken by the run: one regular expression matches all neighbours of one stream, one more takes their prefixes
away. Judging each record by itself costs ten times as much. No quantifier is possessive: Python before 3.11.5 matches
those of groups wrongly (gh-106052), and Debian 12 has 3.11.2.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from linkspan.model.containers import LogChunk

LONGEST_RECORD = 1024 * 1024
"""conmon writes pieces of at most 8 KiB; a longer line is damage, and is left out."""

_TIME = rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)"
_STREAMS = {b"stdout": 1, b"stderr": 2}
_RECORD = re.compile(rb"(" + _TIME + rb") (stdout|stderr) ([FPfp]) ([^\n]*)\n")
_HEAD = re.compile(rb"^" + _TIME + rb" (stdout|stderr) ([FPfp]) ", re.MULTILINE)
_RUNS = {name: re.compile(rb"(?:" + _TIME + rb" " + name + rb" F [^\n]*\n)+") for name in _STREAMS}
_PREFIX = re.compile(rb"^" + _TIME + rb" std(?:out|err) F ", re.MULTILINE)
_STAMPED = re.compile(rb"^([^ Z+\n]+)[^ \n]* std(?:out|err) F ", re.MULTILINE)


def torn(records: bytes) -> frozenset[bytes]:
    """The streams whose last record does not end a line."""
    last = {found[1]: found[2] for found in _HEAD.finditer(records)}
    return frozenset(stream for stream, tag in last.items() if tag in b"Pp")


def first_tag(records: bytes, stream: bytes) -> int | None:
    """Where the tag of the first record of a stream is."""
    return next((found.start(2) for found in _HEAD.finditer(records) if found[1] == stream), None)


def stamp(moment: datetime) -> bytes:
    """A time as records begin with it, without the zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000").encode()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are wanted, and whether their time is put in front of each line (with `Z` for the zone)."""

    stdout: bool = True
    stderr: bool = True
    since: datetime | None = None
    until: datetime | None = None
    timestamps: bool = False

    def takes(self, stream: bytes) -> bool:
        """Whether a stream is one of those wanted."""
        return self.stdout if stream == b"stdout" else self.stderr

    def window(self, records: bytes) -> tuple[int, int]:
        """Where in whole records, which are in the order of time, the wanted times begin and end."""
        start = 0 if self.since is None else _first(records, stamp(self.since), after=False)
        return start, len(records) if self.until is None else _first(records, stamp(self.until), after=True)

    def wanted(self, record: bytes) -> tuple[bytes, bytes] | None:
        """The stream and the tag of one record (with its end); None when it is not wanted."""
        found = _RECORD.fullmatch(record)
        if found is None or found[3].islower() or not self.takes(found[2]):
            return None
        start, end = self.window(record)
        return (found[2], found[3]) if start == 0 and end > 0 else None


def _first(records: bytes, bound: bytes, *, after: bool) -> int:
    """Where the first record begins that is not before `bound` (`after`: that is after it)."""
    last = records.rfind(b"\n", 0, -1) + 1
    if _before(records[last : last + 48], bound, after=after):
        return len(records)
    position = 0
    while _before(records[position : position + 48], bound, after=after):
        position = records.index(b"\n", position) + 1
    return position


def _before(record: bytes, bound: bytes, *, after: bool) -> bool:
    time = record[: len(bound)]
    return time <= bound if after else time < bound


class Decoder:
    """Turns what is read from a log, in any portions, into chunks of the selected records."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._rest = b""
        self._within: set[bytes] = set()
        self._without: set[bytes] = set()
        self.complete = False
        """Whether what comes now is too late to be wanted."""

    def feed(self, data: bytes) -> Iterator[LogChunk]:
        """The chunks of the records that are complete now."""
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:] if len(data) - end <= LONGEST_RECORD else b""
        if end:
            records = data[:end]
            start, stop = self._selection.window(records)
            self.complete = stop < len(records)
            yield from self._chunks(records[start:stop])

    def next_file(self) -> None:
        """What comes now is from another file: half a record at the end of the last one stays half."""
        self._rest = b""

    def _chunks(self, records: bytes) -> Iterator[LogChunk]:
        position = 0
        while position < len(records):
            found = _RECORD.match(records, position)
            if found is None:  # damage: on to the next line
                position = records.index(b"\n", position) + 1
                continue
            position = found.end()
            stream = found[2]
            if self._lacks_beginning(stream, found[3]):
                continue
            if found[3] != b"F" or stream in self._within:
                if self._selection.takes(stream):
                    yield LogChunk(_STREAMS[stream], [self._piece(found)])
            elif (run := _RUNS[stream].match(records, found.start())) is not None:
                position = run.end()
                if self._selection.takes(stream):
                    yield LogChunk(_STREAMS[stream], self._lines(run[0]))

    def _lacks_beginning(self, stream: bytes, tag: bytes) -> bool:
        """Whether a record belongs to a line whose beginning is deleted."""
        if tag.islower() and stream not in self._within:
            self._without.add(stream)
        if stream not in self._without:
            return False
        if tag in b"Ff":
            self._without.discard(stream)
        return True

    def _piece(self, found: re.Match[bytes]) -> bytes:
        """A part of a long line; the time belongs in front of the first."""
        time, stream, tag, text = found.groups()
        stamped = self._selection.timestamps and stream not in self._within
        if tag in b"Pp":
            self._within.add(stream)
        else:
            self._within.discard(stream)
            text += b"\n"
        return _STAMPED.sub(rb"\1Z ", time + b" stdout F ") + text if stamped else text

    def _lines(self, run: bytes) -> list[bytes]:
        text = _STAMPED.sub(rb"\1Z ", run) if self._selection.timestamps else _PREFIX.sub(b"", run)
        return [line + b"\n" for line in text[:-1].split(b"\n")]

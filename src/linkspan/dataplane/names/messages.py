"""DNS messages, as far as a name server between clients and resolvers looks into them (RFC 1035, RFC 6891).

Reading is total: any bytes give a question or the response code that says what is wrong with them. Only what every
client sends is read: one question, and at most one OPT record beside it.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from linkspan.dataplane.names.labels import LONGEST, LONGEST_LABEL

UDP_SIZE = 512
"""What fits into a datagram for a client that says nothing else (RFC 1035 §4.2.1)."""
OUR_SIZE = 4096
"""The largest datagram sent, and what OPT says of the largest that is read."""
STREAM_SIZE = 65535

QR, TC, RD, RA, AD, CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE, RCODE = 0x7800, 0x000F
IN, ANY = 1, 255
ASKED = b"\xc0\x0c"
"""The name of the question, as a pointer to it."""
DO = 0x8000
_BAD_VERSION = 1  # the upper bits of 16, in OPT
_HOP_BY_HOP = frozenset({10, 11, 12})
"""Options between neighbours only: cookies, keepalive, padding (RFC 7873, 7828, 7830)."""

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")


class Rcode(IntEnum):
    """Response codes."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5


class Type(IntEnum):
    """Types of records that something is known about."""

    A = 1
    CNAME = 5
    SOA = 6
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    OPT = 41
    IXFR = 251
    AXFR = 252
    ANY = 255


@dataclass(frozen=True, slots=True)
class Edns:
    """What a client says in OPT: the largest datagram it reads, the version, whether it wants DNSSEC records."""

    size: int
    version: int
    do: bool
    options: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `name` as it was asked, and `key` in small letters; both without the root."""

    id: int
    flags: int
    name: bytes
    key: bytes
    type: int
    cls: int
    edns: Edns | None = None

    @property
    def question(self) -> bytes:
        """As it was asked."""
        return self.name + b"\0" + _QUESTION.pack(self.type, self.cls)

    @property
    def datagram(self) -> int:
        """The largest answer that its client reads in a datagram."""
        return UDP_SIZE if self.edns is None else min(max(self.edns.size, UDP_SIZE), OUR_SIZE)

    @property
    def passed_options(self) -> bytes:
        """The options of OPT that go on to another server."""
        if self.edns is None or not self.edns.options:
            return b""
        return b"".join(option for code, option in _options(self.edns.options) if code not in _HOP_BY_HOP)


@dataclass(frozen=True, slots=True)
class Answer:
    """A record. `owner` without the root, empty for the name that was asked for."""

    type: int
    ttl: int
    data: bytes
    owner: bytes = b""

    def wire(self) -> bytes:
        """As it is sent."""
        owner = self.owner + b"\0" if self.owner else ASKED
        return owner + _RECORD.pack(self.type, IN, self.ttl, len(self.data)) + self.data


def read(data: bytes) -> Query | Rcode | None:
    """The question in a message; the code of what is wrong with it; None for what deserves no answer at all."""
    if len(data) < 12:
        return None
    identity, flags, questions, answers, authorities, others = _HEADER.unpack_from(data)
    if flags & QR:
        return None
    if flags & OPCODE:
        return Rcode.NOTIMP
    if questions != 1 or answers or authorities or others > 1:
        return Rcode.FORMERR
    end = _name_end(data)
    if end is None or len(data) < end + 5:
        return Rcode.FORMERR
    kind, cls = _QUESTION.unpack_from(data, end + 1)
    edns = _edns(data, end + 5) if others else None
    if (others and edns is None) or (not others and len(data) != end + 5):
        return Rcode.FORMERR
    name = data[12:end]
    return Query(identity, flags, name, name.lower(), kind, cls, edns)


def _name_end(data: bytes) -> int | None:
    """Where the root of the first question is. There is nothing before the question that it could point to."""
    place, size = 12, len(data)
    while place < size:
        length = data[place]
        if not length:
            return place if place - 12 <= LONGEST else None
        if length > LONGEST_LABEL:
            return None
        place += 1 + length
    return None


def _edns(data: bytes, place: int) -> Edns | None:
    """OPT, which must be all the rest of the message."""
    if len(data) < place + 11 or data[place]:
        return None
    kind, size, details, length = _RECORD.unpack_from(data, place + 1)
    options = data[place + 11 :]
    if kind != Type.OPT or len(options) != length or (options and not _options(options)):
        return None
    return Edns(size, details >> 16 & 0xFF, bool(details & DO), options)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    """The options of OPT by code, whole; none when their lengths are wrong."""
    found, place = [], 0
    while place + 4 <= len(data):
        code, length = _QUESTION.unpack_from(data, place)
        found.append((code, data[place : place + 4 + length]))
        place += 4 + length
    return found if place == len(data) else []


def refusal(data: bytes, code: Rcode) -> bytes:
    """The answer to a message of at least 12 bytes that cannot be read: its header, and what is wrong."""
    identity, flags = _QUESTION.unpack_from(data)
    return _HEADER.pack(identity, QR | flags & (OPCODE | RD) | code, 0, 0, 0, 0)


def bad_version(query: Query) -> bytes:
    """The answer to an OPT of a version that does not exist yet (RFC 6891 §6.1.3)."""
    head = _HEADER.pack(query.id, _flags(query, Rcode.NOERROR), 1, 0, 0, 1)
    return head + query.question + _opt(_BAD_VERSION << 24)


def _flags(query: Query, code: int) -> int:
    """As Docker's: recursion is available, and nothing is authoritative."""
    return QR | RA | query.flags & (RD | CD) | code


def _opt(details: int, size: int = OUR_SIZE, options: bytes = b"") -> bytes:
    return b"\0" + _RECORD.pack(Type.OPT, size, details, len(options)) + options


def reply(
    query: Query, code: Rcode, limit: int, answers: Sequence[bytes] = (), additional: Sequence[bytes] = ()
) -> bytes:
    """An answer of at most `limit` bytes. When not all answers fit, as many as do, and TC.

    Additional records that do not fit are left out without TC (RFC 2181 §9).
    """
    question = query.question
    tail = _opt(DO if query.edns.do else 0) if query.edns is not None else b""
    room = limit - 12 - len(question) - len(tail)
    answers, more = fitting(answers, room)
    additional, _ = fitting(additional, room - sum(map(len, answers)))
    flags = _flags(query, code) | (TC if more else 0)
    head = _HEADER.pack(query.id, flags, 1, len(answers), 0, len(additional) + (1 if tail else 0))
    return b"".join((head, question, *answers, *additional, tail))


def fitting(records: Iterable[bytes], room: int) -> tuple[list[bytes], bool]:
    """The first records that fit into `room` bytes, and whether there are more."""
    kept: list[bytes] = []
    for record in records:
        room -= len(record)
        if room < 0:
            return kept, True
        kept.append(record)
    return kept, False


def request(query: Query, identity: int) -> bytes:
    """The question as it is asked of another server."""
    head = _HEADER.pack(identity, query.flags & (RD | AD | CD), 1, 0, 0, 0 if query.edns is None else 1)
    if query.edns is None:
        return head + query.question
    return head + query.question + _opt(DO if query.edns.do else 0, _FORWARDED_SIZE, query.passed_options)


_FORWARDED_SIZE = 1232
"""What passes every path without fragments (DNS flag day 2020); what is larger comes by TCP."""


def answers_to(request: bytes, received: bytes) -> bool:
    """Whether a message answers this request: id and question; the case of letters may differ.

    An error may come without the question, from a server that could not read it.
    """
    if len(received) < 12 or received[:2] != request[:2] or not received[2] & 0x80:
        return False
    flags, questions = _QUESTION.unpack_from(received, 2)
    if questions == 0:
        return flags & RCODE not in (Rcode.NOERROR, Rcode.NXDOMAIN)
    end = _name_end(request)
    assert end is not None
    return questions == 1 and received[12 : end + 5].lower() == request[12 : end + 5].lower()


def adapted(query: Query, message: bytes, limit: int) -> bytes:
    """Another server's message as the answer to `query`: its id, its spelling of the name, its limit."""
    flags = _QUESTION.unpack_from(message, 2)[0] | RA
    flags = flags & ~(RD | CD) | query.flags & (RD | CD)
    if len(message) <= limit:
        return _QUESTION.pack(query.id, flags) + message[4:12] + query.name + message[12 + len(query.name) :]
    tail = _opt(DO if query.edns.do else 0) if query.edns is not None else b""
    return _HEADER.pack(query.id, flags | TC, 1, 0, 0, 1 if tail else 0) + query.question + tail


def code_of(message: bytes) -> int:
    """Its response code, without what OPT adds to it."""
    return message[3] & RCODE


def is_truncated(message: bytes) -> bool:
    """Whether there is more by TCP."""
    return bool(message[2] & (TC >> 8))


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a message of another server may be kept, seconds, and where its TTLs are."""

    seconds: int
    places: tuple[tuple[int, int], ...]


def lifetime(message: bytes) -> Lifetime | None:
    """From the TTLs of its records (RFC 2308 for negative ones: that of SOA, and none without); None: malformed."""
    _, flags, questions, *counts = _HEADER.unpack_from(message)
    found: list[tuple[int, int]] = []
    try:
        place = 12
        for _ in range(questions):
            place = _skip_name(message, place) + 4
        negative = None
        for section, count in enumerate(counts):
            for _ in range(count):
                place = _skip_name(message, place)
                kind, _, ttl, length = _RECORD.unpack_from(message, place)
                if kind != Type.OPT:
                    found.append((place + 4, ttl if ttl < 1 << 31 else 0))  # RFC 2181 §8
                place += 10 + length
                if kind == Type.SOA and section == 1:
                    negative = min(ttl, int.from_bytes(message[place - 4 : place], "big"))
        if place != len(message):
            return None
    except (struct.error, IndexError):
        return None
    shortest = min((ttl for _, ttl in found), default=0)
    if flags & RCODE or not counts[0]:
        shortest = 0 if negative is None else min(negative, shortest)
    return Lifetime(shortest, tuple(found))


def _skip_name(message: bytes, place: int) -> int:
    while length := message[place]:
        if length >= 0xC0:
            return place + 2
        if length > LONGEST_LABEL:
            raise IndexError
        place += 1 + length
    return place + 1

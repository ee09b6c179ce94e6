"""Answers of other servers, for as long as they may be kept, and a day longer for when nobody answers any more. Pure.

TTLs are counted down. Negative answers are kept as RFC 2308 says. What has expired is served only when asking has
failed (RFC 8767), with a TTL of 30 s, and then for a few seconds without asking again.
"""

import struct
from dataclasses import dataclass

from linkspan.dataplane.names.messages import Query, Rcode, code_of, is_truncated, lifetime

Key = tuple[bytes, int, int, bool | None]

STALE_TTL = 30
STALE_SECONDS = 86400
RECHECK_SECONDS = 5.0
LONGEST = 86400
LARGEST = 4096
"""Bytes of a message that is kept."""
_FLAGS = 0x0130  # RD, AD, CD: what a client may ask for differs by them
_KEPT = (Rcode.NOERROR, Rcode.NXDOMAIN)
_TTL = struct.Struct("!I")


@dataclass(slots=True)
class _Kept:
    message: bytes
    places: tuple[tuple[int, int], ...]
    since: float
    until: float
    recheck: float = 0.0

    def aged(self, now: float) -> bytes:
        """With the TTLs that are left."""
        age, message = int(now - self.since), bytearray(self.message)
        for place, ttl in self.places:
            _TTL.pack_into(message, place, max(0, ttl - age))
        return bytes(message)

    def stale(self) -> bytes:
        """With short TTLs."""
        message = bytearray(self.message)
        for place, _ in self.places:
            _TTL.pack_into(message, place, STALE_TTL)
        return bytes(message)


def key_of(query: Query) -> Key | None:
    """What makes two questions the same; None when the answer may depend on more (options of OPT)."""
    if query.passed_options:
        return None
    return query.key, query.type, query.flags & _FLAGS, None if query.edns is None else query.edns.do


class Cache:
    """At most `size` answers; the oldest goes first. `now` is of a clock that never goes back, seconds."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[Key, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: Key, message: bytes, now: float) -> None:
        """Keep an answer, unless it says that it must not be kept."""
        life = lifetime(message)
        if life is None or life.seconds <= 0 or code_of(message) not in _KEPT or is_truncated(message):
            return
        if len(message) > LARGEST:
            return
        self._kept.pop(key, None)
        if len(self._kept) >= self._size:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(message, life.places, now, now + min(life.seconds, LONGEST))

    def fresh(self, key: Key, now: float) -> bytes | None:
        """An answer that may still be used; also an expired one when asking has failed a moment ago."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now < kept.until:
            return kept.aged(now)
        return kept.stale() if now < kept.recheck else None

    def stale(self, key: Key, now: float) -> bytes | None:
        """An answer for when asking has failed."""
        kept = self._kept.get(key)
        return kept.stale() if kept is not None and now < kept.until + STALE_SECONDS else None

    def failed(self, key: Key, now: float) -> None:
        """Asking has failed: do not ask again for a moment, if there is something to serve."""
        if (kept := self._kept.get(key)) is not None and now < kept.until + STALE_SECONDS:
            kept.recheck = now + RECHECK_SECONDS

"""Names as DNS sends them: labels with their lengths, here without the empty label of the root at the end.

A name that was asked for is compared in small letters. The lengths are below 64 and so are no letters: `bytes.lower`
changes the text of the labels only.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from linkspan.model.addressing import IPAddress

LONGEST, LONGEST_LABEL = 254, 63  # RFC 1035 §2.3.4; 255 with the root
_DIGITS = b"0123456789abcdef"  # int() takes a sign, spaces and underscores besides
_V4, _V6 = b"\x07in-addr\x04arpa", b"\x03ip6\x04arpa"


def labels(text: str) -> bytes | None:
    """The labels of a name in presentation form without escapes; None when DNS cannot carry it."""
    parts = [part.encode() for part in text.removesuffix(".").split(".")]
    if not all(0 < len(part) <= LONGEST_LABEL for part in parts):
        return None
    name = b"".join(bytes((len(part),)) + part for part in parts)
    return name if len(name) <= LONGEST else None


def text(name: bytes) -> str:
    """For people."""
    starts = boundaries(name)
    return ".".join(name[start + 1 : start + 1 + name[start]].decode(errors="replace") for start in starts) or "."


def boundaries(name: bytes) -> Sequence[int]:
    """Where its labels begin."""
    starts, place = [], 0
    while place < len(name):
        starts.append(place)
        place += 1 + name[place]
    return starts


def reversed_address(name: bytes) -> IPAddress | None:
    """The address that a name of `in-addr.arpa` or `ip6.arpa` (in small letters) stands for."""
    parts = [name[start + 1 : start + 1 + name[start]] for start in boundaries(name)][-3::-1]
    try:
        if name.endswith(_V4) and len(parts) == 4:
            return IPv4Address(b".".join(parts).decode())
        if name.endswith(_V6) and len(parts) == 32 and all(len(part) == 1 and part in _DIGITS for part in parts):
            return IPv6Address(int(b"".join(parts), 16))
    except ValueError:
        pass
    return None

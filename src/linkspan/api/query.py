"""Query parameters, read as Docker reads them."""

import re
from datetime import UTC, datetime, timedelta

from linkspan.model.errors import InvalidError

_FALSE = frozenset({"", "0", "no", "false", "none"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SECONDS = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")


def truth(text: str) -> bool:
    """Anything but nothing, `0`, `no`, `false` and `none` is true."""
    return text.strip().lower() not in _FALSE


def integer(text: str, *, field: str, default: int = 0) -> int:
    """A number in decimal, in Go's words when it is none."""
    if not text:
        return default
    if not _INTEGER.fullmatch(text):
        raise InvalidError(f'strconv.Atoi: parsing "{text}": invalid syntax', field=field, value=text)
    return int(text)


def moment(text: str, *, field: str, now: datetime) -> datetime | None:
    """A time: seconds since 1970 with a fraction, a date and time as RFC 3339 writes it, or how long ago (`10m`)."""
    if not text:
        return None
    try:
        if match := _SECONDS.fullmatch(text):
            fraction = int((match[2] or "").ljust(9, "0")) // 1000
            return datetime.fromtimestamp(int(match[1]), UTC) + timedelta(microseconds=fraction)
        if _DURATION.fullmatch(text):
            return now - timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text)))
        when = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidError(f"invalid {field} {text!r}: not a time", field=field, value=text) from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when

"""Times and spans as Docker's command writes them."""

import time
from datetime import UTC, datetime

_SPANS = (
    (60, 1, "second", ""),
    (3600, 60, "minute", "About a minute"),
    (48 * 3600, 3600, "hour", "About an hour"),
    (14 * 86_400, 86_400, "day", ""),
    (60 * 86_400, 7 * 86_400, "week", ""),
    (730 * 86_400, 30 * 86_400, "month", ""),
)
"""Up to how many seconds which unit is used, and what one of it is called (Go's units.HumanDuration)."""


def ago(then: int, now: float | None = None) -> str:
    """`3 seconds ago`; both in seconds since 1970."""
    return f"{span(int((time.time() if now is None else now) - then))} ago"


def span(seconds: int) -> str:
    """`3 seconds`, `About a minute`."""
    if seconds < 1:
        return "Less than a second"
    for limit, unit, name, one in _SPANS:
        if seconds < limit:
            count = (seconds + 1800) // unit if unit == 3600 else seconds // unit
            return (one or f"1 {name}") if count <= 1 else f"{count} {name}s"
    return f"{seconds // (365 * 86_400)} years"


def stamp(nanoseconds: int) -> str:
    """`2026-11-24T02:22:21.049611638+01:00`, in the time zone of the machine."""
    when = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).astimezone()
    zone = when.strftime("%z")
    shown = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{when:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000:09d}{shown}"


def local(seconds: int) -> str:
    """`2026-11-24 02:22:21 +0000 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z")

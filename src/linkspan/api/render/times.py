"""Times as Go prints them."""

from datetime import UTC, datetime

ZERO = "0001-01-01T00:00:00Z"
"""Go's zero time: it has not happened."""


def timestamp(when: datetime | None) -> str:
    """RFC 3339 in UTC, without trailing zeros of the fraction."""
    if when is None:
        return ZERO
    text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def nanoseconds(when: datetime) -> int:
    """Since 1970, exactly."""
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000

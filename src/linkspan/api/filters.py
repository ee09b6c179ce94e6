"""The `filters` parameter: a JSON object, each key with the values of which one has to match.

Clients send two forms: `{"name": {"n1": true}}` (docker) and `{"label": ["a=b"]}` (docker-py, compose).
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from linkspan.api.query import moment
from linkspan.model.errors import InvalidError

_QUANTIFIER = re.compile(r"(?<!\\)[*+?{]")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")
MAX_QUANTIFIERS = 3
"""Matching takes time to the power of the quantifiers in a pattern: with more, one request could stop the daemon."""


@dataclass(frozen=True)
class Filters:
    """Values by key; no key means everything matches."""

    values: Mapping[str, tuple[str, ...]]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str) -> tuple[str, ...]:
        """The values of a key."""
        return self.values.get(key, ())

    def exact(self, key: str, *found: str) -> bool:
        """Whether one value equals one of what was found."""
        return key not in self.values or any(value in found for value in self.values[key])

    def match(self, key: str, *found: str) -> bool:
        """Whether one value, as a regular expression, occurs in one of what was found."""
        return key not in self.values or any(_occurs(value, text) for value in self.values[key] for text in found)

    def labels(self, found: Mapping[str, str], key: str = "label") -> bool:
        """Whether all `name` or `name=value` hold."""
        return all(_has_label(found, value) for value in self.get(key))

    def flag(self, key: str) -> bool | None:
        """The value of a key that is true or false; None when it is absent."""
        wanted = set(self.get(key))
        if not wanted:
            return None
        if wanted <= {"1", "true"}:
            return True
        if wanted <= {"0", "false"}:
            return False
        raise InvalidError(f"invalid filter '{key}=[{' '.join(sorted(wanted))}]'", field="filters", value=key)

    def until(self, now: datetime) -> datetime | None:
        """The one time of `until`, up to which something must have been created; None when it is absent."""
        wanted = self.get("until")
        if len(wanted) > 1:
            raise InvalidError("more than one until filter specified", field="filters", value=wanted[1])
        try:
            return moment(wanted[0], field="until", now=now) if wanted else None
        except InvalidError as error:
            text = f'failed to parse value as time or duration: "{wanted[0]}"'
            raise InvalidError(text, field="filters", value=wanted[0]) from error


def parse_filters(text: str, accepted: Iterable[str]) -> Filters:
    """Both forms; `InvalidError` for anything else, and for keys that are not accepted."""
    if not text:
        return Filters({})
    try:
        found = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str]])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidError("invalid filter", field="filters", value=text) from error
    for key in found:
        if key not in accepted:
            raise InvalidError(f"invalid filter '{key}'", field="filters", value=key)
    return Filters({key: tuple(values) for key, values in found.items() if values})


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def _occurs(pattern: str, text: str) -> bool:
    if pattern in text:
        return True
    if _REPEATED_GROUP.search(pattern) or len(_QUANTIFIER.findall(pattern)) > MAX_QUANTIFIERS or len(pattern) > 256:
        raise InvalidError(
            f"invalid filter: the pattern {pattern[:256]!r} is too complex", field="filters", value=pattern
        )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return re.search(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        return False

"""Words with an equals sign."""

from collections.abc import Iterable


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """`key=value`, or `key` alone for an empty value."""
    return {key: value for key, _, value in (text.partition("=") for text in texts)}

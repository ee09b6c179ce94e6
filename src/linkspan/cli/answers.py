"""JSON from the daemon, read by what is expected of it: a key that is absent, or of another type, is empty."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


class Record:
    """A JSON object."""

    def __init__(self, value: Json) -> None:
        self.value: Mapping[str, Json] = value if isinstance(value, Mapping) else {}

    def get(self, key: str) -> Json:
        """The value as it is."""
        return self.value.get(key)

    def text(self, key: str) -> str:
        """A text."""
        found = self.value.get(key)
        return found if isinstance(found, str) else ""

    def number(self, key: str) -> int:
        """A whole number."""
        found = self.value.get(key)
        return found if isinstance(found, int) else 0

    def flag(self, key: str) -> bool:
        """True or false."""
        return self.value.get(key) is True

    def record(self, key: str) -> "Record":
        """An object inside."""
        return Record(self.value.get(key))

    def records(self, key: str) -> list["Record"]:
        """The objects of a list."""
        return records(self.value.get(key))

    def texts(self, key: str) -> list[str]:
        """The texts of a list."""
        found = self.value.get(key)
        return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []

    def pairs(self, key: str) -> dict[str, str]:
        """An object of texts."""
        return {name: value for name, value in self.record(key).value.items() if isinstance(value, str)}


def records(value: Json) -> list[Record]:
    """The objects of a list."""
    return [Record(item) for item in value] if isinstance(value, list) else []

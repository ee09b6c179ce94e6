"""What templates can do with values: the functions of Go's templates, and those that Docker adds."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from linkspan.cli.answers import Json
from linkspan.model.errors import InvalidError

Method = Callable[[str], str]
Item: TypeAlias = "Json | Method | Mapping[str, Item]"
"""A value inside a template: JSON, or what `.Label "name"` calls."""

_VERB = re.compile(r"%(?:%|(-?[0-9]{0,3})([sdvqt]))")


class TemplateError(InvalidError):
    """A template that cannot be understood, or that asks for what is not there."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"invalid template: {message}", hint=hint, field="format")


def true(item: Item) -> bool:
    """What `if` takes for true: anything that is not empty."""
    return bool(item)


def printed(item: Item) -> str:
    """A value as Go prints it: `true`, `[a b]`, `map[a:b]`, `<no value>`."""
    if item is None:
        return "<no value>"
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str | int | float):
        return str(item)
    if isinstance(item, Mapping):
        return f"map[{' '.join(f'{key}:{printed(item[key])}' for key in sorted(item))}]"
    if isinstance(item, Sequence):
        return f"[{' '.join(map(printed, item))}]"
    return "<method>"


def as_json(item: Item) -> str:
    """JSON in one line, without blanks, as Go writes it."""
    return json.dumps(_plain(item), separators=(",", ":"), ensure_ascii=False)


def _plain(item: Item) -> Item:
    """Without the methods that a row has beside its fields."""
    if isinstance(item, Mapping):
        return {key: _plain(value) for key, value in item.items() if not callable(value)}
    return item


def text(item: Item) -> str:
    """A text; no other value will do."""
    if not isinstance(item, str):
        raise TemplateError(f"{printed(item)!r} is not a text")
    return item


def _length(item: Item) -> int:
    if isinstance(item, str | Mapping | Sequence):
        return len(item)
    raise TemplateError(f"{printed(item)!r} has no length")


def _index(item: Item, *keys: Item) -> Item:
    for key in keys:
        if isinstance(item, Mapping) and isinstance(key, str):
            item = item.get(key, "")
        elif isinstance(item, Sequence) and not isinstance(item, str) and isinstance(key, int):
            if not 0 <= key < len(item):
                raise TemplateError(f"index {key} is out of range: there are {len(item)}")
            item = item[key]
        else:
            raise TemplateError(f"{printed(item)!r} has no element {printed(key)!r}")
    return item


def _join(item: Item, separator: Item) -> str:
    if isinstance(item, str) or not isinstance(item, Sequence):
        raise TemplateError(f"{printed(item)!r} is not a list")
    return text(separator).join(map(printed, item))


def _split(item: Item, separator: Item) -> Item:
    parts: list[Json] = [*text(item).split(text(separator))] if separator else [*text(item)]
    return parts


def _number(item: Item) -> int | float:
    if isinstance(item, int | float):
        return item
    raise TemplateError(f"{printed(item)!r} is not a number")


def _compare(first: Item, second: Item) -> int:
    """-1, 0 or 1, for numbers and for texts."""
    if isinstance(first, str) and isinstance(second, str):
        return (first > second) - (first < second)
    one, other = _number(first), _number(second)
    return (one > other) - (one < other)


def _printf(form: Item, *items: Item) -> str:
    """`%s`, `%d`, `%v`, `%q`, `%t`, with a width."""
    waiting = list(items)

    def shown(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if not waiting:
            return f"%!{match[2]}(MISSING)"
        item = printed(waiting.pop(0))
        item = json.dumps(item, ensure_ascii=False) if match[2] == "q" else item
        width = int(match[1]) if match[1] not in ("", "-") else 0
        return item.ljust(-width) if width < 0 else item.rjust(width)

    return _VERB.sub(shown, text(form))


def _first(items: Sequence[Item], wanted: bool) -> Item:
    """`and` and `or`: the first that decides, or the last."""
    return next((item for item in items if true(item) is wanted), items[-1])


def _pretty(item: Item) -> str:
    return text(item)[:1].upper() + text(item)[1:]


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Item]]] = {
    "and": (1, 64, lambda *items: _first(items, wanted=False)),
    "eq": (2, 64, lambda first, *others: any(first == other for other in others)),
    "ge": (2, 2, lambda first, second: _compare(first, second) >= 0),
    "gt": (2, 2, lambda first, second: _compare(first, second) > 0),
    "index": (1, 64, _index),
    "join": (2, 2, _join),
    "json": (1, 1, as_json),
    "le": (2, 2, lambda first, second: _compare(first, second) <= 0),
    "len": (1, 1, _length),
    "lower": (1, 1, lambda item: text(item).lower()),
    "lt": (2, 2, lambda first, second: _compare(first, second) < 0),
    "ne": (2, 2, lambda first, second: first != second),
    "not": (1, 1, lambda item: not true(item)),
    "or": (1, 64, lambda *items: _first(items, wanted=True)),
    "print": (0, 64, lambda *items: "".join(map(printed, items))),
    "printf": (1, 64, _printf),
    "println": (0, 64, lambda *items: " ".join(map(printed, items)) + "\n"),
    "split": (2, 2, _split),
    "title": (1, 1, _pretty),
    "truncate": (2, 2, lambda item, length: text(item)[: max(int(_number(length)), 0)]),
    "upper": (1, 1, lambda item: text(item).upper()),
}
"""By name: at least and at most how many arguments, and what is done with them."""

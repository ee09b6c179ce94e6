"""Tables as Docker's command lays them out: columns three blanks apart, at least ten wide, the last one free."""

from collections.abc import Sequence

_GAP, _LEAST = 3, 10


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines in which the cells of each column begin at the same place."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max((len(row[at]) for row in rows if at < len(row) - 1), default=0) for at in range(columns)]
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(max(width + _GAP, _LEAST)) for cell, width in zip(row[:-1], widths, strict=False)]
    return "".join([*cells, *row[-1:]])


def bold(text: str) -> str:
    """For the heads of tables on a terminal."""
    return f"\x1b[1m{text}\x1b[0m"


def short(id: str) -> str:
    """The first twelve digits of an id."""
    return id.removeprefix("sha256:")[:12]


def shortened(text: str, length: int) -> str:
    """A text with `…` in place of its end, when it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"

"""Lists of things: tables for people, `--format`, `--json`, `--quiet`.

What a list can show is a table of columns, by the names that Docker's templates use.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from linkspan.cli.answers import Record
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session
from linkspan.cli.tables import bold, short, table

if TYPE_CHECKING:
    from linkspan.cli.functions import Item


class Column(NamedTuple):
    """A field of a row: its head in tables, and how it is made; `full` is without truncation."""

    head: str
    show: Callable[[Record, bool], str]


class Kind(NamedTuple):
    """What a list is made of. `usual` are the columns of the table, `labels` the key under which labels are."""

    id: str
    columns: dict[str, Column]
    usual: tuple[str, ...]
    labels: str = "Labels"


def show(session: Session, line: Line, kind: Kind, items: Sequence[Record]) -> int:
    """The list, as the flags ask for it."""
    full = line.switch("no-trunc")
    form = "json" if line.switch("json") else line.text("format")
    if line.switch("quiet"):
        session.say(*(item.text(kind.id) if full else short(item.text(kind.id)) for item in items))
    elif form in ("", "table"):
        rows = [[column.show(item, full) for column in _usual(kind)] for item in items]
        _say_table(session, [[column.head for column in _usual(kind)], *rows])
    else:
        _render(session, kind, items, form, full=full)
    return 0


def _render(session: Session, kind: Kind, items: Sequence[Record], form: str, *, full: bool) -> None:
    """Through a template, whose language takes 5 ms to import."""
    from linkspan.cli.templates import Template

    if form.startswith("table "):
        template = Template(form.removeprefix("table ").lstrip())
        texts = [template.render(_heads(kind)), *(template.render(row(kind, item, full)) for item in items)]
        _say_table(session, [text.split("\t") for text in texts])
    else:
        template = Template("{{json .}}" if form == "json" else form)
        session.say(*(template.render(row(kind, item, full)) for item in items))


def row(kind: Kind, item: Record, full: bool) -> "Item":
    """The fields of an item for a template."""
    labels = item.pairs(kind.labels)
    fields: dict[str, Item] = {name: column.show(item, full) for name, column in kind.columns.items()}
    return {**fields, "Label": lambda name: labels.get(name, "")}


def _heads(kind: Kind) -> "Item":
    heads: dict[str, Item] = {name: column.head for name, column in kind.columns.items()}
    return {**heads, "Label": lambda name: name}


def _usual(kind: Kind) -> Iterable[Column]:
    return (kind.columns[name] for name in kind.usual)


def _say_table(session: Session, rows: Sequence[Sequence[str]]) -> None:
    head, *rest = table(rows)
    session.say(bold(head) if session.pretty else head, *rest)


def truth(key: str) -> Callable[[Record, bool], str]:
    """A column that says `true` or `false`."""
    return lambda item, full: str(item.flag(key)).lower()


def text(key: str) -> Callable[[Record, bool], str]:
    """A column that shows a text as it is."""
    return lambda item, full: item.text(key)


def id_column(key: str = "Id") -> Callable[[Record, bool], str]:
    """A column with an id."""
    return lambda item, full: item.text(key) if full else short(item.text(key))


def labels_column(item: Record, full: bool) -> str:
    """`a=b,c=d`."""
    return ",".join(f"{name}={value}" for name, value in sorted(item.pairs("Labels").items()))

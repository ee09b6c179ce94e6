"""`inspect`: everything about things, as a JSON list or through a template."""

import json
from collections.abc import Callable, Sequence

from linkspan.cli.answers import Json
from linkspan.cli.client import RefusedError
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session


def inspect(session: Session, line: Line, names: Sequence[str], find: Callable[[str], Json]) -> int:
    """What was found is shown, also when something was not; then the status is 1."""
    form = line.text("format")
    shown = _renderer("{{json .}}" if form == "json" else form) if form else None
    found: list[Json] = []
    failed = False
    for name in names:
        try:
            found.append(find(name))
        except RefusedError as error:
            session.warn(f"linkspan: {error.message}")
            failed = True
    if shown is None:
        session.say(json.dumps(found, indent=4, ensure_ascii=False))
    else:
        session.say(*(shown(item) for item in found))
    return int(failed)


def _renderer(form: str) -> Callable[[Json], str]:
    """The language of templates takes 5 ms to import."""
    from linkspan.cli.templates import Template

    return Template(form).render

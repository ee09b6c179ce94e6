"""`logs` and `events`: what has been, and with `-f` what comes."""

import sys
from collections.abc import Iterator

from linkspan.cli.answers import Json, Record
from linkspan.cli.carrying import write_all
from linkspan.cli.client import Query, filters, quoted
from linkspan.cli.frames import Frames
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session
from linkspan.cli.spans import stamp
from linkspan.cli.templates import Template


def logs(line: Line, session: Session) -> int:
    """Both outputs, each to our own of that name."""
    query: Query = {
        "stdout": True,
        "stderr": True,
        "follow": line.switch("follow"),
        "since": line.text("since"),
        "until": line.text("until"),
        "timestamps": line.switch("timestamps"),
        "tail": line.text("tail"),
        "details": line.switch("details"),
    }
    answer = session.client.open("GET", f"/containers/{quoted(line.arguments[0])}/logs", query)
    frames = Frames() if "multiplexed" in answer.headers.get("content-type", "") else None
    sys.stdout.flush()
    for part in answer.parts():
        for stream, data in frames.feed(part) if frames is not None else ((1, part),):
            write_all(2 if stream == 2 else 1, data)
    return 0


def events(line: Line, session: Session) -> int:
    """A line for each, until `--until` or for ever."""
    query = {
        "since": line.text("since"),
        "until": line.text("until"),
        "filters": filters(line.list("filter")),
    }
    form = "json" if line.switch("json") else line.text("format")
    template = Template("{{json .}}" if form == "json" else form) if form else None
    session.say_all(_shown(session.client.lines("/events", query), template))
    return 0


def _shown(found: Iterator[Json], template: Template | None) -> Iterator[str]:
    for event in found:
        yield template.render(event) if template is not None else event_line(Record(event))


def event_line(event: Record) -> str:
    """`2026-11-24T02:22:21.049611638Z container start 0123 (image=…, name=…)`."""
    actor = event.record("Actor")
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor.pairs("Attributes").items()))
    shown = [stamp(event.number("timeNano")), event.text("Type"), event.text("Action"), actor.text("ID")]
    return " ".join([*shown, f"({attributes})"])

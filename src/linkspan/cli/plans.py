"""`--dry-run`: what a request would do, as the lines a person would type."""

from linkspan.cli.answers import Json, Record
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session

PLAN = "/linkspan/v1/plan"


def show_plan(session: Session, line: Line, plan: Json) -> int:
    """The lines of a plan; nothing was changed."""
    session.say(*Record(plan).texts("Lines"))
    return 0

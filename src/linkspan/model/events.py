"""What the engine announces once a change is real."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `network create`, `network connect`, `sandbox destroy`, `engine heal`, …

    `type` and `action` use Docker's words where Docker has them; `actor` is the id of the object concerned.
    """

    type: str
    action: str
    actor: str
    time: datetime
    attributes: tuple[tuple[str, str], ...] = ()

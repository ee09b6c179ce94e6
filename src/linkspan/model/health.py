"""Whether what runs in a container works: how that is found out, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

KEPT = 5
"""How many results are kept (Docker's number)."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A command that is run again and again: its exit status 0 means healthy. Times in seconds, Docker's defaults.

    Until `start_period` has passed since the start, failures do not count, and it is run every `start_interval`.
    """

    argv: Sequence[str]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


class Condition(StrEnum):
    """Docker's words."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of the command; its exit status is -1 when it took too long."""

    started: datetime
    ended: datetime
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is known: the condition, how many failures there were in a row, the last results."""

    condition: Condition = Condition.STARTING
    streak: int = 0
    probes: Sequence[Probe] = ()

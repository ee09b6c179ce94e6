"""What is wrong while everything else works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that should be and is not: what it is, why, and what to do."""

    subject: str
    message: str
    hint: str | None = None

"""What became of an operation."""

import errno
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from linkspan.plan.operations import Operation, Verb

GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESRCH, errno.EADDRNOTAVAIL})
"""How the kernel says that there is nothing to remove: files, links, link numbers, routes, addresses."""


class Outcome(NamedTuple):
    """An operation that was tried, and why it failed, if it did."""

    operation: Operation
    error: OSError | None = None


def failure(number: int, explanation: str = "") -> OSError:
    """An OSError for something found out before asking the kernel."""
    return OSError(number, explanation or os.strerror(number))


def tolerated(operation: Operation, error: OSError, *, tolerant: bool) -> bool:
    """Whether the wanted result holds all the same: removed and gone, or (when tolerant) added and there."""
    if operation.verb is Verb.REMOVE:
        return error.errno in GONE
    return tolerant and operation.verb is Verb.ADD and error.errno == errno.EEXIST


def in_order(
    operations: Sequence[Operation], perform: Callable[[Operation], OSError | None], *, tolerant: bool
) -> list[Outcome]:
    """Try one after the other. Unless tolerant, the first that fails is the last, but for removals."""
    outcomes: list[Outcome] = []
    for operation in operations:
        error = perform(operation)
        outcomes.append(Outcome(operation, error))
        if error is not None and not tolerant and operation.verb is not Verb.REMOVE:
            break
    return outcomes

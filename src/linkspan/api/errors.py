"""Errors as HTTP answers: one table from kind to status."""

from msgspec import UNSET

from linkspan.api.bodies.networks import Failure
from linkspan.model.errors import LinkspanError

STATUS = {
    "invalid": 400,
    "exhausted": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not found": 404,
    "conflict": 409,
    "unavailable": 500,
    "kernel": 500,
    "unimplemented": 501,
    "no swarm": 503,
}

_PORT_FIELDS = frozenset({"publish"})
"""Ports that are taken are 500 in Docker, whatever holds them (transcript §5)."""


def status_of(error: LinkspanError) -> int:
    """The HTTP status of an error."""
    if error.kind == "conflict" and error.field in _PORT_FIELDS:
        return 500
    return STATUS.get(error.kind, 500)


def failure_of(error: LinkspanError) -> Failure:
    """The body that tells of it."""
    return Failure(message=error.message, hint=error.hint or UNSET)

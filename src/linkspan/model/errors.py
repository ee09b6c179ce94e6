"""Errors by kind.

Every failure a caller can see is one of these. The kind decides the HTTP status or exit code (one table per adapter);
the message names the object, what was expected and what was found; the hint says what to do about it.
"""

import errno as errnos
from typing import ClassVar


class LinkspanError(Exception):
    """Root of the tree.

    `field` names the offending input (as the request spells it), `value` is what was given, `hint` is what to do.
    """

    kind: ClassVar[str] = "error"

    def __init__(
        self, message: str, *, field: str | None = None, value: object = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.hint = hint


class InvalidError(LinkspanError):
    """The request itself is wrong: malformed, out of range, contradictory (HTTP 400)."""

    kind = "invalid"


class UnauthorizedError(LinkspanError):
    """Somebody is not who they claim to be, as a registry sees it (HTTP 401)."""

    kind = "unauthorized"


class ForbiddenError(LinkspanError):
    """The request is well formed but not allowed on this object (HTTP 403, Docker's answer for predefined networks)."""

    kind = "forbidden"


class NotFoundError(LinkspanError):
    """The named object does not exist (HTTP 404)."""

    kind = "not found"


class ConflictError(LinkspanError):
    """The request collides with something that exists: a name, an address, a port, a foreign bridge (HTTP 409)."""

    kind = "conflict"


class ExhaustedError(LinkspanError):
    """Nothing is left to hand out: address pools, addresses, ports, bridge ports (HTTP 400, as Docker answers)."""

    kind = "exhausted"


class UnavailableError(LinkspanError):
    """The machine lacks what the request needs: a kernel feature, a privilege, a program (HTTP 500)."""

    kind = "unavailable"


class UnimplementedError(LinkspanError):
    """A thing of Docker's that is not here: by design, or because a program that it takes is not installed (501)."""

    kind = "unimplemented"


class SwarmError(LinkspanError):
    """What only a machine in a swarm has: this one is in none (HTTP 503, as Docker answers)."""

    kind = "no swarm"


class UnservedError(UnavailableError):
    """The kernel has everything, but the data plane does not serve all of it."""


class KernelError(LinkspanError):
    """The kernel refused an operation. `errno` is always kept (HTTP 500)."""

    kind = "kernel"

    def __init__(self, message: str, *, errno: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno

    @property
    def errno_name(self) -> str:
        """The symbolic name, such as `EEXIST`."""
        return errnos.errorcode.get(self.errno, str(self.errno))

"""Which capabilities a process gets: Docker's default set, what is added and dropped, what the machine has. Pure."""

from collections.abc import Iterable, Sequence

from linkspan.model.capabilities import CAPABILITIES, DEFAULT_CAPABILITIES
from linkspan.model.errors import InvalidError

_ALL = "ALL"


def granted(
    add: Iterable[str], drop: Iterable[str], machine: frozenset[str], *, privileged: bool = False
) -> Sequence[str]:
    """The capabilities of a process, sorted by number.

    Whatever the machine lacks is left out: no process can have it, and the runtime would refuse to start one that asks.
    Raises `InvalidError` for a name that is none.
    """
    added, dropped = {_checked(name, "CapAdd") for name in add}, {_checked(name, "CapDrop") for name in drop}
    if privileged:
        names = frozenset(CAPABILITIES)
    elif _ALL in added:
        names = frozenset(CAPABILITIES) - dropped
    elif _ALL in dropped:
        names = frozenset(added)
    else:
        names = (DEFAULT_CAPABILITIES - dropped) | added
    return [name for name in CAPABILITIES if name in names & machine]


def _checked(text: str, field: str) -> str:
    name = text.upper()
    full = name if name == _ALL or name.startswith("CAP_") else f"CAP_{name}"
    if full != _ALL and full not in CAPABILITIES:
        raise InvalidError(f'invalid {field}: unknown capability: "{full}"', field=field, value=text)
    return full

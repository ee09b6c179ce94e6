"""Signals under the names people give them."""

import signal

from linkspan.model.errors import InvalidError

_LAST_REALTIME = 64


def signal_number(text: str) -> int:
    """The number of `SIGTERM`, `TERM`, `term`, `15` or `RTMIN+3`; `InvalidError` with Docker's words otherwise."""
    name = text.strip().upper().removeprefix("SIG")
    base, plus, offset = name.partition("+")
    if name.isdecimal():
        number = int(name)
    elif plus and base == "RTMIN" and offset.isdecimal():
        number = signal.SIGRTMIN + int(offset)
    else:
        number = getattr(signal.Signals, f"SIG{name}", 0)
    if not 0 < number <= _LAST_REALTIME:
        raise InvalidError(f"Invalid signal: {text}", field="signal", value=text)
    return number

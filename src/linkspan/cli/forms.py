"""Values of flags that have a form of their own: sizes, files of lines, keys."""

import re
from pathlib import Path

from linkspan.model.errors import InvalidError

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?:([kmgt]?)i?b?)", re.IGNORECASE)


def size(text: str, *, flag: str) -> int:
    """`64m` in bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidError(f"invalid size {text!r} for --{flag}", hint="give a number with b, k, m or g", field=flag)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def decimal(amount: float, digits: int = 4) -> str:
    """`1.98MB`, as Go's units write it."""
    return _scaled(amount, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def binary(amount: float) -> str:
    """`1.89MiB`, as Go's units write it."""
    return _scaled(amount, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), 4)


def _scaled(amount: float, base: int, units: tuple[str, ...], digits: int) -> str:
    at = 0
    while amount >= base and at < len(units) - 1:
        amount, at = amount / base, at + 1
    return f"{amount:.{digits}g}{units[at]}"


def file_lines(path: str, *, flag: str) -> list[str]:
    """The lines of a file that are neither empty nor comments."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"cannot read {path} for --{flag}: {error}", field=flag) from error
    return [line.lstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


_KEY = re.compile(r"ctrl-([a-z@\[\\\]^_])|(.)")


def detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as the bytes that a terminal sends."""
    keys = bytearray()
    for part in (text or "ctrl-p,ctrl-q").split(","):
        match = _KEY.fullmatch(part)
        if match is None or not part.isascii():
            hint = "give keys with commas between them, such as ctrl-p,ctrl-q"
            raise InvalidError(f"invalid detach keys {text!r}", hint=hint, field="detach-keys")
        keys.append(ord(match[1].upper()) & 0x1F if match[1] else ord(part))
    return bytes(keys)

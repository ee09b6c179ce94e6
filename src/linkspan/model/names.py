"""What things may be called."""

import re

from linkspan.model.errors import InvalidError

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LINK = re.compile(r"[^\s/:%\x00-\x1f\x7f]{1,15}")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")

MAX_NAME = 255


def check_name(name: str, *, kind: str) -> str:
    """A network's or sandbox's name: Docker's rule, `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 characters."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidError(
            f"invalid {kind} name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, {MAX_NAME} characters at most",
            field="name",
            value=name,
        )
    return name


def check_link_name(name: str, *, field: str) -> str:
    """An interface name the kernel accepts (`dev_valid_name`: 1 to 15 bytes, no `/`, `:` or white space)."""
    if not _LINK.fullmatch(name) or name in (".", "..") or len(name.encode(errors="replace")) > 15:
        raise InvalidError(
            f"invalid {field} {name!r}: an interface name has 1 to 15 characters, no '/', ':', '%' or white space",
            field=field,
            value=name,
        )
    return name


def check_mac(text: str, *, field: str) -> str:
    """A unicast hardware address, in lower case with colons."""
    mac = text.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise InvalidError(f"invalid {field} {text!r}: expected six pairs of hex digits", field=field, value=text)
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise InvalidError(f"invalid {field} {text!r}: not a unicast hardware address", field=field, value=text)
    return mac

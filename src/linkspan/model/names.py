"""What things may be called."""

import re

from linkspan.model.errors import InvalidError

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
# The kernel takes more, but `*` and `+` are wildcards to nft and iptables, quotes and braces end a word for nft, and a
# dash in front is an option to every tool. `all` and `default` stand for every interface under /proc/sys/net/*/conf.
_LINK = re.compile(r"(?!(?:all|default)$)[a-zA-Z0-9_][a-zA-Z0-9_.@-]{0,14}")
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
    """An interface name that the kernel accepts, and that means nothing else to nft, iptables and ip."""
    if not _LINK.fullmatch(name):
        raise InvalidError(
            f"invalid {field} {name!r}: an interface name has 1 to 15 characters of [a-zA-Z0-9_.@-], "
            "does not begin with [.@-], and is not 'all' or 'default'",
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

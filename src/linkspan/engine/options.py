"""Driver options of bridge networks: one table for parsing, defaults, refusals and documentation.

Names, defaults and meanings are Docker's (`docker-networking.md` §1.2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from linkspan.model.addressing import IPAddress, parse_address
from linkspan.model.errors import InvalidError
from linkspan.model.names import check_link_name

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


@dataclass(frozen=True, slots=True)
class Option:
    """One driver option: the setting it fills, how its text is read, and a sentence for people."""

    setting: str
    read: Callable[[str, str], Any]
    meaning: str


def _flag(name: str, text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise InvalidError(f"invalid value {text!r} for option {name}: expected true or false", field=name, value=text)
    return text in _TRUE


def _mtu(name: str, text: str) -> int:
    # 68 is the smallest MTU of IPv4 (RFC 791); a veth and a bridge take up to 65535.
    if not (text.isascii() and text.isdigit() and 68 <= int(text) <= 65535):
        raise InvalidError(f"invalid value {text!r} for option {name}: expected 68 to 65535", field=name, value=text)
    return int(text)


def _link(name: str, text: str) -> str:
    return check_link_name(text, field=name)


def _binding(name: str, text: str) -> tuple[IPAddress, ...]:
    return (parse_address(text, field=name),)


BRIDGE_OPTIONS: dict[str, Option] = {
    "com.docker.network.bridge.name": Option(
        "name", _link, "name of the bridge; br-<12 hex digits of the id> if unset"
    ),
    "com.docker.network.bridge.enable_icc": Option("icc", _flag, "whether containers of the network reach each other"),
    "com.docker.network.bridge.enable_ip_masquerade": Option(
        "masquerade", _flag, "whether traffic that leaves takes the host's address"
    ),
    "com.docker.network.bridge.host_binding_ipv4": Option(
        "host_binding", _binding, "host address that ports are published on when none is named"
    ),
    "com.docker.network.driver.mtu": Option("mtu", _mtu, "MTU of the bridge and its containers' interfaces"),
}


def read_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Settings by name; `InvalidError` for an unknown option or an unreadable value."""
    settings: dict[str, Any] = {}
    for name, text in options.items():
        if (option := BRIDGE_OPTIONS.get(name)) is None:
            known = ", ".join(BRIDGE_OPTIONS)
            raise InvalidError(
                f"unknown option {name!r} for driver bridge",
                field="options",
                value=name,
                hint=f"known options: {known}",
            )
        settings[option.setting] = option.read(name, text)
    return settings

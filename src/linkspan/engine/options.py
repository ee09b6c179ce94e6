"""Driver options of bridge networks: one table for parsing, defaults, refusals and documentation.

Names, defaults and meanings are Docker's (`docker-networking.md` §1.2). Docker ignores what it does not know. Here an
unknown `com.docker.network.…`, or a name without a dot, is refused: it was meant for us, and would have no effect. What
belongs to others (`com.example.team`) is kept and shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from linkspan.model.addressing import IPAddress, parse_address
from linkspan.model.errors import InvalidError
from linkspan.model.names import check_link_name

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_OURS = "com.docker.network."
ENABLE_IPV4 = f"{_OURS}enable_ipv4"
ENABLE_IPV6 = f"{_OURS}enable_ipv6"


@dataclass(frozen=True, slots=True)
class Option:
    """One driver option: the setting it fills (none where `setting` is empty), how its text is read, and a sentence.

    What is read as None leaves the default.
    """

    setting: str
    read: Callable[[str, str], Any]
    meaning: str


def read_flag(name: str, text: str) -> bool:
    """Whether an option is on, in the spellings that Go takes; `InvalidError` for others."""
    if text not in _TRUE | _FALSE:
        raise InvalidError(f"invalid value {text!r} for option {name}: expected true or false", field=name, value=text)
    return text in _TRUE


def _mtu(name: str, text: str) -> int | None:
    # 68 is the smallest MTU of IPv4 (RFC 791); a veth and a bridge take up to 65535. 0 is Docker's "unset".
    if text == "0":
        return None
    if not (text.isascii() and text.isdigit() and 68 <= int(text) <= 65535):
        raise InvalidError(f"invalid value {text!r} for option {name}: expected 68 to 65535", field=name, value=text)
    return int(text)


def _link(name: str, text: str) -> str | None:
    return check_link_name(text, field=name) if text else None


def _prefix(name: str, text: str) -> str | None:
    if len(text) > 12:  # a number comes behind it, and a name has 15 characters at most
        raise InvalidError(f"invalid {name} {text!r}: 12 characters at most", field=name, value=text)
    return check_link_name(text, field=name) if text else None


def _nat(name: str, text: str) -> None:
    if text not in ("", "nat"):
        raise InvalidError(f"gateway mode {text!r} is not supported: only 'nat' is", field=name, value=text)


def _binding(name: str, text: str) -> tuple[IPAddress, ...]:
    return (parse_address(text, field=name),)


BRIDGE_OPTIONS: dict[str, Option] = {
    "com.docker.network.bridge.name": Option(
        "name", _link, "name of the bridge; br-<12 hex digits of the id> if unset"
    ),
    "com.docker.network.bridge.enable_icc": Option(
        "icc", read_flag, "whether containers of the network reach each other"
    ),
    "com.docker.network.bridge.enable_ip_masquerade": Option(
        "masquerade", read_flag, "whether traffic that leaves takes the host's address"
    ),
    "com.docker.network.bridge.host_binding_ipv4": Option(
        "host_binding", _binding, "host address that ports are published on when none is named"
    ),
    "com.docker.network.driver.mtu": Option("mtu", _mtu, "MTU of the bridge and its containers' interfaces"),
    "com.docker.network.container_iface_prefix": Option(
        "ifname_prefix", _prefix, "what interfaces in containers are called, before their number; eth if unset"
    ),
    ENABLE_IPV4: Option("", read_flag, "IPv4, where the request itself says nothing of it"),
    ENABLE_IPV6: Option("", read_flag, "IPv6, where the request itself says nothing of it"),
    "com.docker.network.bridge.gateway_mode_ipv4": Option("", _nat, "nat is the only one"),
    "com.docker.network.bridge.gateway_mode_ipv6": Option("", _nat, "nat is the only one"),
    "com.docker.network.bridge.default_bridge": Option("", read_flag, "no effect: it marks the network bridge"),
}


def read_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Settings by name; `InvalidError` for an unknown option or an unreadable value."""
    settings: dict[str, Any] = {}
    for name, text in options.items():
        if (option := BRIDGE_OPTIONS.get(name)) is None:
            _check_foreign(name)
        elif (value := option.read(name, text)) is not None and option.setting:
            settings[option.setting] = value
    return settings


def _check_foreign(name: str) -> None:
    if name.startswith(_OURS) or "." not in name:
        raise InvalidError(
            f"unknown option {name!r} for driver bridge",
            field="options",
            value=name,
            hint=f"known options: {', '.join(BRIDGE_OPTIONS)}",
        )

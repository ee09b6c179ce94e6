"""The texts of `-p`: `[host address:][host port[-port]:]port[-port][/protocol]`, as the docker command reads them."""

import re

from linkspan.model.addressing import IPAddress, parse_address
from linkspan.model.errors import InvalidError
from linkspan.model.ports import PortRange, PortRequest, Protocol

_ADDRESS = r"(?P<address>\[[^\[\]]*\]|[^\[\]]*)"
_TAIL = r"(?P<port>[^:/\[\]]*)(?:/(?P<protocol>[^/]*))?"
_PUBLISH = re.compile(rf"(?:(?:{_ADDRESS}:)?(?P<host>[^:\[\]]*):)?{_TAIL}")
_PUBLISHED = re.compile(rf"(?:{_ADDRESS}:)?{_TAIL}")
_TARGET = re.compile(_TAIL)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def parse_publish(text: str) -> PortRequest:
    """One `-p`; port 0 of the host is any port, as in Docker.

    `InvalidError` (Docker's `invalid port specification`, `invalid ranges …`) says what is allowed.
    """
    match = _PUBLISH.fullmatch(text)
    if match is None:
        raise _invalid(text, "publish", "expected [host address:][host port:]port[/protocol]")
    target = parse_range(match["port"], field="publish", spec=text)
    wanted = parse_range(match["host"], field="publish", spec=text) if match["host"] not in (None, "", "0") else None
    if wanted is not None and len(wanted) != len(target) > 1:
        raise InvalidError(
            f"invalid ranges specified for container and host ports: {target} and {wanted}",
            field="publish",
            value=text,
            hint="give both ranges the same length, or name a single container port",
        )
    return PortRequest(target, _protocol(match, "publish", text), wanted, _address(match, "publish", text))


def parse_published(text: str) -> tuple[PortRange, Protocol, IPAddress | None]:
    """The host side of a binding, as `Unpublish` names it: `8080`, `8080/udp`, `127.0.0.1:8080`, `[::]:8000-8010`."""
    match = _PUBLISHED.fullmatch(text)
    if match is None:
        raise _invalid(text, "ports", "expected [host address:]host port[/protocol]")
    ports = parse_range(match["port"], field="ports", spec=text)
    return ports, _protocol(match, "ports", text), _address(match, "ports", text)


def parse_target(text: str, *, field: str) -> tuple[PortRange, Protocol]:
    """Ports of a sandbox: `80`, `80/tcp`, `8000-8010/udp`."""
    match = _TARGET.fullmatch(text)
    if match is None:
        raise _invalid(text, field, "expected port[-port][/protocol]")
    return parse_range(match["port"], field=field, spec=text), _protocol(match, field, text)


def parse_range(text: str, *, field: str, spec: str) -> PortRange:
    """`80` or `8000-8010`, each 1 to 65535 and in order."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _invalid(spec, field, f"{text!r} is not a port or a range of ports")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if not 1 <= first <= last <= 65535:
        raise _invalid(spec, field, f"{text!r} is not within 1-65535 in rising order")
    return PortRange(first, last)


def _protocol(match: re.Match[str], field: str, spec: str) -> Protocol:
    name = "tcp" if match["protocol"] is None else match["protocol"]
    try:
        return Protocol(name.lower())
    except ValueError:
        raise _invalid(spec, field, f"protocol {name!r} is not one of tcp, udp, sctp") from None


def _address(match: re.Match[str], field: str, spec: str) -> IPAddress | None:
    text: str = match["address"] or ""
    if not text:
        return None
    bare = text.removeprefix("[").removesuffix("]")
    if ":" in bare and bare == text:
        raise _invalid(spec, field, f"write the IPv6 address as [{text}]")
    return parse_address(bare, field="host address")


def _invalid(spec: str, field: str, reason: str) -> InvalidError:
    return InvalidError(f"invalid port specification: {spec!r}: {reason}", field=field, value=spec)

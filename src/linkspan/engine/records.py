"""Decisions about the extra records of a network, which come by label or by request."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from linkspan.engine.decisions import Context, Decision, well_typed
from linkspan.engine.naming import MAX_DOMAIN_NAME, check_domain_name
from linkspan.model.addressing import Version, parse_address
from linkspan.model.dataplane import Record, RecordType
from linkspan.model.errors import ForbiddenError, InvalidError
from linkspan.model.networks import Network
from linkspan.model.requests import RecordRequest, SetRecords
from linkspan.model.state import Change

LABEL = "linkspan.dns/"
"""How a label that gives records begins; the rest is their name."""

_LINE = re.compile(r"(?:(?P<ttl>[0-9]{1,10})\s+)?(?P<type>[A-Za-z]+)\s+(?P<value>\S.*)")
_VERSIONS: dict[RecordType, Version] = {RecordType.A: 4, RecordType.AAAA: 6}
_STRINGS = re.compile(r'"(?:[^"\\]|\\[^\n])*"(?:\s+"(?:[^"\\]|\\[^\n])*")*')
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_PART}\.)*{_PART}\.?")
_STRING_SIZE = 255
"""Octets of one string of a TXT record (RFC 1035 §3.3.14)."""
_MAX_TTL = 2**31 - 1
"""RFC 2181 §8."""


def set_records(context: Context, request: SetRecords) -> Decision[Network]:
    """Other records for a network."""
    request = well_typed(request)
    network = context.state.network(request.network)
    if not network.answers_names:
        raise ForbiddenError(
            f"network {network.name} answers no names: records are for user-defined networks",
            field="network",
            value=network.name,
        )
    changed = replace(network, records=checked(well_typed(item) for item in request.records))
    event = context.event("network", "update", network.id, name=network.name, type=str(network.driver))
    return Decision(Change(networks={network.id: changed}), changed, (event,))


def label_records(labels: Iterable[tuple[str, str]]) -> tuple[Record, ...]:
    """The records that the labels of a network give it."""
    return checked(
        request for name, text in labels if name.startswith(LABEL) for request in _lines(name, text.splitlines())
    )


def _lines(label: str, lines: Sequence[str]) -> Iterator[RecordRequest]:
    for line in filter(None, (line.strip() for line in lines)):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidError(
                f"invalid label {label}: {line!r} is not a record: expected [ttl] type value, such as A 10.0.0.9",
                field="labels",
                value=line,
            )
        name, ttl = label.removeprefix(LABEL), match["ttl"]
        yield RecordRequest(name, match["type"], match["value"], *([int(ttl)] if ttl else []))


def checked(requests: Iterable[RecordRequest]) -> tuple[Record, ...]:
    """Records whose names and values are right, and among which a CNAME stands alone at its name (RFC 1034 §3.6.2)."""
    records = tuple(dict.fromkeys(_record(request) for request in requests))
    held: dict[str, Record] = {}
    for record in records:
        other = held.setdefault(record.name.lower(), record)
        if other is not record and RecordType.CNAME in (other.type, record.type):
            raise InvalidError(
                f"invalid records of {record.name}: a CNAME has no other records beside it",
                field="records",
                value=record.name,
            )
    return records


def _record(request: RecordRequest) -> Record:
    try:
        kind = RecordType(request.type.upper())
    except ValueError:
        known = ", ".join(RecordType)
        raise _invalid(request, f"type {request.type!r} is not one of {known}") from None
    if not 0 <= request.ttl <= _MAX_TTL:
        raise _invalid(request, f"a time to live of {request.ttl} is not within 0 to {_MAX_TTL}")
    name = check_domain_name(request.name.removesuffix("."), field="records")
    return Record(name, kind, _value(request, kind), request.ttl)


def _value(request: RecordRequest, kind: RecordType) -> str:
    """The value as a zone file has it."""
    text = request.value.strip()
    match kind:
        case RecordType.A | RecordType.AAAA:
            address = parse_address(text, field="records")
            if address.version != _VERSIONS[kind]:
                raise _invalid(request, f"{text} is not an IPv{_VERSIONS[kind]} address")
            return str(address)
        case RecordType.CNAME:
            return _domain(request, text)
        case RecordType.SRV:
            return _service(request, text)
        case RecordType.TXT:
            return _text(request, text)


def _domain(request: RecordRequest, text: str) -> str:
    if len(text) > MAX_DOMAIN_NAME or not _DOMAIN.fullmatch(text):
        raise _invalid(request, f"{text!r} is not a domain name")
    return text


def _service(request: RecordRequest, text: str) -> str:
    """Priority, weight, port and target (RFC 2782)."""
    *numbers, target = text.split() or [""]
    if len(numbers) != 3 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise _invalid(request, f"{text!r} is not priority, weight, port and target")
    if any(int(number) > 65535 for number in numbers):
        raise _invalid(request, f"{text!r} has a number above 65535")
    return " ".join([*(str(int(number)) for number in numbers), "." if target == "." else _domain(request, target)])


def _text(request: RecordRequest, text: str) -> str:
    """Strings in quotes; text without any is one string, cut where the format ends it."""
    if not text.startswith('"'):
        if not text.isascii() or not text.isprintable():
            raise _invalid(request, "text that is not ASCII has to be written in quotes, with \\DDD for each octet")
        pieces = [text[start : start + _STRING_SIZE] for start in range(0, len(text), _STRING_SIZE)] or [""]
        escaped = (piece.replace("\\", "\\\\").replace('"', '\\"') for piece in pieces)
        return " ".join(f'"{piece}"' for piece in escaped)
    if not _STRINGS.fullmatch(text) or not text.isascii() or not text.isprintable():
        raise _invalid(request, f"{text!r} is not one or several strings in quotes")
    if any(len(re.sub(r"\\(?:[0-9]{3}|.)", "x", piece)) - 2 > _STRING_SIZE for piece in _pieces(text)):
        raise _invalid(request, f"a string of it has more than {_STRING_SIZE} octets")
    return text


def _pieces(text: str) -> list[str]:
    return re.findall(r'"(?:[^"\\]|\\.)*"', text)


def _invalid(request: RecordRequest, reason: str) -> InvalidError:
    return InvalidError(
        f"invalid record {request.name} {request.type} {request.value}: {reason}", field="records", value=request.value
    )

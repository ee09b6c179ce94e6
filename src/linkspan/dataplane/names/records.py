"""Records in presentation form: the extra ones of a network, and those a trace shows.

dnspython reads and writes them. It is imported when it is first needed, since most helpers never need it, and it costs
0.1 s of their start and 6 MB of their memory.
"""

import struct

from linkspan.dataplane.names.labels import labels
from linkspan.dataplane.names.messages import Answer, Type
from linkspan.model.dataplane import Record
from linkspan.model.errors import InvalidError

_LONGEST_TTL = (1 << 31) - 1


def parse(record: Record) -> Answer:
    """A record as it is sent. Raises `InvalidError`."""
    from dns import exception, name, rdata, rdataclass

    if not 0 <= record.ttl <= _LONGEST_TTL:
        raise InvalidError(f"invalid ttl {record.ttl} of record {record.name}", field="ttl", value=record.ttl)
    try:
        data = rdata.from_text(rdataclass.IN, record.type.value, record.value, origin=name.root, relativize=False)
        wire = data.to_wire()
    except (exception.DNSException, ValueError, struct.error) as error:
        message = f"invalid value {record.value!r} of the {record.type} record {record.name}: {error}"
        raise InvalidError(message, field="value", value=record.value) from error
    assert isinstance(wire, bytes)
    return Answer(Type[record.type.name], record.ttl, wire)


def owner(name: str) -> bytes:
    """The labels of the name of a record. Raises `InvalidError`."""
    found = labels(name)
    if found is None:
        raise InvalidError(f"invalid name {name!r} of a record", field="name", value=name)
    return found


def type_number(type: str) -> int:
    """The number of a type (`AAAA`, `TYPE65`). Raises `InvalidError`."""
    from dns import rdatatype

    try:
        return int(rdatatype.from_text(type))
    except (rdatatype.UnknownRdatatype, ValueError) as error:
        raise InvalidError(f"unknown record type {type!r}", field="type", value=type) from error


def shown(message: bytes) -> tuple[str, tuple[str, ...]]:
    """The response code of a message, and its answers in presentation form."""
    from dns import exception, rcode
    from dns.message import from_wire

    try:
        read = from_wire(message)
    except (exception.DNSException, ValueError):
        return "FORMERR", ()
    return rcode.to_text(read.rcode()), tuple(line for rrset in read.answer for line in rrset.to_text().splitlines())


def joined(first: tuple[Answer, ...], message: bytes) -> tuple[int, list[bytes]]:
    """The records of a chain that begins with ours and ends in another server's message, and its response code.

    The names in that message are written out, since what they point to is left behind. Raises `ValueError`.
    """
    from dns import exception
    from dns.message import from_wire

    try:
        read = from_wire(message)
    except exception.DNSException as error:
        raise ValueError(str(error)) from error
    records = [answer.wire() for answer in first]
    for rrset in read.answer:
        for data in rrset:
            wire = data.to_wire()
            assert isinstance(wire, bytes)
            owner = rrset.name.to_wire()
            assert owner is not None
            records.append(Answer(rrset.rdtype, rrset.ttl, wire, owner[:-1]).wire())
    return int(read.rcode()), records


def target(data: bytes) -> bytes:
    """The labels of the name that a CNAME stands for, in small letters."""
    return data[:-1].lower()


def service_target(data: bytes) -> bytes:
    """The labels of the host in an SRV record, in small letters."""
    return data[6:-1].lower()

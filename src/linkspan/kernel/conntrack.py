"""Forgetting connections whose end is gone, over ctnetlink.

The kernel keeps translating a known flow as it did when the flow began, whatever the rules say by now. So a flow to an
address that was taken away would reach the next sandbox that gets the address, and a UDP client that never pauses would
never notice that a port is published, or no longer is. After a change the entries concerned are listed, by a filter in
the kernel, and deleted one by one.

* An address of a sandbox: flows it began (original source) and flows to it, translated or not (reply source).
* A published port: flows whose original destination is that port on an address of this host. The source of a reply
  says nothing here, and the port alone says too little: others talk to the same port of other hosts.

Numbers are those of linux/netfilter/nfnetlink_conntrack.h; the filter's bits are in the kernel's nf_internals.h.
"""

import errno
import socket
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from linkspan.kernel import native
from linkspan.kernel.netlink import (
    NetlinkError,
    NetlinkFormatError,
    Request,
    Socket,
    attribute,
    attributes,
    nested,
    u8,
    u32,
)
from linkspan.kernel.rtnl import FAMILY
from linkspan.model.addressing import IPAddress, Version
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan import iptables, nftables
from linkspan.plan.objects import HOST, Address, HostPort, IptablesRule, KernelObject, NftElement
from linkspan.plan.operations import Operation, Verb

_CT_GET, _CT_DELETE = 0x101, 0x102

CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID, CTA_ZONE, CTA_FILTER = 1, 2, 12, 18, 25
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3
CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS = 1, 2
_SOURCE: dict[Version, int] = {4: 1, 6: 3}
_DESTINATION: dict[Version, int] = {4: 2, 6: 4}
_BY_SOURCE, _BY_PROTOCOL, _BY_DESTINATION_PORT = 1 << 0, 1 << 3, 1 << 5

_NUMBERS = {Protocol.TCP: socket.IPPROTO_TCP, Protocol.UDP: socket.IPPROTO_UDP, Protocol.SCTP: 132}
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_LOOPBACK = 127  # 127.0.0.0/8 is local without being listed; no global IPv6 address begins so
_ENTRIES_PER_PASS = 800
"""Listing by a filter walks the whole table in the kernel (10 ms here, however empty); so many unfiltered entries cost
as much in this process."""
_ABSENT = frozenset({errno.EOPNOTSUPP, errno.ENOENT, errno.ECONNREFUSED, errno.EPROTONOSUPPORT, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class Flow:
    """What a conntrack entry says, as far as it matters here, and the attributes that name it for deletion.

    Addresses stay packed: a listing can have a hundred thousand entries.
    """

    version: Version
    source: bytes
    destination: bytes
    protocol: int
    port: int
    reply_source: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class OfAddress:
    """Flows from or to an address of a sandbox."""

    address: IPAddress

    @property
    def version(self) -> Version:
        return self.address.version

    def matches(self, flow: Flow, _: Collection[bytes]) -> bool:
        return self.address.packed in (flow.source, flow.reply_source)

    def filters(self) -> Iterator[bytes]:
        source = nested(CTA_TUPLE_IP, attribute(_SOURCE[self.version], self.address.packed))
        for tuple_, flags in ((CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS), (CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS)):
            yield nested(tuple_, source) + nested(CTA_FILTER, u32(flags, _BY_SOURCE))


@dataclass(frozen=True, slots=True)
class OfPort:
    """Flows to published ports of this host; `stale` means only those that are not translated."""

    protocol: Protocol
    address: IPAddress
    ports: PortRange
    stale: bool = False

    @property
    def version(self) -> Version:
        return self.address.version

    def matches(self, flow: Flow, local: Collection[bytes]) -> bool:
        if flow.protocol != _NUMBERS[self.protocol] or not self.ports.first <= flow.port <= self.ports.last:
            return False
        if self.stale and flow.reply_source != flow.destination:
            return False
        if not self.address.is_unspecified:
            return flow.destination == self.address.packed
        return flow.version == self.version and (flow.destination in local or flow.destination[0] == _LOOPBACK)

    def filters(self) -> Iterator[bytes]:
        what, flags = u8(CTA_PROTO_NUM, _NUMBERS[self.protocol]), _BY_PROTOCOL
        if len(self.ports) == 1:
            what += attribute(CTA_PROTO_DST_PORT, self.ports.first.to_bytes(2, "big"))
            flags |= _BY_DESTINATION_PORT
        yield nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_PROTO, what)) + nested(
            CTA_FILTER, u32(CTA_FILTER_ORIG_FLAGS, flags)
        )


Question: TypeAlias = OfAddress | OfPort


def _orphans(operations: Sequence[Operation]) -> Iterator[OfPort]:
    """Ports whose translation goes, with no socket of ours that would go with it. One that leads elsewhere from now
    on, on another network of its sandbox, keeps its flows.
    """
    if any(isinstance(operation.object, HostPort) and operation.verb is not Verb.ADD for operation in operations):
        return
    going = {side for op in operations if op.verb is Verb.REMOVE and (side := _host_side(op.object)) is not None}
    if going:
        going -= {
            side for op in operations if op.verb is not Verb.REMOVE and (side := _host_side(op.object)) is not None
        }
    yield from (OfPort(*side) for side in sorted(going, key=str))


def _host_side(item: KernelObject) -> tuple[Protocol, IPAddress, PortRange] | None:
    match item:
        case NftElement():
            return nftables.host_side(item)
        case IptablesRule():
            return iptables.host_side(item)
        case _:
            return None


def questions(operations: Sequence[Operation]) -> list[Question]:
    """Which flows end with these operations.

    A new UDP port counts: clients may have been talking to it before, and such flows are not translated. Those that
    are belong to a sandbox already: an engine that opens binds every port anew, and must not cut them. It holds no
    socket of a port that a dead one had begun to publish, and knows such a port by its translation.

    A port whose sandbox has it from now on by other sockets, alone or for both families, keeps its flows.
    """
    found: dict[Question, None] = dict.fromkeys(_orphans(operations))
    going = [op.object for op in operations if op.verb is Verb.REMOVE and isinstance(op.object, HostPort)]
    coming = (
        [op.object for op in operations if op.verb is Verb.ADD and isinstance(op.object, HostPort)] if going else []
    )
    staying = {side for item in going for side in _sides(item)} & {side for item in coming for side in _sides(item)}
    for operation in operations:
        item = operation.object if operation.verb is Verb.REMOVE else operation.previous
        match item:
            case Address(where=where, interface=interface) if where != HOST:
                found[OfAddress(interface.ip)] = None
            case HostPort():
                found |= {OfPort(*side[1:]): None for side in _sides(item) if side not in staying}
        match operation.object:
            case HostPort(protocol=Protocol.UDP) as port if operation.verb is Verb.ADD:
                found |= {OfPort(*side[1:], stale=True): None for side in _sides(port)}
    return list(found)


def _sides(port: HostPort) -> list[tuple[str, Protocol, IPAddress, PortRange]]:
    """Whose a port is, and each of its addresses."""
    return [(port.owner, port.protocol, address, port.ports) for address in port.addresses]


class Conntrack:
    """The connection table of the engine's namespace. Made and used on the kernel thread."""

    def __init__(self, local_addresses: Callable[[], Collection[IPAddress]]) -> None:
        self._local_addresses = local_addresses
        try:
            self._socket: Socket | None = Socket(native.NETLINK_NETFILTER)
        except OSError:  # a kernel without netfilter tracks nothing
            self._socket = None

    def forget(self, operations: Sequence[Operation]) -> int:
        """Delete the flows that end with `operations`; returns how many."""
        asked = questions(operations)
        if not asked or self._socket is None or (entries := _entries()) == 0:
            return 0
        try:
            flows = self._matching(self._socket, asked, entries)
            answers = self._socket.exchange([_request(_CT_DELETE, FAMILY[flow.version], flow.name) for flow in flows])
        except NetlinkError as error:
            if error.errno in _ABSENT:
                return 0
            raise
        return sum(answer.error is None for answer in answers)

    def _matching(self, connection: Socket, asked: Sequence[Question], entries: int) -> list[Flow]:
        ports = any(isinstance(question, OfPort) for question in asked)
        local = {address.packed for address in self._local_addresses()} if ports else set[bytes]()
        listings = [(FAMILY[question.version], narrow) for question in asked for narrow in question.filters()]
        if (len(listings) - 1) * _ENTRIES_PER_PASS > entries:
            listings = [(socket.AF_UNSPEC, b"")]
        found: dict[bytes, Flow] = {}
        for family, narrow in listings:
            for body in connection.dump(_request(_CT_GET, family, narrow)):
                flow = parse_flow(body)
                # Before Linux 5.8 the kernel ignores the filter.
                if flow is not None and any(question.matches(flow, local) for question in asked):
                    found[flow.name] = flow
        return list(found.values())

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()


def _entries() -> int:
    """How many flows the namespace of the thread has; none on a kernel that does not track connections."""
    try:
        return int(_COUNT.read_text())
    except OSError:
        return 0


def _request(kind: int, family: int, body: bytes) -> Request:
    return Request(kind, 0, struct.pack("=BBH", family, 0, 0) + body)


_VERSIONS: dict[int, Version] = {family: version for version, family in FAMILY.items()}


def parse_flow(body: bytes) -> Flow | None:
    """One message of a listing; None for protocols without ports and for other families."""
    version = _VERSIONS.get(body[0]) if body else None
    if version is None:
        return None
    found = attributes(body, 4)
    original = attributes(found.get(CTA_TUPLE_ORIG, b""))
    reply = attributes(found.get(CTA_TUPLE_REPLY, b""))
    addresses, answering = attributes(original.get(CTA_TUPLE_IP, b"")), attributes(reply.get(CTA_TUPLE_IP, b""))
    transport = attributes(original.get(CTA_TUPLE_PROTO, b""))
    name = b"".join(attribute(kind, found[kind]) for kind in (CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE) if kind in found)
    try:
        return Flow(
            version=version,
            source=addresses[_SOURCE[version]],
            destination=addresses[_DESTINATION[version]],
            protocol=transport[CTA_PROTO_NUM][0],
            port=int.from_bytes(transport.get(CTA_PROTO_DST_PORT, b""), "big"),
            reply_source=answering[_SOURCE[version]],
            name=name,
        )
    except (KeyError, IndexError) as error:
        raise NetlinkFormatError(f"conntrack entry without {error}") from error

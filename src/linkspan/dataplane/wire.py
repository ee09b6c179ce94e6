"""Messages between the daemon and the data plane's process, as bytes: MessagePack of tagged structs.

They are written out here, apart from the model, because the two sides may be of different versions: fields with
defaults may be added, what is unknown is ignored. `Hello`, `Lease`, `Take` and `Retire` and their answers are what an
upgrade needs, and must be understood for ever.

Decoding is total: any bytes give a message or `MalformedError`.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from linkspan.model.addressing import UNSPECIFIED
from linkspan.model.dataplane import (
    HostPort,
    HostResolver,
    Link,
    NameEntry,
    NameZone,
    Record,
    RecordType,
    Resolver,
    Service,
    Step,
    Trace,
)
from linkspan.model.ports import PortRange, Protocol

PROTOCOL = 1
"""Raised when an old side can no longer talk to a new one, other than to be replaced."""

DESCRIPTORS = 65_536
"""Most descriptors of one message: a service has at most one for each port there is."""

Number = Annotated[int, Meta(ge=1, le=65_535)]
Count = Annotated[int, Meta(ge=0, le=DESCRIPTORS)]
Range: TypeAlias = tuple[Number, Number]


class MalformedError(Exception):
    """Bytes that are no message."""


class WirePort(Struct, tag="port", frozen=True, omit_defaults=True):
    """A `HostPort`."""

    protocol: Protocol
    address: str
    ports: Range
    owner: str
    relay: tuple[str, Range] | None = None
    proxy_protocol: bool = False
    sockets: Count = 0
    both: bool = False

    @property
    def service(self) -> HostPort:
        """The value. Raises ValueError."""
        ports = _range(self.ports)
        relay = None if self.relay is None else (ip_address(self.relay[0]), _range(self.relay[1]))
        if relay is not None and len(relay[1]) != len(ports):
            raise ValueError(f"{len(ports)} ports cannot be relayed to {len(relay[1])}")
        address = ip_address(self.address)
        if self.both and address != UNSPECIFIED[6]:
            raise ValueError(f"{address} is not of both families")
        return HostPort(self.protocol, address, ports, self.owner, relay, self.proxy_protocol, self.both)


class WireResolver(Struct, tag="resolver", frozen=True, omit_defaults=True):
    """A `Resolver`."""

    sandbox: str
    networks: tuple[str, ...]
    owner: str
    links: tuple[tuple[str, str, str], ...] = ()
    servers: tuple[str, ...] = ()
    forward: bool = True
    ndots: bool = False
    sockets: Count = 0

    @property
    def service(self) -> Resolver:
        """The value. Raises ValueError."""
        links, servers = tuple(Link(*link) for link in self.links), tuple(map(ip_address, self.servers))
        return Resolver(self.sandbox, self.networks, self.owner, links, servers, self.forward, self.ndots)


class WireHostResolver(Struct, tag="host resolver", frozen=True, omit_defaults=True):
    """A `HostResolver`."""

    address: str
    owner: str
    sockets: Count = 0

    @property
    def service(self) -> HostResolver:
        """The value. Raises ValueError."""
        return HostResolver(ip_address(self.address), self.owner)


class WireZone(Struct, tag="zone", frozen=True, omit_defaults=True):
    """A `NameZone`; a record is its name, type, value and TTL."""

    network: str
    name: str
    owner: str
    records: tuple[tuple[str, RecordType, str, int], ...] = ()
    sockets: Count = 0

    @property
    def service(self) -> NameZone:
        """The value."""
        return NameZone(self.network, self.name, self.owner, tuple(Record(*record) for record in self.records))


class WireEntry(Struct, tag="name", frozen=True, omit_defaults=True):
    """A `NameEntry`."""

    network: str
    sandbox: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    owner: str
    sockets: Count = 0

    @property
    def service(self) -> NameEntry:
        """The value. Raises ValueError."""
        return NameEntry(self.network, self.sandbox, self.names, tuple(map(ip_address, self.addresses)), self.owner)


WireService: TypeAlias = WirePort | WireResolver | WireHostResolver | WireZone | WireEntry


class Hello(Struct, tag="hello", frozen=True):
    """First of all: who asks. Answered by `Welcome`."""

    protocol: int
    build: str


class Lease(Struct, tag="lease", frozen=True):
    """Give a descriptor of the lock, for a successor. Answered by `Done` with it."""


class Take(Struct, tag="take", frozen=True):
    """Show what is held, from the service with this index on. Answered by `Holding`."""

    start: Annotated[int, Meta(ge=0)] = 0


class Change(Struct, tag="change", frozen=True, omit_defaults=True):
    """Drop, then add or replace. The message carries the sockets of `put`, in order. Answered by `Done`."""

    put: tuple[WireService, ...] = ()
    drop: tuple[tuple[str, ...], ...] = ()


class Ask(Struct, tag="ask", frozen=True):
    """How is this name answered? Answered by `Traced`."""

    sandbox: str
    name: str
    record: str


class Stats(Struct, tag="stats", frozen=True):
    """What is there. Answered by `Counts`."""


class Retire(Struct, tag="retire", frozen=True):
    """Take nothing new, finish what is under way, and end. Answered by `Done`, when nothing new is taken any more."""


Request: TypeAlias = Hello | Lease | Take | Change | Ask | Stats | Retire


class Welcome(Struct, tag="welcome", frozen=True):
    """Who answers."""

    protocol: int
    build: str
    pid: int


class Holding(Struct, tag="holding", frozen=True):
    """A part of what is held, with its sockets, and how many services there are in all."""

    services: tuple[WireService, ...]
    total: int


class Traced(Struct, tag="traced", frozen=True):
    """A `Trace`; a step is where, its outcome and its time."""

    status: str
    answers: tuple[str, ...]
    steps: tuple[tuple[str, str, float], ...]

    @property
    def trace(self) -> Trace:
        """The value."""
        return Trace(self.status, self.answers, tuple(Step(*step) for step in self.steps))


class Counts(Struct, tag="counts", frozen=True):
    """How many services of each kind are held, and how many sockets."""

    services: dict[str, int]
    sockets: int


class Done(Struct, tag="done", frozen=True):
    """It is as was asked."""


class Refused(Struct, tag="refused", frozen=True):
    """It is not; `kind` is that of an error of the model."""

    kind: str
    message: str


Reply: TypeAlias = Welcome | Holding | Traced | Counts | Done | Refused


class Question(Struct, frozen=True, array_like=True):
    """A request, and the number by which its answer is known."""

    number: int
    body: Request


class Answer(Struct, frozen=True, array_like=True):
    """The reply to the question of that number."""

    number: int
    body: Reply


_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(Question)
_answers = msgspec.msgpack.Decoder(Answer)
_FOREIGN = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


def encode(message: Question | Answer) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message)


def question(data: bytes) -> Question:
    """The question in these bytes. Raises `MalformedError`."""
    try:
        return _questions.decode(data)
    except _FOREIGN as error:
        raise MalformedError(f"no request of the data plane: {error}") from error


def answer(data: bytes) -> Answer:
    """The answer in these bytes. Raises `MalformedError`."""
    try:
        return _answers.decode(data)
    except _FOREIGN as error:
        raise MalformedError(f"no answer of the data plane: {error}") from error


def services(wired: Sequence[WireService], descriptors: Sequence[int]) -> list[tuple[Service, tuple[int, ...]]]:
    """Services with the descriptors that came along, in order. Raises `MalformedError`."""
    if sum(each.sockets for each in wired) != len(descriptors):
        raise MalformedError(f"{len(descriptors)} descriptors came, not as many as the message says")
    found, rest = [], iter(descriptors)
    for each in wired:
        try:
            value = each.service
        except ValueError as error:
            raise MalformedError(f"no service of the data plane: {error}") from error
        found.append((value, tuple(next(rest) for _ in range(each.sockets))))
    return found


def wired(service: Service, sockets: int) -> WireService:
    """A service as it travels, with the number of its descriptors."""
    match service:
        case HostPort(relay=relay):
            target = None if relay is None else (str(relay[0]), _pair(relay[1]))
            return WirePort(
                service.protocol,
                str(service.address),
                _pair(service.ports),
                service.owner,
                target,
                service.proxy_protocol,
                sockets,
                service.both,
            )
        case Resolver():
            links = tuple((link.network, link.alias, link.name) for link in service.links)
            return WireResolver(
                service.sandbox,
                service.networks,
                service.owner,
                links,
                tuple(map(str, service.servers)),
                service.forward,
                service.ndots,
                sockets,
            )
        case HostResolver():
            return WireHostResolver(str(service.address), service.owner, sockets)
        case NameZone():
            records = tuple((record.name, record.type, record.value, record.ttl) for record in service.records)
            return WireZone(service.network, service.name, service.owner, records, sockets)
        case NameEntry():
            addresses = tuple(map(str, service.addresses))
            return WireEntry(service.network, service.sandbox, service.names, addresses, service.owner, sockets)


def traced(trace: Trace) -> Traced:
    """A trace as it travels."""
    return Traced(trace.status, trace.answers, tuple((step.where, step.outcome, step.seconds) for step in trace.steps))


def _pair(ports: PortRange) -> Range:
    return ports.first, ports.last


def _range(pair: Range) -> PortRange:
    first, last = pair
    if last < first:
        raise ValueError(f"the range {first}-{last} is empty")
    return PortRange(first, last)

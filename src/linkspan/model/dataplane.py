"""What the data plane holds: host ports, resolvers and the names they answer, as values.

The data plane is the helper process that outlives the daemon. What it is to serve is part of the plan, like any kernel
object: each value has a `key`, its identity, and everything else is compared. The daemon hands values over together
with the sockets they need, and reads them back when it comes again; so a new daemon changes the difference only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from linkspan.model.addressing import UNSPECIFIED, IPAddress
from linkspan.model.ports import PortRange, Protocol

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostPort:
    """Host ports held by bound sockets, so that no process can take what a sandbox publishes.

    `relay` is where the relay carries, port for port, what NAT leaves to it; None when NAT carries everything.
    `proxy_protocol` makes the relay tell the sandbox who the client is (PROXY protocol version 2).

    `both` is said of `::` only: its sockets are those of 0.0.0.0, too, and the relay carries what is left in either
    family. So a range takes half as many of them, and what NAT does not take of IPv4, because somebody has flushed the
    firewall, is carried all the same.

    Sockets: one for each port of the range, in order.
    """

    protocol: Protocol
    address: IPAddress
    ports: PortRange
    owner: str
    relay: tuple[IPAddress, PortRange] | None = None
    proxy_protocol: bool = False
    both: bool = False

    @property
    def key(self) -> Key:
        return ("port", self.protocol, "*" if self.both else str(self.address), str(self.ports))

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Everything that the sockets are bound to."""
        return tuple(UNSPECIFIED.values()) if self.both else (self.address,)


@dataclass(frozen=True, slots=True)
class Link:
    """A name of a sandbox's own (Docker's `--link`): `alias` stands for what `name` is on the network (its id)."""

    network: str
    alias: str
    name: str


@dataclass(frozen=True, slots=True)
class Resolver:
    """The name server of one sandbox, at 127.0.0.11 port 53 inside it.

    `networks` (ids) are searched in this order; `links` before them. What no network knows is asked of `servers`, from
    inside the sandbox, or, when there are none and `forward` holds, of the host's resolvers, from the host.
    `forward` is false for a sandbox without a way out. `ndots` says that the user chose `ndots`: then names of one
    label are never asked elsewhere (Docker's rule).

    Sockets: UDP and TCP on one port of 127.0.0.11 inside, and the sandbox's namespace.
    """

    sandbox: str
    networks: tuple[str, ...]
    owner: str
    links: tuple[Link, ...] = ()
    servers: tuple[IPAddress, ...] = ()
    forward: bool = True
    ndots: bool = False

    @property
    def key(self) -> Key:
        return ("resolver", self.sandbox)


@dataclass(frozen=True, slots=True)
class HostResolver:
    """The name server for the host itself: answers `<name>.<network>.linkspan` on a loopback address, port 53.

    Sockets: UDP and TCP.
    """

    address: IPAddress
    owner: str

    @property
    def key(self) -> Key:
        return ("host resolver", str(self.address))


class RecordType(StrEnum):
    """Types of records that can be added to a network."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    TXT = "TXT"
    SRV = "SRV"


@dataclass(frozen=True, slots=True)
class Record:
    """One more record of a network; `value` in the presentation form of RFC 1035 (`10 5 5060 sip.example.`)."""

    name: str
    type: RecordType
    value: str
    ttl: int = 600


@dataclass(frozen=True, slots=True)
class NameZone:
    """The names of one network: its own name, which qualifies them (`web.shop`), and its extra records. No sockets."""

    network: str
    name: str
    owner: str
    records: tuple[Record, ...] = ()

    @property
    def key(self) -> Key:
        return ("zone", self.network)


@dataclass(frozen=True, slots=True)
class NameEntry:
    """The names of one sandbox on one network; the first is what its addresses resolve to. No sockets.

    A name may begin with `*.`: then it stands for every name below (`*.web`).
    """

    network: str
    sandbox: str
    names: tuple[str, ...]
    addresses: tuple[IPAddress, ...]
    owner: str

    @property
    def key(self) -> Key:
        return ("name", self.network, self.sandbox)


Service: TypeAlias = HostPort | Resolver | HostResolver | NameZone | NameEntry
"""Everything the data plane can hold."""


@dataclass(frozen=True, slots=True)
class Load:
    """Which process serves, and how many services of each kind (the first word of their keys) it holds.

    `remote` tells the process that outlives the daemon from the daemon itself.
    """

    pid: int
    services: Mapping[str, int]
    sockets: int
    remote: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of how a query is answered: `where` was looked (`zone shop`, `cache`, `upstream 10.0.0.2`), what came
    of it, and after how many seconds from the start.
    """

    where: str
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Trace:
    """How a query was answered: its response code (`NOERROR`), its records in presentation form, and the steps."""

    status: str
    answers: tuple[str, ...]
    steps: tuple[Step, ...]

"""Requests: everything a caller can ask to be changed, as values.

A request is applied (`engine.apply(request)`) or only planned (`engine.plan(request)`); both take the same path.
Fields hold what a user types; they are parsed and checked once, where the request is decided, and nothing is touched
before all of it holds. A field's name is the name errors give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from linkspan.model.networks import Network
from linkspan.model.sandboxes import Sandbox

Result = TypeVar("Result", covariant=True)


class Request(Generic[Result]):
    """A change someone wants; `Result` is what applying it returns."""


@dataclass(frozen=True)
class SubnetRequest:
    """One prefix of a network to be: all in text, as `docker network create` takes them. Empty text means "choose"."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateNetwork(Request[Network]):
    """`docker network create`. `options` are driver options under Docker's names (`com.docker.network.bridge.name`).

    A subnet of a family that is not enabled has no effect, as in Docker. `attachable` and `ipam_options` are kept and
    shown.
    A label `linkspan.dns/<name>` gives the network records of that name, one a line, as a zone file has them:
    `A 10.0.0.9`, `300 CNAME db.example.` (a time to live in seconds first), `SRV 0 5 5432 db`, `TXT "two words"`.
    """

    name: str
    driver: str = "bridge"
    subnets: Sequence[SubnetRequest | str] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    attachable: bool = False
    ipam_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoveNetwork(Request[Network]):
    """`docker network rm`, by name, id, or unique prefix of an id."""

    network: str


@dataclass(frozen=True)
class RecordRequest:
    """One more record of a network: `type` is A, AAAA, CNAME, TXT or SRV, `value` its text as a zone file has it."""

    name: str
    type: str
    value: str
    ttl: int = 600


@dataclass(frozen=True)
class SetRecords(Request[Network]):
    """Give a network these records in place of all it had, those of its labels included."""

    network: str
    records: Sequence[RecordRequest] = ()


@dataclass(frozen=True)
class EndpointRequest:
    """How to join one network. Empty text means "choose".

    `aliases` are more names of the sandbox on this network (`*.web` stands for every name below `web`); `links` are
    names that only the sandbox itself knows, Docker's `--link`: `<name on the network>:<alias>`, or the name alone.
    Both need a user-defined network. `link_local` are more addresses of the interface, valid on its link alone.
    `driver_opts` are what a client said, kept to be shown: those that mean something have fields of their own.
    """

    network: str
    ipv4_address: str = ""
    ipv6_address: str = ""
    mac_address: str = ""
    ifname: str = ""
    gw_priority: int = 0
    aliases: Sequence[str] = ()
    links: Sequence[str] = ()
    link_local: Sequence[str] = ()
    driver_opts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class CreateSandbox(Request[Sandbox]):
    """A namespace with its endpoints and published ports, in one step.

    `mode` is Docker's `--network` for the modes without endpoints: `host`, `none`, `container:<sandbox>`; empty means
    a namespace with endpoints on `networks` (in this order: `eth0`, `eth1`, …; the default network when empty).
    `unconnected` starts without any: networks can be connected later. `publish` takes Docker's `-p` texts. `id` (64 hex
    digits) is for a caller that knows the sandbox by an id of its own, as a container does; empty means "choose".
    `hostname` is one more name of the sandbox on its networks. `dns` are the name servers that are asked, from inside
    the sandbox, for what no network knows (none: the host's, from the host); `ndots` says that the user chose `ndots`.
    `proxy_protocol` lists container ports (`80`, `80/tcp`, `8000-8010/tcp`) that are published through the relay, which
    tells them the client's address by PROXY protocol version 2.
    """

    name: str
    mode: str = ""
    networks: Sequence[EndpointRequest | str] = ()
    publish: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    unconnected: bool = False
    hostname: str = ""
    dns: Sequence[str] = ()
    ndots: bool = False
    proxy_protocol: Sequence[str] = ()


@dataclass(frozen=True)
class RemoveSandbox(Request[Sandbox]):
    """Release everything a sandbox holds."""

    sandbox: str


@dataclass(frozen=True)
class RenameSandbox(Request[Sandbox]):
    """Give a sandbox another name, and so its networks."""

    sandbox: str
    name: str


@dataclass(frozen=True)
class Connect(Request[Sandbox]):
    """`docker network connect`, on a live sandbox."""

    sandbox: str
    endpoint: EndpointRequest | str


@dataclass(frozen=True)
class Disconnect(Request[Sandbox]):
    """`docker network disconnect`, on a live sandbox."""

    sandbox: str
    network: str


@dataclass(frozen=True)
class Publish(Request[Sandbox]):
    """Publish more ports of a live sandbox."""

    sandbox: str
    publish: Sequence[str]


@dataclass(frozen=True)
class Unpublish(Request[Sandbox]):
    """Take published ports back, named by the host side: `8080`, `8080/udp`, `127.0.0.1:8080`, `8000-8010`."""

    sandbox: str
    ports: Sequence[str]

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
    """`docker network create`. `options` are driver options under Docker's names (`com.docker.network.bridge.name`)."""

    name: str
    driver: str = "bridge"
    subnets: Sequence[SubnetRequest | str] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoveNetwork(Request[Network]):
    """`docker network rm`, by name, id, or unique prefix of an id."""

    network: str


@dataclass(frozen=True)
class EndpointRequest:
    """How to join one network. Empty text means "choose"."""

    network: str
    ipv4_address: str = ""
    ipv6_address: str = ""
    mac_address: str = ""
    ifname: str = ""
    gw_priority: int = 0


@dataclass(frozen=True)
class CreateSandbox(Request[Sandbox]):
    """A namespace with its endpoints and published ports, in one step.

    `mode` is Docker's `--network` for the modes without endpoints: `host`, `none`, `container:<sandbox>`; empty means
    a namespace with endpoints on `networks` (in this order: `eth0`, `eth1`, …; the default network when empty).
    `unconnected` starts without any: networks can be connected later. `publish` takes Docker's `-p` texts. `id` (64 hex
    digits) is for a caller that knows the sandbox by an id of its own, as a container does; empty means "choose".
    """

    name: str
    mode: str = ""
    networks: Sequence[EndpointRequest | str] = ()
    publish: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    unconnected: bool = False


@dataclass(frozen=True)
class RemoveSandbox(Request[Sandbox]):
    """Release everything a sandbox holds."""

    sandbox: str


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

"""Sandboxes (network namespaces with a life of their own) and the endpoints that join them to networks."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from linkspan.model.addressing import IPAddress, IPInterface, Version
from linkspan.model.dataplane import Link
from linkspan.model.ports import PortBinding


class Mode(StrEnum):
    """Where a sandbox's processes live: Docker's `--network` modes.

    `BRIDGE` stands for "a namespace of its own, with endpoints"; `SHARED` is `container:X`.
    """

    BRIDGE = "bridge"
    HOST = "host"
    NONE = "none"
    SHARED = "container"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One interface of a sandbox on one network.

    `ifname` is its name inside (`eth0`), `mac` its hardware address; `priority` decides which network gives the
    default route (higher wins). `names` are what the sandbox is called on the network, in Docker's order: its name, its
    aliases, the first 12 digits of its id, its host name; none on a network that answers no names. `links` are the
    names that it alone knows. `link_local` are addresses of its link alone, besides those of the network.
    """

    id: str
    network: str
    ifname: str
    mac: str
    addresses: tuple[IPInterface, ...]
    priority: int = 0
    names: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    link_local: tuple[IPInterface, ...] = ()

    @property
    def host_ifname(self) -> str:
        """The host end of the pair: `veth` and the first 7 hex digits of the endpoint's id, so it can be traced."""
        return f"veth{self.id[:7]}"

    def address(self, version: Version) -> IPInterface | None:
        """The address of one family."""
        return next((address for address in self.addresses if address.version == version), None)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A namespace, its endpoints in order of connection, and what is published from it.

    `shares` is the id of the sandbox whose namespace is used when the mode is `SHARED`. `ports` are bound on the host
    as long as an endpoint gives the sandbox a way out (Docker's gateway endpoint). `hostname`, `servers` and `ndots`
    are for the name server inside: see `CreateSandbox`.
    """

    id: str
    name: str
    mode: Mode
    created: datetime
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    shares: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    hostname: str = ""
    servers: tuple[IPAddress, ...] = ()
    ndots: bool = False

    def endpoint(self, network: str) -> Endpoint | None:
        """The endpoint on the network with that id."""
        return next((endpoint for endpoint in self.endpoints if endpoint.network == network), None)

"""Networks: what a user creates, and what containers are attached to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from linkspan.model.addressing import IPAddress, IPNetwork, Version
from linkspan.model.dataplane import Record


class Driver(StrEnum):
    """Docker's local drivers that this version serves."""

    BRIDGE = "bridge"
    HOST = "host"
    NULL = "null"


def edge_addresses(prefix: IPNetwork) -> set[int]:
    """Addresses at the ends of a prefix that no host may have.

    The network address and, for IPv4, the broadcast address, unless the prefix holds only one or two addresses
    (RFC 3021); for IPv6 the subnet-router anycast address (RFC 4291 §2.6.1).
    """
    if prefix.max_prefixlen - prefix.prefixlen <= 1:
        return set()
    first = int(prefix.network_address)
    return {first} if prefix.version == 6 else {first, int(prefix.broadcast_address)}


@dataclass(frozen=True, slots=True)
class Subnet:
    """One prefix of a network.

    `range` limits dynamic addresses (Docker's `--ip-range`); `auxiliary` maps names to addresses that are never handed
    out.
    """

    prefix: IPNetwork
    gateway: IPAddress
    range: IPNetwork | None = None
    auxiliary: tuple[tuple[str, IPAddress], ...] = ()

    @property
    def version(self) -> Version:
        """4 or 6."""
        return self.prefix.version

    def reserved(self) -> list[int]:
        """Addresses that are never handed out, sorted: the ends of the prefix, the gateway, auxiliary addresses."""
        named = {int(self.gateway), *(int(address) for _, address in self.auxiliary)}
        return sorted(named | edge_addresses(self.prefix))


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What a bridge network is on the host, and how interfaces inside are called.

    `mtu` None leaves the kernel's default of 1500.
    """

    name: str
    mac: str
    mtu: int | None = None
    icc: bool = True
    masquerade: bool = True
    host_binding: tuple[IPAddress, ...] = ()
    ifname_prefix: str = "eth"


@dataclass(frozen=True, slots=True)
class Network:
    """A network. `bridge` is set exactly when the driver is bridge; immutable after creation, as in Docker.

    Only `records`, which its name servers answer besides the names of sandboxes, can be set again. `attachable` and
    `ipam_options` are what the client said, and have no effect.
    """

    id: str
    name: str
    driver: Driver
    created: datetime
    subnets: tuple[Subnet, ...] = ()
    bridge: BridgeSettings | None = None
    internal: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    predefined: bool = False
    records: tuple[Record, ...] = ()
    attachable: bool = False
    ipam_options: tuple[tuple[str, str], ...] = ()

    @property
    def answers_names(self) -> bool:
        """Whether sandboxes find each other by name on it: on user-defined networks, as in Docker."""
        return self.bridge is not None and not self.predefined

    def subnet(self, version: Version) -> Subnet | None:
        """The prefix of one family; a bridge network has at most one each."""
        return next((subnet for subnet in self.subnets if subnet.version == version), None)

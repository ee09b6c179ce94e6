"""Engine-wide settings, under dockerd's names (`docker-networking.md` §1.9 of the facts)."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from linkspan.model.addressing import IPAddress, IPNetwork


class FirewallBackend(StrEnum):
    """Which tool holds the rules."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Networks without a subnet get the lowest free prefix of length `size` inside `base`."""

    base: IPNetwork
    size: int


DEFAULT_POOLS: tuple[AddressPool, ...] = tuple(
    AddressPool(IPv4Network(base), size)
    for base, size in (
        ("172.17.0.0/16", 16),
        ("172.18.0.0/16", 16),
        ("172.19.0.0/16", 16),
        ("172.20.0.0/14", 16),
        ("172.24.0.0/14", 16),
        ("172.28.0.0/14", 16),
        ("192.168.0.0/16", 20),
    )
)
"""Docker's local pools in Docker's order: 31 networks."""


@dataclass(frozen=True, slots=True)
class Config:
    """One engine's settings. The defaults are dockerd's.

    `bip`/`bip6` give the default bridge its address and prefix; `fixed_cidr` limits its dynamic addresses;
    `ip_forward` switches forwarding on; what passes the bridges by is dropped then, in the families that were not
    forwarded before, unless `ip_forward_no_drop`.
    `host_binding` is the address ports are published on when a request names none.
    `userland_proxy` (iptables only) keeps Docker's classic table, in which loopback and hairpin traffic is left to a
    user-space relay; nftables carries both by NAT and needs none. Either way it also has the relay carry what NAT never
    can: connections to ::1, and from an IPv6 address of the host to a sandbox with IPv4 only.
    `names` gives sandboxes on user-defined networks a name server at 127.0.0.11; `host_resolver` is the loopback
    address of one for the host itself (`<name>.<network>.linkspan`). `host_gateway` are the addresses at which
    sandboxes reach the host by name (`host-gateway`, `host.docker.internal`); none: those of the default bridge.
    """

    bridge: str = "docker0"
    bip: IPv4Interface | None = None
    bip6: IPv6Interface | None = None
    fixed_cidr: IPv4Network | None = None
    fixed_cidr_v6: IPv6Network | None = None
    ipv6: bool = False
    mtu: int = 1500
    icc: bool = True
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    host_binding: IPAddress = field(default_factory=lambda: IPv4Address(0))
    pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    firewall: FirewallBackend = FirewallBackend.NFTABLES
    userland_proxy: bool = True
    names: bool = False
    host_resolver: IPAddress | None = None
    host_gateway: tuple[IPAddress, ...] = ()

"""The nft transactions of the product as text, made ahead for the floor: one table, one shape, the same elements."""

from ipaddress import IPv4Address, IPv4Network, ip_network

from linkspan.model.addressing import VERSIONS
from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.plan.firewall import Published, Transit, Zone
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import KernelObject, mark
from linkspan.plan.operations import diff
from linkspan.plan.ruleset import nft_script

_FIREWALL = Nftables(Transit(VERSIONS))  # a room does not forward before
_ENGINE = "0123456789ab"
EVERYWHERE = IPv4Address(0)


def _there_and_back(objects: list[KernelObject]) -> tuple[bytes, bytes]:
    return nft_script(diff((), objects)).encode(), nft_script(diff(objects, ())).encode()


def base() -> bytes:
    """The table with its sets, maps and chains."""
    objects: list[KernelObject] = list(_FIREWALL.base(mark(_ENGINE, "engine", _ENGINE)))
    return nft_script(diff((), objects)).encode()


def network(bridge: str, subnet: IPv4Network) -> tuple[bytes, bytes]:
    """Add and delete the elements of a network."""
    zone = Zone(bridge, (ip_network(str(subnet)),), False, True, True, mark(_ENGINE, "network", bridge[3:]))
    return _there_and_back(list(_FIREWALL.zone(zone)))


def published(bridge: str, target: IPv4Address, port: int) -> tuple[bytes, bytes]:
    """Add and delete the element of one published port."""
    binding = PortBinding(Protocol.TCP, EVERYWHERE, PortRange(port, port), PortRange(80, 80))
    return _there_and_back(
        list(_FIREWALL.published(Published(binding, target, bridge, mark(_ENGINE, "sandbox", f"{port:012x}"))))
    )

"""Networks and endpoints as Docker shows them."""

from collections.abc import Iterable, Mapping

from linkspan.api.bodies.networks import EndpointBody, IpamBody, NetworkBody, NetworkMember, SubnetBody
from linkspan.api.render.times import timestamp
from linkspan.model.addressing import Version
from linkspan.model.networks import Network, Subnet
from linkspan.model.sandboxes import Endpoint


def network_body(network: Network, members: Mapping[str, NetworkMember] | None = None) -> NetworkBody:
    """A network; in lists it has no members."""
    options = dict(network.options)
    if network.predefined and network.bridge is not None:
        options = {"com.docker.network.bridge.default_bridge": "true", **options}
    return NetworkBody(
        name=network.name,
        id=network.id,
        created=timestamp(network.created),
        driver=str(network.driver),
        enable_ipv4=network.bridge is None or network.subnet(4) is not None,
        enable_ipv6=network.subnet(6) is not None,
        ipam=IpamBody(
            options=None if network.predefined else dict(network.ipam_options),
            config=[subnet_body(subnet) for subnet in network.subnets],
        ),
        internal=network.internal,
        attachable=network.attachable,
        containers=dict(members or {}),
        options=options,
        labels=dict(network.labels),
    )


def subnet_body(subnet: Subnet) -> SubnetBody:
    """One prefix of a network."""
    return SubnetBody(
        subnet=str(subnet.prefix),
        ip_range=str(subnet.range or ""),
        gateway=str(subnet.gateway),
        auxiliary_addresses={name: str(address) for name, address in subnet.auxiliary},
    )


def member_body(name: str, endpoint: Endpoint) -> NetworkMember:
    """An endpoint, as its network shows it."""
    return NetworkMember(
        name=name,
        endpoint_id=endpoint.id,
        mac_address=endpoint.mac,
        ipv4_address=str(endpoint.address(4) or ""),
        ipv6_address=str(endpoint.address(6) or ""),
    )


def endpoint_body(network: Network, endpoint: Endpoint, wish: EndpointBody, names: Iterable[str] = ()) -> EndpointBody:
    """An endpoint, as its container shows it: what was asked for, and what it has."""
    return EndpointBody(
        ipam_config=wish.ipam_config,
        links=wish.links,
        aliases=wish.aliases,
        driver_opts=wish.driver_opts,
        gw_priority=endpoint.priority,
        mac_address=endpoint.mac,
        network_id=network.id,
        endpoint_id=endpoint.id,
        gateway=_gateway(network, 4),
        ip_address=_address(endpoint, 4),
        ip_prefix_len=_prefix_length(endpoint, 4),
        ipv6_gateway=_gateway(network, 6),
        global_ipv6_address=_address(endpoint, 6),
        global_ipv6_prefix_len=_prefix_length(endpoint, 6),
        dns_names=list(names) or None,
    )


def _gateway(network: Network, version: Version) -> str:
    subnet = network.subnet(version)
    return "" if subnet is None or network.internal else str(subnet.gateway)


def _address(endpoint: Endpoint, version: Version) -> str:
    address = endpoint.address(version)
    return "" if address is None else str(address.ip)


def _prefix_length(endpoint: Endpoint, version: Version) -> int:
    address = endpoint.address(version)
    return 0 if address is None else address.network.prefixlen

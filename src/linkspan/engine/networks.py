"""Decisions about networks: create, remove, and the three that exist from the start."""

from collections.abc import Iterable, Sequence
from typing import Any

from linkspan.engine.decisions import Context, Decision, describe, pairs, well_typed
from linkspan.engine.options import read_options
from linkspan.engine.records import label_records
from linkspan.model.addressing import (
    IPV6_MIN_MTU,
    VERSIONS,
    IPAddress,
    IPNetwork,
    Version,
    contains,
    parse_address,
    parse_network,
)
from linkspan.model.config import Config
from linkspan.model.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError, NotFoundError
from linkspan.model.names import check_name
from linkspan.model.networks import BridgeSettings, Driver, Network, Subnet
from linkspan.model.problems import Problem
from linkspan.model.requests import CreateNetwork, RemoveNetwork, SubnetRequest
from linkspan.model.state import Change, State
from linkspan.plan.addresses import choose_subnet, first_gateway, overlapping

PREDEFINED = ("bridge", "host", "none", "default")

UNUSABLE = tuple(
    parse_network(text, field="subnet")
    for text in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "::/127", "fe80::/10", "ff00::/8")
)
"""Unspecified, loopback, link-local (IPv6) and multicast addresses: no prefix of a network may share one."""


def create_network(context: Context, request: CreateNetwork) -> Decision[Network]:
    """`docker network create`: everything checked, every unset field chosen."""
    request = well_typed(request)
    if request.name in PREDEFINED:
        text = f"operation is not permitted on predefined {request.name} network"
        raise ForbiddenError(text, field="name", value=request.name)
    check_name(request.name, kind="network")
    _check_driver(request.driver)
    context.state.check_names(network=request.name)
    network = bridge_network(context, request)
    return Decision(
        Change(networks={network.id: network}),
        network,
        (context.event("network", "create", network.id, **describe(network)),),
    )


def remove_network(context: Context, request: RemoveNetwork) -> Decision[Network]:
    """`docker network rm`: refused while sandboxes are connected."""
    network = context.state.network(well_typed(request).network)
    if network.predefined:
        text = f"{network.name} is a pre-defined network and cannot be removed"
        raise ForbiddenError(text, field="network", value=network.name)
    if members := context.state.members(network.id):
        listed = " ".join(f'(name:"{s.name}" id:"{e.id[:12]}")' for s in members if (e := s.endpoint(network.id)))
        raise ForbiddenError(
            f"error while removing network: network {network.name} has active endpoints {listed}",
            field="network",
            value=network.name,
            hint="disconnect or remove those sandboxes first",
        )
    return Decision(
        Change(networks={network.id: None}),
        network,
        (context.event("network", "destroy", network.id, **describe(network)),),
    )


def _check_driver(driver: str) -> None:
    if driver in (Driver.HOST, Driver.NULL):
        raise ForbiddenError(f'only one instance of "{driver}" network is allowed', field="driver", value=driver)
    if driver != Driver.BRIDGE:
        raise NotFoundError(f'plugin "{driver}" not found', field="driver", value=driver, hint="known drivers: bridge")


def bridge_network(context: Context, request: CreateNetwork, *, predefined: bool = False) -> Network:
    """The network a request describes, with what it leaves open chosen."""
    if not (request.ipv4 or request.ipv6):
        raise InvalidError("IPv4 or IPv6 must be enabled", field="ipv4", value=False)
    id = context.surroundings.new_id()
    settings: dict[str, Any] = {"name": f"br-{id[:12]}"} | read_options(request.options)
    _check_bridge_name(context, settings["name"])
    if request.ipv6 and settings.get("mtu") is not None and settings["mtu"] < IPV6_MIN_MTU:
        raise InvalidError(
            f"an IPv6 network needs an MTU of at least {IPV6_MIN_MTU} (RFC 8200)",
            field="com.docker.network.driver.mtu",
            value=settings["mtu"],
        )
    labels = pairs(request.labels, name="labels")
    return Network(
        id=id,
        name=request.name,
        driver=Driver.BRIDGE,
        created=context.surroundings.now(),
        subnets=tuple(_subnets(context, request)),
        bridge=BridgeSettings(mac=context.surroundings.new_mac(), **settings),
        internal=request.internal,
        labels=labels,
        options=pairs(request.options, name="options"),
        predefined=predefined,
        records=label_records(labels),
        attachable=request.attachable,
        ipam_options=pairs(request.ipam_options, name="ipam_options"),
    )


def _check_bridge_name(context: Context, name: str) -> None:
    for network in context.state.networks.values():
        if network.bridge is not None and network.bridge.name == name:
            raise ConflictError(
                f"bridge name {name} is already used by network {network.name}",
                field="com.docker.network.bridge.name",
                value=name,
            )


def _subnets(context: Context, request: CreateNetwork) -> Iterable[Subnet]:
    """One subnet per enabled family, IPv4 first."""
    wanted = {version: list[Subnet]() for version in VERSIONS}
    open_requests = []
    for asked in _subnet_requests(request):
        if asked.subnet:
            subnet = _explicit(asked, parse_network(asked.subnet, field="subnet"))
            wanted[subnet.version].append(subnet)
        else:
            open_requests.append(asked)
    for version, enabled in ((VERSIONS[0], request.ipv4), (VERSIONS[1], request.ipv6)):
        if not enabled:
            continue
        if len(found := wanted[version]) > 1:
            raise InvalidError(
                "bridge driver doesn't support multiple subnets", field="subnets", value=str(found[1].prefix)
            )
        if found:
            _check_free(context, found[0].prefix)
            yield found[0]
        else:
            yield _from_pools(context, version, _take(open_requests, version))
    if open_requests:
        raise InvalidError(
            "gateway, ip-range or auxiliary address given without a subnet to hold it",
            field="subnets",
            value=next(iter(_addresses(open_requests[0])), None),
        )


def _subnet_requests(request: CreateNetwork) -> list[SubnetRequest]:
    return [well_typed(SubnetRequest(item) if isinstance(item, str) else item) for item in request.subnets]


def _take(open_requests: list[SubnetRequest], version: Version) -> SubnetRequest:
    """The request without a subnet that is meant for this family: an entirely empty one, or one of its addresses."""
    for asked in open_requests:
        if all((":" in text) == (version == 6) for text in _addresses(asked)):
            open_requests.remove(asked)
            return asked
    return SubnetRequest()


def _addresses(asked: SubnetRequest) -> list[str]:
    return [text for text in (asked.gateway, asked.ip_range, *asked.aux_addresses.values()) if text]


def _check_free(context: Context, prefix: IPNetwork) -> None:
    for network in context.state.networks.values():
        if overlapping(prefix, (subnet.prefix for subnet in network.subnets)) is not None:
            raise ForbiddenError(
                "invalid pool request: Pool overlaps with other one on this address space",
                field="subnet",
                value=str(prefix),
                hint=f"{prefix} overlaps network {network.name}; `docker network ls` shows what is used",
            )


def _from_pools(context: Context, version: Version, asked: SubnetRequest) -> Subnet:
    networks = [subnet.prefix for network in context.state.networks.values() for subnet in network.subnets]
    prefix = choose_subnet(context.pools, [*networks, *context.facts.occupied], version)
    if prefix is None:
        raise ExhaustedError(
            "all predefined address pools have been fully subnetted",
            field="subnets",
            hint="remove unused networks, name a subnet, or configure more default address pools",
        )
    return _explicit(asked, prefix)


def _explicit(asked: SubnetRequest, prefix: IPNetwork) -> Subnet:
    """A subnet of `prefix` as asked for, everything inside it checked."""
    if overlapping(prefix, UNUSABLE) is not None:
        raise InvalidError(f"invalid subnet {prefix}: not usable for hosts", field="subnet", value=str(prefix))
    ip_range = _range(asked.ip_range, prefix) if asked.ip_range else None
    named = pairs(asked.aux_addresses, name="aux_addresses")
    auxiliary = tuple((name, _inside(text, prefix, field="auxiliary address")) for name, text in named)
    if asked.gateway:
        gateway: IPAddress | None = _inside(asked.gateway, prefix, field="gateway")
    else:
        gateway = first_gateway(prefix, ip_range, [address for _, address in auxiliary])
    if gateway is None:
        raise ExhaustedError(
            f"no address left for the gateway in {ip_range or prefix}", field="subnet", value=str(prefix)
        )
    _check_distinct(gateway, [address for _, address in auxiliary])
    return Subnet(prefix, gateway, ip_range, auxiliary)


def _range(text: str, prefix: IPNetwork) -> IPNetwork:
    ip_range = parse_network(text, field="ip-range")
    if not contains(prefix, ip_range.network_address) or ip_range.prefixlen < prefix.prefixlen:
        raise InvalidError(f"invalid ip-range {ip_range}: not within subnet {prefix}", field="ip-range", value=text)
    return ip_range


def _inside(text: str, prefix: IPNetwork, *, field: str) -> IPAddress:
    address = parse_address(text, field=field)
    if not contains(prefix, address):
        raise InvalidError(f"invalid {field} {address}: not within subnet {prefix}", field=field, value=text)
    if prefix.num_addresses > 2 and address == prefix.network_address:
        raise InvalidError(f"invalid {field} {address}: it is the network's own address", field=field, value=text)
    if prefix.version == 4 and prefix.num_addresses > 2 and address == prefix.broadcast_address:
        raise InvalidError(f"invalid {field} {address}: it is the broadcast address", field=field, value=text)
    return address


def _check_distinct(gateway: IPAddress, auxiliary: Sequence[IPAddress]) -> None:
    seen = {gateway}
    for address in auxiliary:
        if address in seen:
            raise ForbiddenError(
                f"auxiliary address {address} already in use", field="auxiliary address", value=str(address)
            )
        seen.add(address)


def settle_predefined(context: Context) -> tuple[Change, tuple[Problem, ...]]:
    """The change that makes `bridge`, `host` and `none` what the settings say; and why one cannot be made.

    A default bridge whose settings changed is replaced as long as nothing is connected to it.
    """
    current = next((n for n in context.state.networks.values() if n.predefined and n.name == "bridge"), None)
    wanted = _default_bridge(context.config)
    if current is None:
        new = [bridge_network(context, wanted, predefined=True), *_without_bridge(context)]
        return Change(networks={network.id: network for network in new}), ()
    if not _differs(current, wanted):
        return Change(), ()
    if context.state.members(current.id):
        message = "its settings have changed, but sandboxes are connected to it"
        return Change(), (Problem("network bridge", message, "disconnect them and open the engine again"),)
    others = [network for network in context.state.networks.values() if network is not current]
    renewed = bridge_network(context.of(State(others)), wanted, predefined=True)
    return Change(networks={current.id: None, renewed.id: renewed}), ()


def _without_bridge(context: Context) -> list[Network]:
    now, new_id = context.surroundings.now, context.surroundings.new_id
    return [
        Network(new_id(), "host", Driver.HOST, now(), predefined=True),
        Network(new_id(), "none", Driver.NULL, now(), predefined=True),
    ]


def _differs(current: Network, wanted: CreateNetwork) -> bool:
    """Whether the settings say something else than what exists; a subnet that was chosen from the pools stays."""
    explicit = [_explicit(s, parse_network(s.subnet, field="subnet")) for s in _subnet_requests(wanted)]
    return (
        current.options != pairs(wanted.options, name="options")
        or wanted.ipv6 != (current.subnet(6) is not None)
        or any(current.subnet(subnet.version) != subnet for subnet in explicit)
    )


def _default_bridge(config: Config) -> CreateNetwork:
    """The default network as a request: dockerd's `--bip`, `--fixed-cidr`, `--mtu`, … in its words."""
    subnets = [
        SubnetRequest(str(bip.network), str(cidr or ""), str(bip.ip))
        for bip, cidr in ((config.bip, config.fixed_cidr), (config.bip6, config.fixed_cidr_v6))
        if bip is not None
    ]
    if config.bip is None and config.fixed_cidr is not None:
        subnets.append(SubnetRequest(str(config.fixed_cidr)))
    if config.bip6 is None and config.fixed_cidr_v6 is not None:
        subnets.append(SubnetRequest(str(config.fixed_cidr_v6)))
    return CreateNetwork(
        "bridge",
        subnets=subnets,
        ipv6=config.ipv6 or config.bip6 is not None,
        options={
            "com.docker.network.bridge.name": config.bridge,
            "com.docker.network.bridge.enable_icc": str(config.icc).lower(),
            "com.docker.network.bridge.enable_ip_masquerade": str(config.ip_masq).lower(),
            "com.docker.network.bridge.host_binding_ipv4": str(config.host_binding),
            "com.docker.network.driver.mtu": str(config.mtu),
        },
    )

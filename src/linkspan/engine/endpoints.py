"""Decisions about endpoints: joining a sandbox to a network with an address, a hardware address and a name inside."""

from linkspan.engine.decisions import Context, well_typed
from linkspan.engine.naming import check_scope, endpoint_links, endpoint_names
from linkspan.engine.wishes import asked_address, link_local
from linkspan.model.addressing import VERSIONS, IPAddress, IPInterface, interface
from linkspan.model.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError
from linkspan.model.names import check_link_name, check_mac
from linkspan.model.networks import Driver, Network, Subnet
from linkspan.model.requests import EndpointRequest
from linkspan.model.sandboxes import Endpoint, Sandbox
from linkspan.plan.addresses import lowest_free

BRIDGE_PORTS = 1023
"""Ports a Linux bridge can have (BR_MAX_PORTS is 1 << 10, and port number 0 is not used)."""


def endpoint_request(value: EndpointRequest | str) -> EndpointRequest:
    """A network's name alone means "choose everything"."""
    return well_typed(EndpointRequest(value) if isinstance(value, str) else value)


def join(context: Context, sandbox: Sandbox, request: EndpointRequest) -> Endpoint:
    """The endpoint that connects `sandbox`, which may already have others, to a network."""
    network = context.state.network(request.network)
    _check_joinable(context, sandbox, network)
    check_scope(network, request)
    return Endpoint(
        id=_new_id(context, sandbox),
        network=network.id,
        ifname=_ifname(sandbox, network, request.ifname),
        mac=check_mac(request.mac_address, field="mac_address")
        if request.mac_address
        else context.surroundings.new_mac(),
        addresses=_addresses(context, network, request),
        priority=_priority(request.gw_priority),
        names=endpoint_names(sandbox, network, request.aliases),
        links=endpoint_links(context, network, request),
        link_local=link_local(request.link_local),
    )


def _new_id(context: Context, sandbox: Sandbox) -> str:
    """An id whose first 7 digits, which name the host's end of the pair, are not in use."""
    siblings = {endpoint.host_ifname for endpoint in sandbox.endpoints}
    while (name := f"veth{(id := context.surroundings.new_id())[:7]}") in siblings or context.state.has_host_link(name):
        pass
    return id


def _priority(wanted: int) -> int:
    """Docker's number has 64 bits, and so have those in a stored document."""
    if not -(2**63) <= wanted < 2**63:
        raise InvalidError(f"invalid gw_priority {wanted}: not a 64-bit number", field="gw_priority", value=wanted)
    return wanted


def _check_joinable(context: Context, sandbox: Sandbox, network: Network) -> None:
    if network.driver is not Driver.BRIDGE:
        raise InvalidError(
            f"cannot connect container to {network.name} network - "
            f"container must be created in {network.name} network mode",
            field="network",
            value=network.name,
        )
    if sandbox.endpoint(network.id) is not None:
        raise ForbiddenError(
            f"endpoint with name {sandbox.name} already exists in network {network.name}",
            field="network",
            value=network.name,
        )
    if context.state.member_count(network.id) >= BRIDGE_PORTS:
        raise ExhaustedError(
            f"network {network.name} has {BRIDGE_PORTS} endpoints, the most that a Linux bridge can hold",
            field="network",
            value=network.name,
            hint="spread the sandboxes over several networks",
        )


def _ifname(sandbox: Sandbox, network: Network, wanted: str) -> str:
    """The name asked for, or the lowest free `eth<N>`; a network can have another prefix."""
    used = {endpoint.ifname for endpoint in sandbox.endpoints}
    if not wanted:
        assert network.bridge is not None
        prefix = network.bridge.ifname_prefix
        return next(name for n in range(len(used) + 1) if (name := f"{prefix}{n}") not in used)
    check_link_name(wanted, field="ifname")
    if wanted in used or wanted == "lo":
        raise ConflictError(
            f"interface name {wanted} is already used in sandbox {sandbox.name}", field="ifname", value=wanted
        )
    return wanted


def _addresses(context: Context, network: Network, request: EndpointRequest) -> tuple[IPInterface, ...]:
    """One address per family of the network, the static ones where asked for."""
    found: list[IPInterface] = []
    for version in VERSIONS:
        asked = asked_address(network, request, version)
        subnet = network.subnet(version)
        if subnet is not None:
            address = _dynamic(context, network, subnet) if asked is None else _static(context, network, subnet, asked)
            found.append(interface(address, subnet.prefix.prefixlen))
    return tuple(found)


def _static(context: Context, network: Network, subnet: Subnet, address: IPAddress) -> IPAddress:
    if int(address) in subnet.reserved():
        raise _in_use(address, f"{address} is reserved in {subnet.prefix}")
    if (holder := context.state.holder(network.id, address)) is not None:
        raise _in_use(address, f"sandbox {holder.name} has {address} on {network.name}")
    return address


def _in_use(address: IPAddress, hint: str) -> ForbiddenError:
    field = f"ipv{address.version}_address"
    return ForbiddenError("Address already in use", field=field, value=str(address), hint=hint)


def _dynamic(context: Context, network: Network, subnet: Subnet) -> IPAddress:
    leases = context.state.leases(network.id, subnet.version)
    address = lowest_free(leases, subnet.range or subnet.prefix)
    if address is None:
        raise ExhaustedError(
            f"no available IPv{subnet.version} addresses on this network's address pools: "
            f"{network.name} ({network.id})",
            field="network",
            value=network.name,
            hint=f"{subnet.range or subnet.prefix} is fully used",
        )
    return address

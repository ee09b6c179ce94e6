"""What is asked of an endpoint, checked as far as it can be before there is a sandbox.

A container is created long before it joins its networks. What its networks could never give is refused then, as Docker
does; what others hold today they may have released by the time it starts, so that is left to joining.
"""

from collections.abc import Sequence

from linkspan.engine.naming import check_domain_name, check_scope
from linkspan.model.addressing import VERSIONS, IPAddress, IPInterface, Version, contains, interface, parse_address
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.names import check_link_name, check_mac
from linkspan.model.networks import Driver, Network
from linkspan.model.requests import EndpointRequest
from linkspan.model.state import State

_FIELDS: dict[Version, str] = {4: "ipv4_address", 6: "ipv6_address"}
_LINK_LOCAL_PREFIX: dict[Version, int] = {4: 16, 6: 64}


def check_wish(state: State, request: EndpointRequest) -> None:
    """`InvalidError` for what cannot be, whoever else is on the network; one that does not exist yet is no error."""
    for version in VERSIONS:
        asked_address(None, request, version)
    link_local(request.link_local)
    if request.mac_address:
        check_mac(request.mac_address, field="mac_address")
    if request.ifname:
        check_link_name(request.ifname, field="ifname")
    for alias in request.aliases:
        check_domain_name(alias, field="aliases")
    try:
        network = state.network(request.network)
    except NotFoundError:
        return
    if network.driver is Driver.BRIDGE:
        check_scope(network, request)
        for version in VERSIONS:
            asked_address(network, request, version)


def asked_address(network: Network | None, request: EndpointRequest, version: Version) -> IPAddress | None:
    """The address that is asked for, if one is: of its family, and within the network where that is known."""
    field = _FIELDS[version]
    text = request.ipv4_address if version == 4 else request.ipv6_address
    if not text:
        return None
    address = parse_address(text, field=field)
    if address.version != version:
        raise InvalidError(f"invalid {field} {text!r}: not an IPv{version} address", field=field, value=text)
    if network is None:
        return address
    if network.predefined:
        raise InvalidError(
            "user-specified IP address is supported on user-defined networks only", field=field, value=text
        )
    subnet = network.subnet(version)
    if subnet is None or not contains(subnet.prefix, address):
        subnets = ", ".join(str(s.prefix) for s in network.subnets)
        raise InvalidError(
            f"no configured subnet contains IP address {address}",
            field=field,
            value=text,
            hint=f"network {network.name} has {subnets}",
        )
    return address


def link_local(texts: Sequence[str]) -> tuple[IPInterface, ...]:
    """Addresses of the link itself, with the prefixes that RFC 3927 and RFC 4291 give them."""
    found = []
    for text in texts:
        address = parse_address(text, field="link_local")
        if not address.is_link_local:
            raise InvalidError(f"invalid link-local IP address: {text}", field="link_local", value=text)
        found.append(interface(address, _LINK_LOCAL_PREFIX[address.version]))
    return tuple(dict.fromkeys(found))

"""IP values, one path for both families.

`Version` (4 or 6) is the parameter that every family-dependent decision takes.
"""

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from ipaddress import ip_address as _ip_address
from ipaddress import ip_interface as _ip_interface
from ipaddress import ip_network as _ip_network
from typing import Literal, TypeAlias

from linkspan.model.errors import InvalidError

Version: TypeAlias = Literal[4, 6]
IPAddress: TypeAlias = IPv4Address | IPv6Address
IPInterface: TypeAlias = IPv4Interface | IPv6Interface
IPNetwork: TypeAlias = IPv4Network | IPv6Network

VERSIONS: tuple[Version, Version] = (4, 6)
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
IPV6_MIN_MTU = 1280
"""Links with less have no IPv6 (RFC 8200 §5)."""
LOOPBACK_6 = IPv6Address("::1")
UNSPECIFIED: dict[Version, IPAddress] = {4: IPv4Address(0), 6: IPv6Address(0)}


def parse_address(text: str, *, field: str) -> IPAddress:
    """An IPv4 or IPv6 address; `InvalidError` naming `field` otherwise. Zone indices (`%eth0`) are refused."""
    try:
        address = _ip_address(text)
    except ValueError as error:
        raise InvalidError(f"invalid {field} {text!r}: not an IPv4 or IPv6 address", field=field, value=text) from error
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidError(f"invalid {field} {text!r}: a zone index is not allowed here", field=field, value=text)
    return address


def parse_network(text: str, *, field: str) -> IPNetwork:
    """A prefix in CIDR notation whose host bits are zero.

    Docker's text for host bits that are set: `invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24`.
    """
    # Net masks (`10.0.0.0/255.0.0.0`), which the ipaddress module reads too, are not CIDR notation.
    if not _PREFIX_LENGTH.fullmatch(text.rpartition("/")[2]) or "/" not in text:
        raise InvalidError(f"invalid {field} {text}: not in CIDR notation", field=field, value=text)
    try:
        network = _ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidError(f"invalid {field} {text}: not an IPv4 or IPv6 prefix", field=field, value=text) from error
    if network.network_address != _ip_address(text.split("/")[0]):
        raise InvalidError(f"invalid {field} {text}: it should be {network}", field=field, value=text)
    return network


def bracketed(address: IPAddress) -> str:
    """As it stands before a colon and a port: an IPv6 address in brackets."""
    return f"[{address}]" if address.version == 6 else str(address)


def interface(address: IPAddress, prefixlen: int) -> IPInterface:
    """`address` with the length of the prefix it lives in."""
    return _ip_interface((int(address), prefixlen) if address.version == 4 else f"{address}/{prefixlen}")


def contains(prefix: IPNetwork, address: IPAddress) -> bool:
    """Whether `address` lies in `prefix`; False across families."""
    return address.version == prefix.version and address in prefix


def overlaps(left: IPNetwork, right: IPNetwork) -> bool:
    """Whether two prefixes share an address; False across families."""
    if left.version != right.version:
        return False
    shorter, longer = (left, right) if left.prefixlen <= right.prefixlen else (right, left)
    return longer.network_address in shorter

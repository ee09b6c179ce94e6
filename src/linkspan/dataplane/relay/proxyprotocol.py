"""The header that tells a server who its client is: PROXY protocol, version 2.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2. Only what the relay needs: TCP, one header
before the first byte of the client, no extensions.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from linkspan.model.addressing import IPAddress

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PROXIED = 0x21  # version 2, command PROXY
_TCP = {4: 0x11, 6: 0x21}


def header(client: tuple[IPAddress, int], server: tuple[IPAddress, int]) -> bytes:
    """The header of a connection from `client` to `server`, as the relay sees its two ends.

    An IPv4 client of an IPv6 socket (`::ffff:192.0.2.1`) is told as IPv4.
    """
    source, destination = _plain(client[0]), _plain(server[0])
    if source.version != destination.version:
        source, destination = _mapped(source), _mapped(destination)
    body = source.packed + destination.packed + struct.pack("!HH", client[1], server[1])
    return SIGNATURE + struct.pack("!BBH", _PROXIED, _TCP[source.version], len(body)) + body


def _plain(address: IPAddress) -> IPAddress:
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _mapped(address: IPAddress) -> IPv6Address:
    return IPv6Address(f"::ffff:{address}") if isinstance(address, IPv4Address) else address

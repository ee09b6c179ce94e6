"""The header of PROXY protocol version 2, against bytes put together by hand from the specification."""

from ipaddress import IPv4Address, IPv6Address

from linkspan.dataplane.relay.proxyprotocol import header

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def test_an_ipv4_client() -> None:
    made = header((IPv4Address("192.0.2.1"), 56324), (IPv4Address("198.51.100.2"), 443))
    assert made == SIGNATURE + bytes.fromhex("21 11 000c c0000201 c6336402 dc04 01bb")


def test_an_ipv6_client() -> None:
    made = header((IPv6Address("2001:db8::1"), 1), (IPv6Address("2001:db8::2"), 65535))
    addresses = "20010db8000000000000000000000001 20010db8000000000000000000000002"
    assert made == SIGNATURE + bytes.fromhex(f"21 21 0024 {addresses} 0001 ffff")


def test_an_ipv4_client_of_an_ipv6_socket_is_told_as_ipv4() -> None:
    made = header((IPv6Address("::ffff:192.0.2.1"), 2), (IPv6Address("::ffff:198.51.100.2"), 3))
    assert made == SIGNATURE + bytes.fromhex("21 11 000c c0000201 c6336402 0002 0003")

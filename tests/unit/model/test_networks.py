"""Which addresses of a network are never handed out."""

from ipaddress import ip_address, ip_network

import pytest

from linkspan.model.networks import Subnet, edge_addresses
from linkspan.model.requests import CreateNetwork
from tests.support.scenes import Scene


@pytest.mark.parametrize(
    ("prefix", "edges"),
    [
        ("10.0.0.0/24", {"10.0.0.0", "10.0.0.255"}),
        ("10.0.0.0/30", {"10.0.0.0", "10.0.0.3"}),
        ("10.0.0.0/31", set()),
        ("10.0.0.0/32", set()),
        ("fd00::/64", {"fd00::"}),
        ("fd00::/126", {"fd00::"}),
        ("fd00::/127", set()),
        ("fd00::/128", set()),
    ],
)
def test_the_ends_of_a_prefix_that_no_host_may_have(prefix: str, edges: set[str]) -> None:
    assert edge_addresses(ip_network(prefix)) == {int(ip_address(text)) for text in edges}


def test_ends_gateway_and_auxiliary_addresses_are_reserved_in_order() -> None:
    auxiliary = (("b", ip_address("10.0.0.9")), ("a", ip_address("10.0.0.4")))
    subnet = Subnet(ip_network("10.0.0.0/24"), ip_address("10.0.0.7"), None, auxiliary)
    first = int(ip_address("10.0.0.0"))
    assert subnet.reserved() == [first, first + 4, first + 7, first + 9, first + 255]


def test_a_network_knows_its_prefix_of_each_family() -> None:
    network = Scene().do(CreateNetwork("n", subnets=["10.1.0.0/24", "fd00:1::/64"], ipv6=True))
    assert [str(subnet.prefix) for v in (4, 6) if (subnet := network.subnet(4 if v == 4 else 6))] == [
        "10.1.0.0/24",
        "fd00:1::/64",
    ]
    assert Scene().do(CreateNetwork("n")).subnet(6) is None

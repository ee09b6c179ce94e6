"""Where a setting lives, and what stands in the files that are read."""

from ipaddress import ip_address

import pytest

from linkspan.kernel.facts import parse_port_list, parse_resolvers
from linkspan.kernel.sysctls import path
from linkspan.model.ports import PortRange
from linkspan.plan.objects import HOST, Sysctl


@pytest.mark.parametrize(
    ("name", "link", "file"),
    [
        ("net.ipv4.ip_forward", "", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.conf.docker0.route_localnet", "docker0", "/proc/sys/net/ipv4/conf/docker0/route_localnet"),
        ("net.ipv4.conf.br.v1.route_localnet", "br.v1", "/proc/sys/net/ipv4/conf/br.v1/route_localnet"),
        ("net.ipv6.conf.all.forwarding", "all", "/proc/sys/net/ipv6/conf/all/forwarding"),
        ("net.ipv4.conf.conf.route_localnet", "conf", "/proc/sys/net/ipv4/conf/conf/route_localnet"),
        ("net.ipv4.conf.ipv4.route_localnet", "ipv4", "/proc/sys/net/ipv4/conf/ipv4/route_localnet"),
        ("net.ipv4.neigh.eth0.gc_stale_time", "eth0", "/proc/sys/net/ipv4/neigh/eth0/gc_stale_time"),
    ],
)
def test_dots_part_a_name_except_within_an_interface(name: str, link: str, file: str) -> None:
    assert path(Sysctl(HOST, name, "1", link)) == file


def test_resolvers_are_read_as_resolvers_read_them() -> None:
    text = (
        "# nameserver 10.0.0.9\nnameserver 10.0.0.1\noptions ndots:0\nnameserver\tfe80::1%eth0\nnameserver nonsense\n"
    )
    assert parse_resolvers(text) == (ip_address("10.0.0.1"), ip_address("fe80::1"))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("\n", ()), ("8080\n", (PortRange(8080, 8080),)), ("1-3,9\n", (PortRange(1, 3), PortRange(9, 9)))],
)
def test_reserved_ports_are_a_list_of_ranges(text: str, ranges: tuple[PortRange, ...]) -> None:
    assert parse_port_list(text) == ranges

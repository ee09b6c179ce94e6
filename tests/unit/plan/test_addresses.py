"""IPAM against naive oracles."""

from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkspan.model.addressing import IPNetwork, overlaps
from linkspan.model.config import DEFAULT_POOLS, AddressPool
from linkspan.model.networks import edge_addresses
from linkspan.plan.addresses import choose_subnet, first_gateway, lowest_free, overlapping, ula_pool
from tests.support.strategies import prefixes, subprefixes

SMALL_POOLS = st.sampled_from(
    ["10.0.0.0/28", "10.0.0.16/30", "10.0.0.9/32", "fd00::10/124", "fd00::8/127", "fd00::/64"]
)


@settings(max_examples=150)
@example(ip_network("10.0.0.9/32"), {0})
@example(ip_network("10.0.0.16/30"), {0, 1, 2, 3, 9})
@given(SMALL_POOLS.map(ip_network), st.sets(st.integers(-3, 40)))
def test_the_lowest_free_address_is_the_one_found_by_counting(pool: IPNetwork, offsets: set[int]) -> None:
    first, last = int(pool.network_address), int(pool.broadcast_address)
    leases = sorted(first + offset for offset in offsets)
    expected = next((n for n in range(first, min(last, first + 64) + 1) if n not in leases), None)
    assert lowest_free(leases, pool) == (None if expected is None else pool.network_address + (expected - first))


@given(st.integers(1, 2000), st.data())
def test_a_released_address_is_the_next_one_given_out(size: int, data: st.DataObject) -> None:
    pool = IPv4Network("10.0.0.0/16")
    first = int(pool.network_address)
    leases = list(range(first, first + size))
    released = data.draw(st.sampled_from(leases))
    leases.remove(released)
    assert int(lowest_free(leases, pool) or 0) == released


@st.composite
def pool_settings(draw: st.DrawFn) -> tuple[list[AddressPool], list[IPNetwork]]:
    """A few small pools, and prefixes in and around them that are taken."""
    bases: list[IPNetwork] = [ip_network("10.0.0.0/24"), ip_network("10.0.2.0/23"), ip_network("fd00::/120")]
    pools = [
        AddressPool(base, draw(st.integers(base.prefixlen, base.prefixlen + 4)))
        for base in draw(st.permutations(bases))[: draw(st.integers(1, 3))]
    ]
    around = [ip_network("10.0.0.0/22"), ip_network("fd00::/119")]
    taken = st.sampled_from(around).flatmap(lambda base: subprefixes(base, base.max_prefixlen))
    return pools, draw(st.lists(taken, max_size=8))


@settings(max_examples=80)
@example(([AddressPool(IPv4Network("10.0.0.0/24"), 28)], [IPv4Network("10.0.0.128/28")]), 4)
@example(([AddressPool(IPv4Network("10.0.0.0/24"), 25)], [IPv4Network("10.0.0.0/25"), IPv4Network("10.0.0.192/32")]), 4)
@given(pool_settings(), st.sampled_from([4, 6]))
def test_a_chosen_subnet_is_the_lowest_that_overlaps_nothing(
    given_: tuple[list[AddressPool], list[IPNetwork]], version: int
) -> None:
    pools, taken = given_
    candidates = (
        subnet for pool in pools if pool.base.version == version for subnet in pool.base.subnets(new_prefix=pool.size)
    )
    expected = next((subnet for subnet in candidates if not any(overlaps(subnet, other) for other in taken)), None)
    assert choose_subnet(pools, taken, 4 if version == 4 else 6) == expected


def test_dockers_pools_hold_31_networks_in_dockers_order() -> None:
    taken: list[IPNetwork] = []
    while (found := choose_subnet(DEFAULT_POOLS, taken, 4)) is not None:
        taken.append(found)
    assert [str(prefix) for prefix in taken[:3]] == ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]
    assert [str(prefix) for prefix in taken[14:17]] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert len(taken) == 31


def test_a_base_shorter_than_its_networks_has_none() -> None:
    assert choose_subnet([AddressPool(IPv4Network("10.0.0.0/24"), 16)], [], 4) is None


@given(prefixes(), st.data())
def test_the_gateway_is_the_lowest_address_that_a_host_may_have(prefix: IPNetwork, data: st.DataObject) -> None:
    longest = prefix.max_prefixlen
    ip_range = data.draw(st.one_of(st.none(), subprefixes(prefix, min(longest, prefix.prefixlen + 8))))
    offsets = data.draw(st.sets(st.integers(0, 8)))
    pool = ip_range or prefix
    auxiliary = [pool.network_address + offset for offset in offsets if offset < pool.num_addresses]
    used = edge_addresses(prefix) | {int(address) for address in auxiliary}
    first, last = int(pool.network_address), int(pool.broadcast_address)
    expected = next((n for n in range(first, min(last, first + 12) + 1) if n not in used), None)
    found = first_gateway(prefix, ip_range, auxiliary)
    assert (None if found is None else int(found)) == expected


@pytest.mark.parametrize(
    ("prefix", "gateway"),
    [("10.0.0.0/24", "10.0.0.1"), ("10.0.0.0/31", "10.0.0.0"), ("10.0.0.7/32", "10.0.0.7"), ("fd00::/64", "fd00::1")],
)
def test_the_gateway_of_an_empty_prefix_is_its_first_host(prefix: str, gateway: str) -> None:
    assert first_gateway(ip_network(prefix), None, []) == ip_address(gateway)


@given(st.text(max_size=70))
def test_unique_local_addresses_are_a_fixed_48_of_the_seed(seed: str) -> None:
    pool = ula_pool(seed)
    digest = sha256(seed.encode()).hexdigest()
    assert pool.size == 64
    assert pool.base == IPv6Network((int("fd" + digest[6:16], 16) << 80, 48))


@given(prefixes(), st.lists(prefixes(), max_size=5))
def test_overlapping_names_the_first_that_shares_an_address(prefix: IPNetwork, others: list[IPNetwork]) -> None:
    shared = [other for other in others if overlaps(prefix, other)]
    assert overlapping(prefix, others) == (shared[0] if shared else None)

"""IPAM: which subnet a network gets, which address an endpoint gets. Lowest free first, as Docker does.

Leases are sorted lists of integers. In such a list `leases[k] - k` never falls, so the first gap is found by bisection:
an allocation costs O(log n) in a network of any size, and no bitmap has to cover a /64.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import sha256
from ipaddress import IPv6Network, ip_network

from linkspan.model.addressing import IPAddress, IPNetwork, Version, contains, overlaps
from linkspan.model.config import AddressPool
from linkspan.model.networks import edge_addresses


def ula_pool(seed: str) -> AddressPool:
    """The /48 of unique local addresses for a host, split in /64s.

    As Docker derives it: fd00::/8 and the low 40 bits of the first 8 bytes of SHA-256 over the host's id (RFC 4193).
    """
    global_id = int.from_bytes(sha256(seed.encode()).digest()[:8], "big") & (1 << 40) - 1
    return AddressPool(IPv6Network(((0xFD << 120) | (global_id << 80), 48)), 64)


def choose_subnet(pools: Sequence[AddressPool], taken: Iterable[IPNetwork], version: Version) -> IPNetwork | None:
    """The lowest prefix of the pools, in the pools' order, that overlaps nothing in `taken`; None when all are used."""
    held = (prefix for prefix in taken if prefix.version == version)
    obstacles = sorted((int(prefix.network_address), int(prefix.broadcast_address)) for prefix in held)
    for pool in pools:
        if pool.base.version == version and (found := _first_gap(pool, obstacles)) is not None:
            return found
    return None


def _first_gap(pool: AddressPool, obstacles: Sequence[tuple[int, int]]) -> IPNetwork | None:
    step = 1 << (pool.base.max_prefixlen - pool.size)
    start, end = int(pool.base.network_address), int(pool.base.broadcast_address)
    for low, high in obstacles:
        if high < start:
            continue
        if low >= start + step:
            break
        start = (high // step + 1) * step
    if start + step - 1 > end:
        return None
    network: IPNetwork = ip_network((start, pool.size)) if pool.base.version == 4 else IPv6Network((start, pool.size))
    return network


def first_gateway(prefix: IPNetwork, ip_range: IPNetwork | None, auxiliary: Iterable[IPAddress]) -> IPAddress | None:
    """The gateway when none is given: the lowest free address of the range if there is one, else of the prefix."""
    used = sorted(edge_addresses(prefix) | {int(address) for address in auxiliary if contains(prefix, address)})
    return lowest_free(used, ip_range or prefix)


def lowest_free(leases: Sequence[int], pool: IPNetwork) -> IPAddress | None:
    """The lowest address of `pool` that is not in `leases` (sorted); None when the pool is full."""
    first, last = int(pool.network_address), int(pool.broadcast_address)
    start = bisect_left(leases, first)
    low, high = start, len(leases)
    while low < high:
        middle = (low + high) // 2
        if leases[middle] - first == middle - start:
            low = middle + 1
        else:
            high = middle
    free = first + (low - start)
    return pool.network_address + (free - first) if free <= last else None


def overlapping(prefix: IPNetwork, others: Iterable[IPNetwork]) -> IPNetwork | None:
    """The first of `others` that shares an address with `prefix`."""
    return next((other for other in others if overlaps(prefix, other)), None)

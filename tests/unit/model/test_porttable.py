"""The table of held ports, against the plainest thing that could work."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.addressing import IPAddress
from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.model.porttable import PortTable

ADDRESSES = [IPv4Address("0.0.0.0"), IPv4Address("127.0.0.1"), IPv4Address("192.0.2.1")]

ranges = st.builds(
    lambda first, length: PortRange(first, first + length), st.integers(1, 40), st.sampled_from([0, 0, 1, 5, 20])
)
wishes = st.tuples(st.sampled_from(list(Protocol)), st.sampled_from(ADDRESSES), ranges)


def plainly(held: list[PortBinding], protocol: Protocol, address: IPAddress, ports: PortRange) -> int | None:
    """The lowest port of `ports` that collides, found by looking at every port of every binding."""
    taken = [
        port
        for binding in held
        for port in range(binding.host.first, binding.host.last + 1)
        if binding.protocol is protocol
        and ports.first <= port <= ports.last
        and (binding.address == address or binding.address.is_unspecified or address.is_unspecified)
    ]
    return min(taken, default=None)


@given(st.lists(wishes, max_size=30), st.lists(st.integers(0, 29), max_size=10), wishes)
def test_it_finds_the_lowest_taken_port_and_its_owner(
    asked: list[tuple[Protocol, IPAddress, PortRange]], removed: list[int], last: tuple[Protocol, IPAddress, PortRange]
) -> None:
    table, held = PortTable(), list[PortBinding]()
    for protocol, address, ports in asked:
        found = table.holder(protocol, address, ports)
        assert (found[0] if found else None) == plainly(held, protocol, address, ports)
        if found is None:
            binding = PortBinding(protocol, address, ports, ports)
            table.add(binding, str(binding))
            held.append(binding)
    for index in removed:
        if index < len(held):
            binding = held.pop(index)
            table.remove(binding, str(binding))
    found = table.holder(*last)
    assert (found[0] if found else None) == plainly(held, *last)
    if found is not None:
        assert found[1] in {str(binding) for binding in held}


def test_an_emptied_table_equals_a_new_one() -> None:
    table = PortTable()
    binding = PortBinding(Protocol.TCP, ADDRESSES[0], PortRange(80, 90), PortRange(80, 90))
    table.add(binding, "a")
    table.remove(binding, "a")
    assert table == PortTable()

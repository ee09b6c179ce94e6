"""What a kernel does with host ports."""

import errno
from ipaddress import ip_address

import pytest

from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HostPort, Namespace
from linkspan.plan.operations import Operation, OperationFailedError, Verb, undo
from tests.support.machines import Machine, sandbox_id

TCP, UDP, SCTP = Protocol.TCP, Protocol.UDP, Protocol.SCTP


def port(first: int, last: int = 0, protocol: Protocol = TCP, address: str = "0.0.0.0", owner: str = "one") -> HostPort:
    return HostPort(protocol, ip_address(address), PortRange(first, last or first), owner)


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_a_reserved_port_is_seen_until_it_is_released(machine: Machine, protocol: Protocol, address: str) -> None:
    held = port(8080, 8083, protocol, address)
    machine.add(held)
    assert machine.observe().objects == (held,)
    machine.remove(held)
    machine.remove(held)
    assert machine.observe().objects == ()


@pytest.mark.parametrize(
    "wanted",
    [port(8080), port(8000, 8090), port(8080, address="127.0.0.1"), port(8080, owner="two")],
    ids=lambda p: f"{p.address}:{p.ports}",
)
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_port_is_reserved_once(machine: Machine, wanted: HostPort, protocol: Protocol) -> None:
    held = port(8080, protocol=protocol)
    wanted = HostPort(protocol, wanted.address, wanted.ports, wanted.owner)
    machine.add(held)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(wanted)
    assert refusal.value.errno == (errno.EEXIST if wanted.key == held.key else errno.EADDRINUSE)
    assert machine.observe().objects == (held,)


def test_families_and_protocols_do_not_collide(machine: Machine) -> None:
    ports = [port(53, protocol=protocol, address=address) for protocol in (TCP, UDP) for address in ("0.0.0.0", "::")]
    machine.add(*ports)
    assert machine.observe().objects == tuple(ports)


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_range_with_a_taken_port_reserves_nothing(machine: Machine, protocol: Protocol, address: str) -> None:
    machine.occupy(protocol, ip_address(address), 8005)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(port(8000, 8009, protocol, address))
    assert refusal.value.errno == errno.EADDRINUSE
    assert machine.observe().objects == ()
    machine.add(port(8000, 8004, protocol, address), port(8006, 8009, protocol, address))


def both(first: int, last: int, protocol: Protocol = TCP) -> HostPort:
    """A range of both families, as the plan has it: relayed."""
    ports = PortRange(first, last)
    return HostPort(protocol, ip_address("::"), ports, "one", (ip_address("10.0.0.2"), ports), both=True)


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1", "::1"])
def test_a_range_of_both_families_leaves_no_address_to_others(
    machine: Machine, protocol: Protocol, address: str
) -> None:
    held = both(8000, 8009, protocol)
    machine.add(held)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(port(8004, 0, protocol, address))
    assert refusal.value.errno == errno.EADDRINUSE
    assert machine.observe().objects == (held,)


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1", "::1"])
def test_a_range_of_both_families_is_refused_when_either_has_a_port_taken(
    machine: Machine, protocol: Protocol, address: str
) -> None:
    machine.occupy(protocol, ip_address(address), 8005)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(both(8000, 8009, protocol))
    assert refusal.value.errno == errno.EADDRINUSE
    assert machine.observe().objects == ()


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_family_goes_and_comes_again(machine: Machine, protocol: Protocol) -> None:
    whole, four, six = (
        both(8000, 8009, protocol),
        *(port(8000, 8009, protocol, address) for address in ("0.0.0.0", "::")),
    )
    for step in ([four, six], [whole], [four], [whole], [six], []):
        machine.apply(*machine.difference(step))
        assert machine.observe().objects == tuple(step)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_family_that_cannot_come_leaves_the_other_as_it_was(machine: Machine, protocol: Protocol) -> None:
    four = port(8000, 8009, protocol)
    machine.add(four)
    machine.occupy(protocol, ip_address("::"), 8005)
    with pytest.raises(OperationFailedError) as refusal:
        machine.apply(*machine.difference([both(8000, 8009, protocol)]))
    assert [operation.verb for operation in refusal.value.applied] == [Verb.REMOVE]
    machine.apply(*undo(refusal.value.applied), tolerant=True)
    assert machine.observe().objects == (four,)


def test_only_the_owner_of_a_port_is_replaced(machine: Machine) -> None:
    machine.add(port(8080))
    machine.apply(Operation(Verb.REPLACE, port(8080, owner="two"), port(8080)))
    assert machine.observe().objects == (port(8080, owner="two"),)


def test_ports_end_with_the_process(machine: Machine) -> None:
    machine.add(port(8080), Namespace(sandbox_id(1)))
    machine.reopen()
    assert machine.observe(Namespace(sandbox_id(1))).objects == (Namespace(sandbox_id(1)),)
    machine.add(port(8080))


def test_ports_come_before_a_refusal_in_the_list_of_what_was_applied(machine: Machine) -> None:
    machine.occupy(TCP, ip_address("0.0.0.0"), 81)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(port(80), port(81), port(82))
    assert [operation.object for operation in refusal.value.applied] == [port(80)]
    assert machine.observe().objects == (port(80),)

"""What a kernel does with names, resolvers and what leads to them."""

import errno
from ipaddress import ip_address

import pytest

from linkspan.model.dataplane import HostResolver, NameEntry, NameZone, Record, RecordType, Resolver
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HostPort, KernelObject, Namespace, Redirect, mark
from linkspan.plan.operations import Operation, OperationFailedError, Verb, diff, undo
from tests.support.machines import ENGINE, Machine, sandbox_id

BOX = sandbox_id(1)
OWNER = mark(ENGINE, "sandbox", BOX)
ZONE = NameZone("n", "shop", OWNER, (Record("db", RecordType.A, "10.0.0.9"),))
ENTRY = NameEntry("n", BOX, ("web",), (ip_address("10.0.0.2"),), OWNER)
REDIRECT = Redirect(BOX, OWNER)
RESOLVER = Resolver(BOX, ("n",), OWNER)
LOOPBACK = ip_address("127.0.0.76")


def test_what_is_served_is_seen_until_it_is_taken_away(machine: Machine) -> None:
    wanted: list[KernelObject] = [Namespace(BOX), REDIRECT, ZONE, ENTRY, RESOLVER, HostResolver(LOOPBACK, OWNER)]
    made = diff((), wanted)
    machine.apply(*made)
    assert machine.difference(wanted) == ()
    machine.apply(*undo(made))
    assert machine.observe().objects == ()


@pytest.mark.parametrize("item", [ZONE, ENTRY, REDIRECT, RESOLVER], ids=lambda item: type(item).__name__)
def test_a_value_is_replaced_in_its_place(machine: Machine, item: NameZone | NameEntry | Redirect | Resolver) -> None:
    machine.add(Namespace(BOX), item)
    other = type(item)(**{field: getattr(item, field) for field in item.__slots__} | {"owner": f"{OWNER[:-1]}x"})
    machine.apply(Operation(Verb.REPLACE, other, item))
    assert set(machine.observe(Namespace(BOX)).objects) == {Namespace(BOX), other}


@pytest.mark.parametrize("item", [ZONE, ENTRY, RESOLVER], ids=lambda item: type(item).__name__)
def test_nothing_is_added_twice(machine: Machine, item: KernelObject) -> None:
    machine.add(Namespace(BOX), item)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(item)
    assert refusal.value.errno == errno.EEXIST
    machine.add(item, tolerant=True)


@pytest.mark.parametrize("item", [REDIRECT, RESOLVER], ids=lambda item: type(item).__name__)
def test_there_is_nothing_inside_a_sandbox_that_is_not_there(machine: Machine, item: KernelObject) -> None:
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(item)
    assert refusal.value.errno == errno.ENOENT
    machine.remove(item)


def test_a_redirect_goes_with_its_namespace(machine: Machine) -> None:
    machine.add(Namespace(BOX), REDIRECT)
    machine.remove(Namespace(BOX))
    assert machine.observe().objects == ()


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_the_hosts_resolver_needs_port_53_of_its_address(machine: Machine, protocol: Protocol) -> None:
    machine.occupy(protocol, LOOPBACK, 53)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(HostResolver(LOOPBACK, OWNER))
    assert refusal.value.errno == errno.EADDRINUSE
    assert machine.observe().objects == ()


def test_a_port_changes_sides_and_stays_reserved(machine: Machine) -> None:
    nat = HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(8080, 8081), OWNER)
    relayed = HostPort(nat.protocol, nat.address, nat.ports, OWNER, (ip_address("10.0.0.2"), PortRange(80, 81)))
    machine.add(nat)
    for new, old in ((relayed, nat), (nat, relayed)):
        machine.apply(Operation(Verb.REPLACE, new, old))
        assert machine.observe().objects == (new,)


def test_what_is_served_ends_with_the_process_and_what_leads_there_stays(machine: Machine) -> None:
    machine.add(Namespace(BOX), REDIRECT, ZONE, ENTRY, RESOLVER)
    machine.reopen()
    assert set(machine.observe(Namespace(BOX)).objects) == {Namespace(BOX), REDIRECT}

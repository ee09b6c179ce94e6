"""What a kernel does with namespaces, links, addresses and routes."""

import errno
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from linkspan.plan.objects import HOST, Address, Bridge, KernelObject, Namespace, Route, Sysctl, Up, Veth
from linkspan.plan.operations import Operation, OperationFailedError, Verb, diff, undo
from tests.support.machines import DEFAULT, GATEWAY, Machine, bridge, network, sandbox, sandbox_id, veth

ONE, TWO = sandbox_id(1), sandbox_id(2)
WHOLE = [*network(), *sandbox(1), *sandbox(2)]


def test_an_empty_machine_shows_nothing(machine: Machine) -> None:
    assert machine.observe().objects == ()


def test_what_was_added_is_seen_as_it_was_wanted(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    seen = machine.observe(*WHOLE)
    assert set(seen.objects) == set(WHOLE)
    assert seen.foreign == ()


def test_removing_everything_leaves_nothing(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.apply(*diff(WHOLE, []))
    assert machine.observe(*WHOLE).objects == ()


def test_one_sandbox_goes_and_the_others_stay(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    rest = [*network(), *sandbox(2)]
    machine.apply(*diff(WHOLE, rest))
    assert machine.difference(rest) == ()


def test_all_survives_a_restart_of_the_process(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.reopen()
    assert machine.difference(WHOLE) == ()


@pytest.mark.parametrize(
    "item", [i for i in sandbox(1) if not isinstance(i, Up | Sysctl)] + [bridge()], ids=lambda i: str(i.key[:3])
)
def test_adding_what_is_there_is_refused_unless_tolerant(machine: Machine, item: KernelObject) -> None:
    machine.apply(*diff([], WHOLE))
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(item)
    assert refusal.value.errno == errno.EEXIST
    assert refusal.value.operation.object == item
    machine.add(item, tolerant=True)
    assert machine.difference(WHOLE) == ()


@pytest.mark.parametrize(
    "item", [Up(ONE, "eth0"), Sysctl(ONE, "net.ipv6.conf.eth0.disable_ipv6", "0", "eth0")], ids=type
)
def test_setting_what_is_set_succeeds(machine: Machine, item: KernelObject) -> None:
    machine.apply(*diff([], WHOLE))
    machine.add(item)
    assert machine.difference(WHOLE) == ()


@pytest.mark.parametrize("item", sandbox(1) + network(), ids=lambda i: str(i.key[:3]))
def test_removing_what_is_not_there_succeeds(machine: Machine, item: KernelObject) -> None:
    machine.remove(item)
    machine.add(Namespace(ONE))
    if not isinstance(item, Namespace):
        machine.remove(item)
        assert machine.difference([Namespace(ONE)]) == ()


V4 = ip_interface("172.17.0.2/16")
V6 = ip_interface("fd00::2/64")
PLUGGED = [bridge(), Namespace(ONE), veth(1)]
IPV6 = Sysctl(ONE, "net.ipv6.conf.eth0.disable_ipv6", "0", "eth0")
ROUTE = {version: Route(ONE, DEFAULT[version], GATEWAY[version], "eth0") for version in (4, 6)}


@pytest.mark.parametrize(
    ("present", "item", "number"),
    [
        ([], Address(HOST, "docker0", V4), errno.ENODEV),
        ([], Address(ONE, "eth0", V4), errno.ENOENT),
        ([Namespace(ONE)], Address(ONE, "eth0", V4), errno.ENODEV),
        ([], Up(HOST, "docker0"), errno.ENODEV),
        ([], Up(ONE, "eth0"), errno.ENOENT),
        ([], Sysctl(HOST, "net.ipv4.conf.docker0.route_localnet", "1", "docker0"), errno.ENOENT),
        ([], Sysctl(ONE, "net.ipv4.ip_forward", "1"), errno.ENOENT),
        ([Namespace(ONE)], veth(1), errno.ENODEV),
        ([bridge()], veth(1), errno.ENOENT),
        (PLUGGED, veth(1, peer="eth1"), errno.EEXIST),
        (PLUGGED, Address(ONE, "eth0", V6), errno.EACCES),
        ([*PLUGGED, Address(ONE, "eth0", V4)], ROUTE[4], errno.ENETUNREACH),
        ([*PLUGGED, Up(ONE, "eth0")], ROUTE[4], errno.ENETUNREACH),
        ([*PLUGGED, IPV6, Address(ONE, "eth0", V6)], ROUTE[6], errno.EHOSTUNREACH),
        ([*PLUGGED, IPV6, Up(ONE, "eth0")], ROUTE[6], errno.EHOSTUNREACH),
        ([bridge(), Namespace(ONE)], ROUTE[4], errno.ENODEV),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else None,
)
def test_what_lacks_its_parent_is_refused(
    machine: Machine, present: list[KernelObject], item: KernelObject, number: int
) -> None:
    machine.add(*present)
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(item)
    assert errno.errorcode[refusal.value.errno] == errno.errorcode[number]
    assert machine.difference(present) == ()


def test_a_refused_operation_tells_what_was_applied_and_that_can_be_undone(machine: Machine) -> None:
    machine.apply(*diff([], network()))
    wanted = [*network(), *sandbox(1), replace(veth(2), bridge="missing"), Namespace(TWO)]
    with pytest.raises(OperationFailedError) as refusal:
        machine.apply(*diff(network(), wanted))
    assert refusal.value.operation.object == replace(veth(2), bridge="missing")
    machine.apply(*undo(refusal.value.applied), tolerant=True)
    assert machine.difference(network()) == ()


def test_tolerant_operations_go_on_after_a_refusal(machine: Machine) -> None:
    machine.add(bridge())
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(Address(HOST, "missing", V4), Namespace(ONE), Up(HOST, "docker0"), tolerant=True)
    assert refusal.value.errno == errno.ENODEV
    assert [operation.object for operation in refusal.value.applied] == [Namespace(ONE), Up(HOST, "docker0")]
    assert machine.difference([bridge(), Namespace(ONE), Up(HOST, "docker0")]) == ()


def test_implied_operations_do_nothing_and_count_as_applied(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    implied = Operation(Verb.REMOVE, Up(ONE, "eth0"), implied=True)
    with pytest.raises(OperationFailedError) as refusal:
        machine.apply(implied, Operation(Verb.ADD, Up(HOST, "missing")))
    assert refusal.value.applied == (implied,)
    assert machine.difference(WHOLE) == ()


def test_a_pair_takes_what_was_on_both_ends_with_it(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.remove(veth(1))
    assert set(machine.observe(*WHOLE).objects) == {*network(), *sandbox(2), Namespace(ONE)}


def test_a_link_that_goes_down_loses_its_routes_and_ipv6_addresses(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.remove(Up(ONE, "eth0"))
    lost = {item for item in sandbox(1) if isinstance(item, Route | Up) and item.where == ONE}
    assert set(WHOLE) - set(machine.observe(*WHOLE).objects) == lost | {
        Address(ONE, "eth0", ip_interface("fd00::3/64"))
    }
    machine.apply(*machine.difference(WHOLE))
    assert machine.difference(WHOLE) == ()


def test_a_link_without_ipv4_addresses_has_no_ipv4_routes(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    address = Address(ONE, "eth0", ip_interface("172.17.0.3/16"))
    machine.remove(address)
    lost = set(WHOLE) - set(machine.observe(*WHOLE).objects)
    assert lost == {address, *(i for i in sandbox(1) if isinstance(i, Route) and i.gateway.version == 4)}


def test_pairs_outlive_their_bridge_and_can_be_plugged_in_again(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.remove(bridge())
    seen = machine.observe(*WHOLE).objects
    assert {(pair.name, pair.bridge) for pair in seen if isinstance(pair, Veth)} == {
        (veth(1).name, ""),
        (veth(2).name, ""),
    }
    machine.apply(*machine.difference(WHOLE))
    assert machine.difference(WHOLE) == ()


@pytest.mark.parametrize(
    "new",
    [
        replace(veth(1), mtu=1400),
        replace(veth(1), mac="02:00:00:00:00:99"),
        replace(veth(1), isolated=True, hairpin=False),
        replace(veth(1), owner=veth(2).owner),
        bridge(mtu=1400),
        replace(bridge(), mac="02:42:00:00:00:02"),
        replace(bridge(), owner=veth(2).owner),
        Sysctl(HOST, "net.ipv6.conf.docker0.accept_ra", "1", "docker0"),
        Address(ONE, "eth0", ip_interface("172.17.0.3/24")),
        Address(ONE, "eth0", ip_interface("fd00::3/96")),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_replacement_changes_nothing_else(machine: Machine, new: KernelObject) -> None:
    machine.apply(*diff([], WHOLE))
    old = next(item for item in WHOLE if item.key == new.key)
    wanted = [*(item for item in WHOLE if item != old), new]
    machine.apply(*diff(WHOLE, wanted))
    missing = {operation.object for operation in machine.difference(wanted)}
    # The last IPv4 address takes the IPv4 routes with it, also when it comes back with another prefix.
    follows = {item for item in WHOLE if isinstance(new, Address) and isinstance(item, Route)}
    assert missing <= follows
    machine.apply(*machine.difference(wanted))
    assert machine.difference(wanted) == ()


def test_a_route_is_replaced_in_place(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    old = ROUTE[4]
    new = replace(old, gateway=ip_interface("172.17.0.9/16").ip)
    wanted = [*(item for item in WHOLE if item != old), new]
    machine.apply(*diff(WHOLE, wanted))
    assert machine.difference(wanted) == ()


def test_a_pair_that_gets_another_name_inside_is_made_anew(machine: Machine) -> None:
    machine.apply(*diff([], WHOLE))
    machine.apply(Operation(Verb.REPLACE, veth(1, peer="net0"), veth(1)))
    seen = set(machine.observe(*WHOLE).objects)
    assert veth(1, peer="net0") in seen
    assert Up(HOST, veth(1).name) in seen
    assert not [item for item in seen if isinstance(item, Address) and item.where == ONE]


def test_a_strangers_interface_is_named_and_left_alone(machine: Machine) -> None:
    machine.interlope("docker0", "linkspan:ffffffffffff:network:1")
    seen = machine.observe(*WHOLE)
    assert [(f.kind, f.name, f.found) for f in seen.foreign] == [
        ("interface", "docker0", "linkspan:ffffffffffff:network:1")
    ]
    assert seen.objects == ()
    with pytest.raises(OperationFailedError) as refusal:
        machine.apply(*diff([], network()))
    assert refusal.value.errno == errno.EEXIST
    machine.remove(bridge())
    assert machine.observe(*WHOLE).foreign == seen.foreign


@pytest.mark.slow
def test_the_1024th_port_of_a_bridge_is_refused(machine: Machine) -> None:
    pairs = [replace(veth(n), where=ONE, peer=f"eth{n}", owner=veth(1).owner) for n in range(1024)]
    machine.add(bridge(), Namespace(ONE), *pairs[:-1])
    with pytest.raises(OperationFailedError) as refusal:
        machine.add(pairs[-1])
    assert refusal.value.errno == errno.EXFULL
    assert machine.difference([bridge(), Namespace(ONE), *pairs[:-1]]) == ()
    machine.remove(bridge(), *pairs, Namespace(ONE))
    assert machine.observe().objects == ()


def test_bridges_are_removed_by_mark_and_not_by_name(machine: Machine) -> None:
    machine.add(bridge())
    machine.remove(Bridge("docker0", "02:42:00:00:00:01", 1500, "linkspan:ffffffffffff:network:1"))
    seen = machine.observe(bridge()).objects
    assert seen == (bridge(),)

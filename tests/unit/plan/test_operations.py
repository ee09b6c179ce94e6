"""The difference between two plans: what it means, and the order it comes in."""

from dataclasses import replace
from ipaddress import ip_address
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    KernelObject,
    Key,
    Namespace,
    Redirect,
    Resolver,
    Route,
    Sysctl,
    Up,
    Veth,
)
from linkspan.plan.operations import Operation, Verb, apply, arrange, diff, is_firewall, released_first, undo
from tests.support.strategies import plans


def by_key(objects: list[KernelObject]) -> dict[Key, KernelObject]:
    return {item.key: item for item in objects}


def shared_settings(objects: list[KernelObject]) -> dict[Key, KernelObject]:
    """Settings of the host, which are never taken back."""
    return {item.key: item for item in objects if isinstance(item, Sysctl) and not item.link}


@given(plans(), plans())
def test_the_difference_leads_from_one_plan_to_the_other(before: list[KernelObject], after: list[KernelObject]) -> None:
    assert apply(before, diff(before, after)) == shared_settings(before) | by_key(after)


@given(plans(), plans())
def test_undoing_the_difference_gives_the_first_plan_back(
    before: list[KernelObject], after: list[KernelObject]
) -> None:
    operations = diff(before, after)
    reached = apply(before, operations)
    assert apply(reached.values(), undo(operations)) == shared_settings(after) | by_key(before)


@given(plans(), plans(), st.data())
def test_undoing_the_part_that_was_applied_gives_the_first_plan_back(
    before: list[KernelObject], after: list[KernelObject], data: st.DataObject
) -> None:
    operations = diff(before, after)
    applied = operations[: data.draw(st.integers(0, len(operations)))]
    reached = apply(before, applied)
    assert apply(reached.values(), undo(applied)) == shared_settings(list(reached.values())) | by_key(before)


@given(plans())
def test_nothing_is_done_for_what_is_the_same(plan: list[KernelObject]) -> None:
    assert diff(plan, reversed(plan)) == ()


@given(plans(), plans())
def test_no_object_is_touched_twice(before: list[KernelObject], after: list[KernelObject]) -> None:
    keys = [operation.object.key for operation in diff(before, after)]
    assert len(keys) == len(set(keys))


@given(plans(), plans())
def test_what_differs_is_replaced_and_remembers_what_it_replaces(
    before: list[KernelObject], after: list[KernelObject]
) -> None:
    old, new = by_key(before), by_key(after)
    replaced = {op.object.key: op.previous for op in diff(before, after) if op.verb is Verb.REPLACE}
    assert replaced == {key: old[key] for key in old.keys() & new.keys() if old[key] != new[key]}


def parents(item: KernelObject) -> set[Key]:
    """The keys of what must be there before `item` can be."""
    match item:
        case Veth():
            return {("link", HOST, item.bridge), ("namespace", item.where)}
        case Address() | Up() | Route():
            return {("link", item.where, item.link), ("namespace", item.where)}
        case Sysctl() if item.link:
            return {("link", item.where, item.link), ("namespace", item.where)}
        case Redirect():
            return {("namespace", item.where)}
        case Resolver():
            return {("namespace", item.sandbox), ("redirect", item.sandbox)}
        case _:
            return set()


def identities(item: KernelObject) -> set[Key]:
    """The keys that others know `item` by: a veth pair is two links."""
    return {item.key, ("link", item.where, item.peer)} if isinstance(item, Veth) else {item.key}


@given(plans())
def test_parents_come_before_children_and_go_after_them(plan: list[KernelObject]) -> None:
    for earlier, later in combinations([operation.object for operation in diff([], plan)], 2):
        assert not parents(earlier) & identities(later)
    for earlier, later in combinations([operation.object for operation in diff(plan, [])], 2):
        assert not identities(earlier) & parents(later)


@given(plans(), plans())
def test_links_are_added_before_any_is_removed(before: list[KernelObject], after: list[KernelObject]) -> None:
    links = [
        op
        for op in diff(before, after)
        if not isinstance(op.object, HostPort | HostResolver) and not is_firewall(op.object)
    ]
    removed = [op.verb is Verb.REMOVE for op in links]
    assert removed == sorted(removed)


@given(plans(), plans())
def test_ports_are_reserved_first_and_released_last(before: list[KernelObject], after: list[KernelObject]) -> None:
    operations = diff(before, after)
    operations = operations[released_first(operations) :]
    reserved = [isinstance(op.object, HostPort | HostResolver) and op.verb is not Verb.REMOVE for op in operations]
    released = [isinstance(op.object, HostPort | HostResolver) and op.verb is Verb.REMOVE for op in operations]
    assert reserved == sorted(reserved, reverse=True)
    assert released == sorted(released)


PORT = HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(8000, 8009), "o")
BOTH = replace(PORT, address=ip_address("::"), both=True)


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        (PORT, BOTH, True),
        (BOTH, PORT, True),
        (BOTH, replace(PORT, address=ip_address("::1")), True),
        (BOTH, replace(PORT, ports=PortRange(8009, 8009)), True),
        (PORT, replace(PORT, address=ip_address("127.0.0.1")), True),
        (replace(PORT, address=ip_address("127.0.0.1")), replace(PORT, address=ip_address("127.0.0.2")), False),
        (BOTH, replace(PORT, ports=PortRange(8010, 8010)), False),
        (BOTH, replace(PORT, protocol=Protocol.UDP), False),
        (PORT, replace(PORT, address=ip_address("::")), False),
    ],
)
def test_a_port_goes_first_when_another_could_not_be_bound_before(old: HostPort, new: HostPort, first: bool) -> None:
    release, reserve = Operation(Verb.REMOVE, old), Operation(Verb.ADD, new)
    operations = diff([old], [new])
    assert operations == ((release, reserve) if first else (reserve, release))
    assert released_first(operations) == first
    assert undo(operations)[0].verb is (Verb.REMOVE if first else Verb.ADD)


def test_a_port_that_only_goes_is_no_reason_to_do_things_in_two_steps() -> None:
    assert released_first(diff([PORT], [])) == 0
    assert released_first(diff([PORT, Namespace("n")], [])) == 0


@given(plans(), plans())
def test_the_firewall_is_one_transaction_before_links_that_need_it(
    before: list[KernelObject], after: list[KernelObject]
) -> None:
    inner = [op for op in diff(before, after) if not isinstance(op.object, HostPort | HostResolver)]
    rules = [op for op in inner if is_firewall(op.object)]
    if any(op.verb is not Verb.REMOVE for op in rules):
        assert inner[: len(rules)] == rules
    else:
        assert inner[len(inner) - len(rules) :] == rules
    removed = [op.verb is Verb.REMOVE for op in rules]
    assert removed == sorted(removed)


@given(plans(), plans())
def test_a_removal_is_implied_exactly_when_its_link_or_namespace_goes(
    before: list[KernelObject], after: list[KernelObject]
) -> None:
    removals = [op for op in diff(before, after) if op.verb is Verb.REMOVE]
    gone = set[Key]().union(*(identities(op.object) for op in removals))
    for op in removals:
        if isinstance(op.object, Address | Up | Route | Redirect):
            assert op.implied == bool(parents(op.object) & gone)
        else:
            assert op.implied == isinstance(op.object, Sysctl)


@given(plans())
def test_settings_of_the_host_are_never_taken_back(plan: list[KernelObject]) -> None:
    shared = shared_settings(plan)
    assert not shared.keys() & {op.object.key for op in diff(plan, [])}
    assert not shared.keys() & {op.object.key for op in undo(diff([], plan))}


@given(plans(), plans())
def test_arranging_is_settled_after_once(before: list[KernelObject], after: list[KernelObject]) -> None:
    operations = diff(before, after)
    assert arrange(operations) == operations


BRIDGE = Bridge("br1", "02:00:00:00:00:01", 1500, "o")


@pytest.mark.parametrize(
    ("operation", "inverse"),
    [
        (Operation(Verb.ADD, BRIDGE), Operation(Verb.REMOVE, BRIDGE)),
        (Operation(Verb.REMOVE, BRIDGE), Operation(Verb.ADD, BRIDGE)),
        (Operation(Verb.REMOVE, Up(HOST, "br1"), implied=True), Operation(Verb.ADD, Up(HOST, "br1"))),
        (Operation(Verb.REPLACE, BRIDGE, Namespace("x")), Operation(Verb.REPLACE, Namespace("x"), BRIDGE)),
    ],
)
def test_the_inverse_of_a_step_takes_it_back(operation: Operation, inverse: Operation) -> None:
    assert operation.inverse == inverse

"""How operations are cut into runs that one part performs together."""

from ipaddress import ip_address, ip_interface
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from linkspan.kernel.machine import run_key, runs
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HOST, Address, Bridge, HostPort, KernelObject, Namespace, NftTable, Sysctl, Up, Veth
from linkspan.plan.operations import Operation, Verb

PAIR = Veth("veth0", "br0", "one", "eth0", "02:00:00:00:00:01", 1500, isolated=False, owner="o")
OBJECTS: list[KernelObject] = [
    HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(80, 80), "o"),
    NftTable("o"),
    Namespace("one"),
    Bridge("br0", "02:00:00:00:00:02", 1500, "o"),
    PAIR,
    Up(HOST, "veth0"),
    Up("one", "eth0"),
    Up("two", "eth0"),
    Address("one", "eth0", ip_interface("10.0.0.1/24")),
    Sysctl("one", "net.ipv6.conf.eth0.disable_ipv6", "0", "eth0"),
]
OPERATIONS = st.builds(Operation, st.sampled_from(list(Verb)), st.sampled_from(OBJECTS), implied=st.booleans())


@given(st.lists(OPERATIONS))
def test_runs_keep_every_operation_in_its_place(operations: list[Operation]) -> None:
    assert [operation for _, run in runs(operations) for operation in run] == operations


@given(st.lists(OPERATIONS))
def test_what_is_performed_in_a_run_has_one_key_and_neighbours_have_another(operations: list[Operation]) -> None:
    cut = [(key, [op for op in run if not op.implied]) for key, run in runs(operations)]
    assert all(run_key(operation) == key for key, run in cut for operation in run)
    assert all(left[0] != right[0] for left, right in pairwise(cut))


def test_an_attach_takes_one_run_on_the_host_and_one_inside() -> None:
    added = [Operation(Verb.ADD, item) for item in (PAIR, OBJECTS[5], OBJECTS[8], OBJECTS[6])]
    assert [key for key, _ in runs(added)] == [("links", HOST), ("links", "one")]


def test_links_are_removed_together_also_across_implied_operations() -> None:
    removed = [
        Operation(Verb.REMOVE, PAIR),
        Operation(Verb.REMOVE, Up(HOST, "veth0"), implied=True),
        Operation(Verb.REMOVE, OBJECTS[3]),
    ]
    assert [key for key, _ in runs(removed)] == [("removals", HOST)]

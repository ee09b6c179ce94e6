"""The meaning of a plan: whatever the machine held before, afterwards it holds what is wanted, and nothing else."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import HostPort, KernelObject
from linkspan.plan.operations import apply, diff
from tests.support.machines import Machine, network, sandbox

PARTS: list[Callable[[], list[KernelObject]]] = [
    lambda: sandbox(1),
    lambda: sandbox(2),
    lambda: sandbox(3),
    lambda: [HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(8080, 8081), "one")],
    lambda: [HostPort(Protocol.UDP, ip_address("::"), PortRange(53, 53), "one")],
]
PLANS = st.sets(st.sampled_from(range(len(PARTS)))).map(
    lambda chosen: [*(network() if chosen else []), *(item for part in sorted(chosen) for item in PARTS[part]())]
)


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=PLANS, after=PLANS)
def test_any_plan_can_follow_any_other(machine: Machine, before: list[KernelObject], after: list[KernelObject]) -> None:
    machine.apply(*diff([], before))
    operations = diff(before, after)
    machine.apply(*operations)
    assert set(machine.observe(*after).objects) == set(apply(before, operations).values()) == set(after)
    machine.apply(*diff(after, []))
    assert machine.observe().objects == ()

"""Which ports a change has to wait for."""

from linkspan.kernel.readiness import attached
from linkspan.plan.objects import HOST, Up, Veth
from linkspan.plan.operations import diff

PAIR = Veth("veth0", "br0", "one", "eth0", "02:00:00:00:00:01", 1500, isolated=False, owner="o")
ENDS = (Up(HOST, "veth0"), Up("one", "eth0"))


def test_a_pair_that_comes_up_at_both_ends_is_waited_for() -> None:
    assert attached(diff((), (PAIR, *ENDS))) == [PAIR]


def test_a_pair_that_stays_down_at_one_end_is_not() -> None:
    for end in ENDS:
        assert attached(diff((), (PAIR, end))) == []


def test_a_pair_that_goes_is_not() -> None:
    assert attached(diff((PAIR, *ENDS), ())) == []

"""Limits: whether they fit each other, and what the runtime is told."""

from dataclasses import replace

import pytest

from linkspan.containers.limits import changed, check_ulimit, checked, resources, rlimits
from linkspan.model.errors import InvalidError
from linkspan.model.resources import Resources, Throttle, Ulimit

MIB = 1 << 20
NONE: frozenset[str] = frozenset()


def test_swap_is_as_much_again_as_memory_unless_said() -> None:
    assert checked(Resources(memory=64 * MIB), 2).memory_swap == 128 * MIB
    assert checked(Resources(memory=64 * MIB, memory_swap=-1), 2).memory_swap == -1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Resources(memory=1024), "Minimum memory limit allowed is 6MB"),
        (Resources(memory=64 * MIB, memory_swap=32 * MIB), "should be larger than memory limit"),
        (Resources(memory_swap=64 * MIB), "always set the Memory limit"),
        (Resources(memory=64 * MIB, memory_reservation=128 * MIB), "can not be less than memory reservation"),
        (Resources(swappiness=101), "valid memory swappiness range is 0-100"),
        (Resources(nano_cpus=1_000_000_000, cpu_quota=50_000), "Nano CPUs and CPU Quota cannot both be set"),
        (Resources(nano_cpus=3_000_000_000), "as there are only 2 CPUs available"),
        (Resources(cpu_period=10), "CPU cfs period can not be less than 1ms"),
        (Resources(cpu_shares=-1), "shares: invalid argument"),
        (Resources(cpuset_cpus="0-x"), "Invalid value 0-x for cpuset cpus: invalid format: 0-x"),
        (Resources(cpuset_mems="0-1"), "Requested memory nodes are not available - requested 0-1, available: 0"),
        (Resources(cpuset_cpus="5"), "Requested CPUs are not available"),
        (Resources(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
    ],
)
def test_limits_that_do_not_fit_are_refused(wrong: Resources, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        checked(wrong, 2)


def test_what_the_runtime_is_told() -> None:
    wanted = Resources(
        memory=64 * MIB,
        memory_swap=128 * MIB,
        nano_cpus=1_500_000_000,
        cpuset_cpus="0-1",
        pids=10,
        swappiness=0,
        oom_kill_disable=True,
        write_iops=[Throttle("/dev/sda", 100)],
    )
    assert resources(wanted, NONE, {"/dev/sda": (8, 0)}) == {
        "memory": {"limit": 64 * MIB, "swap": 128 * MIB, "swappiness": 0, "disableOOMKiller": True},
        "cpu": {"quota": 150_000, "period": 100_000, "cpus": "0-1"},
        "pids": {"limit": 10},
        "blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 100}]},
    }


def test_nothing_is_asked_for_without_limits() -> None:
    assert resources(Resources(), NONE, {}) == {}


def test_limits_that_the_machine_lacks_are_left_out() -> None:
    wanted = Resources(memory=64 * MIB, memory_swap=128 * MIB, blkio_weight=500)
    assert resources(wanted, frozenset({"memory_swap", "blkio_weight"}), {}) == {"memory": {"limit": 64 * MIB}}


@pytest.mark.parametrize("pids", [-1, 0])
def test_processes_without_limit(pids: int) -> None:
    assert resources(Resources(pids=pids), NONE, {}) == {"pids": {"limit": -1}}


def test_an_update_leaves_what_it_does_not_name() -> None:
    before = Resources(memory=64 * MIB, memory_swap=128 * MIB, cpu_shares=512)
    assert changed(before, Resources(memory=96 * MIB)) == replace(before, memory=96 * MIB)
    with pytest.raises(InvalidError, match="already set memoryswap limit"):
        changed(before, Resources(memory=256 * MIB))


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (Resources(nano_cpus=10**9), Resources(cpu_quota=50_000), "CPU Quota cannot be updated as NanoCPUs"),
        (Resources(cpu_period=1000), Resources(nano_cpus=10**9), "Nano CPUs cannot be updated as CPU Period"),
    ],
)
def test_cpus_are_counted_or_given_by_quota_for_good(before: Resources, change: Resources, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        changed(before, change)


def test_ulimits_are_told_with_none_as_the_largest_number() -> None:
    assert rlimits([Ulimit("nofile", 10, -1)]) == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": (1 << 64) - 1}]


@pytest.mark.parametrize("wrong", [Ulimit("files", 1, 1), Ulimit("nofile", 2, 1), Ulimit("nofile", -1, 1)])
def test_a_wrong_ulimit_is_refused(wrong: Ulimit) -> None:
    with pytest.raises(InvalidError):
        check_ulimit(wrong)

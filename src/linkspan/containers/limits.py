"""From limits as Docker says them to those of the runtime: `linux.resources` of config.json, and rlimits. Pure.

The runtime turns the one form, that of version 1 of control groups, into what version 2 wants: shares into a weight,
memory with swap into swap alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from linkspan.model.errors import InvalidError
from linkspan.model.resources import Resources, Throttle, Ulimit

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None
Numbers: TypeAlias = Mapping[str, tuple[int, int]]
"""Major and minor of the block devices that limits name."""

LEAST_MEMORY = 6 << 20
_PERIOD = 100_000
_NANO = 1_000_000_000
_UNLIMITED_PIDS = -1
_RLIMITS = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)


def checked(wanted: Resources, cpus: int, nodes: int = 1) -> Resources:
    """Limits that fit each other and a machine with so many CPUs and nodes of memory, completed as Docker does.

    `InvalidError`, in its words, for others.
    """
    for wrong, message, field in _memory_faults(wanted) + _cpu_faults(wanted, cpus) + _set_faults(wanted, cpus, nodes):
        if wrong:
            raise InvalidError(message, field=field)
    if wanted.memory and not wanted.memory_swap:
        return replace(wanted, memory_swap=2 * wanted.memory)
    return wanted


Faults: TypeAlias = list[tuple[bool, str, str]]


def _memory_faults(wanted: Resources) -> Faults:
    memory, swap, swappiness = wanted.memory, wanted.memory_swap, wanted.swappiness
    return [
        (0 < memory < LEAST_MEMORY or memory < 0, "Minimum memory limit allowed is 6MB", "memory"),
        (
            0 < swap < memory,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
            "memory_swap",
        ),
        (
            swap > 0 and not memory,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
            "memory_swap",
        ),
        (
            swappiness is not None and not -1 <= swappiness <= 100,
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100",
            "memory_swappiness",
        ),
        (
            0 < wanted.memory_reservation < LEAST_MEMORY,
            "Minimum memory reservation allowed is 6MB",
            "memory_reservation",
        ),
        (
            0 < memory < wanted.memory_reservation,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
            "memory_reservation",
        ),
    ]


def _cpu_faults(wanted: Resources, cpus: int) -> Faults:
    both = "Conflicting options: Nano CPUs and CPU {} cannot both be set"
    return [
        (bool(wanted.nano_cpus and wanted.cpu_period), both.format("Period"), "cpus"),
        (bool(wanted.nano_cpus and wanted.cpu_quota), both.format("Quota"), "cpus"),
        (
            not 0 <= wanted.nano_cpus <= cpus * _NANO,
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available",
            "cpus",
        ),
        (wanted.cpu_shares < 0, "shares: invalid argument", "cpu_shares"),
        (
            wanted.cpu_period != 0 and not 1000 <= wanted.cpu_period <= 1_000_000,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            "cpu_period",
        ),
        (
            0 < wanted.cpu_quota < 1000,
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
            "cpu_quota",
        ),
        (
            wanted.blkio_weight != 0 and not 10 <= wanted.blkio_weight <= 1000,
            "Range of blkio weight is from 10 to 1000",
            "blkio_weight",
        ),
    ]


def _set_faults(wanted: Resources, cpus: int, nodes: int) -> Faults:
    faults: Faults = []
    for text, most, kind, what in (
        (wanted.cpuset_cpus, cpus, "cpus", "CPUs"),
        (wanted.cpuset_mems, nodes, "mems", "memory nodes"),
    ):
        invalid = f"Invalid value {text} for cpuset {kind}: invalid format: {text}"
        there = f"0-{most - 1}" if most > 1 else "0"
        missing = f"Requested {what} are not available - requested {text}, available: {there}"
        faults += [
            (not _is_set(text), invalid, f"cpuset_{kind}"),
            (not _is_within(text, most), missing, f"cpuset_{kind}"),
        ]
    return faults


def _ranges(text: str) -> list[tuple[int, int]]:
    """`0-2,5` as pairs; ValueError for anything else."""
    pairs = [part.partition("-") for part in text.split(",")] if text else []
    return [(int(first), int(last if dash else first)) for first, dash, last in pairs]


def _is_set(text: str) -> bool:
    try:
        return len(text) < 4096 and all(0 <= first <= last for first, last in _ranges(text))
    except ValueError:
        return False


def _is_within(text: str, most: int) -> bool:
    return not _is_set(text) or all(last < most for _, last in _ranges(text))


def check_ulimit(limit: Ulimit) -> None:
    """A known name, and a soft limit that is not above the hard one."""
    if limit.name not in _RLIMITS:
        raise InvalidError(f"invalid ulimit type: {limit.name}", field="ulimits", value=limit.name)
    if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
        text = f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
        raise InvalidError(text, field="ulimits", value=limit.soft)


def rlimits(limits: Sequence[Ulimit]) -> Sequence[Json]:
    """`process.rlimits`; the runtime wants "none" as the largest number."""
    return [
        {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft % (1 << 64), "hard": limit.hard % (1 << 64)}
        for limit in limits
    ]


def resources(wanted: Resources, lacking: frozenset[str], numbers: Numbers) -> Mapping[str, Json]:
    """`linux.resources` without the rules about devices; limits that the machine lacks are left out."""
    kept = {name: None if name in lacking else getattr(wanted, name) for name in Resources.__dataclass_fields__}
    quota = wanted.nano_cpus * _PERIOD // _NANO or kept["cpu_quota"]
    parts: Mapping[str, Mapping[str, Json]] = {
        "memory": _given(
            limit=kept["memory"],
            swap=kept["memory_swap"],
            reservation=kept["memory_reservation"],
            swappiness=None if wanted.swappiness == -1 else kept["swappiness"],
            disableOOMKiller=kept["oom_kill_disable"] or None,
        ),
        "cpu": _given(
            shares=kept["cpu_shares"],
            quota=quota,
            period=_PERIOD if wanted.nano_cpus else kept["cpu_period"],
            cpus=kept["cpuset_cpus"],
            mems=kept["cpuset_mems"],
        ),
        "pids": {"limit": wanted.pids if wanted.pids > 0 else _UNLIMITED_PIDS} if wanted.pids is not None else {},
        "blockIO": _given(
            weight=kept["blkio_weight"],
            throttleReadBpsDevice=_throttles(wanted.read_bps, numbers),
            throttleWriteBpsDevice=_throttles(wanted.write_bps, numbers),
            throttleReadIOPSDevice=_throttles(wanted.read_iops, numbers),
            throttleWriteIOPSDevice=_throttles(wanted.write_iops, numbers),
        ),
    }
    return {name: part for name, part in parts.items() if part}


def _given(**values: Json) -> Mapping[str, Json]:
    """Without what was not asked for; a swappiness of 0 was."""
    return {name: value for name, value in values.items() if value or (name == "swappiness" and value == 0)}


def _throttles(limits: Sequence[Throttle], numbers: Numbers) -> Sequence[Json]:
    return [{"major": numbers[limit.path][0], "minor": numbers[limit.path][1], "rate": limit.rate} for limit in limits]


def changed(before: Resources, change: Resources) -> Resources:
    """Limits after `docker update`: what is not asked for stays. `InvalidError`, in Docker's words."""
    names = Resources.__dataclass_fields__
    asked = {name: value for name in names if (value := getattr(change, name)) not in (0, "", None, (), False)}
    if change.pids is not None:
        asked["pids"] = change.pids
    _check_cpu_change(before, change)
    if change.memory and not change.memory_swap and 0 < before.memory_swap < change.memory:
        text = (
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
        raise InvalidError(text, field="memory")
    return replace(before, **asked)


def _check_cpu_change(before: Resources, change: Resources) -> None:
    """CPUs are counted, or given by period and quota: a container keeps to the one that it has."""
    for name, shown in (("cpu_period", "CPU Period"), ("cpu_quota", "CPU Quota")):
        for ours, theirs, other, one in (
            (name, "nano_cpus", "NanoCPUs", shown),
            ("nano_cpus", name, shown, "Nano CPUs"),
        ):
            if getattr(change, ours) and getattr(before, theirs):
                text = f"Conflicting options: {one} cannot be updated as {other} has already been set"
                raise InvalidError(text, field=ours)

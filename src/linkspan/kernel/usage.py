"""Reading what a control group uses, in version 1 and version 2, and what the interfaces of a process have carried."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from linkspan.kernel.cgroups import CGROUPS, unified
from linkspan.model.usage import BlockUsage, CpuUsage, LinkUsage, MemoryUsage, Usage

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Nanoseconds of the unit that /proc/stat and cpuacct.stat count in."""
_MICRO = 1000
_NO_LIMIT = 1 << 62
"""Version 1 has no word for "no limit", but a number that no machine can reach."""
_OPERATIONS = {"rbytes": "read", "wbytes": "write", "rios": "read", "wios": "write"}


def usage(path: str, pid: int, *, links: bool, root: Path = CGROUPS, proc: Path = Path("/proc")) -> Usage:
    """What the group at `path` uses, and, with `links`, the interfaces in the network namespace of process `pid`.

    What has just gone counts nothing.
    """
    read = _second if unified(root) else _first
    cpu, memory, pids, data, operations = read(root, path.lstrip("/"))
    system, cpus = _machine_cpu(_text(proc / "stat"))
    return Usage(
        system=system,
        cpus=cpus,
        machine_memory=_numbers(_text(proc / "meminfo").replace(":", "")).get("MemTotal", 0) * 1024,
        cpu=cpu,
        memory=memory,
        pids=pids[0],
        pids_limit=pids[1],
        block_bytes=data,
        block_operations=operations,
        links=list(_links(_text(proc / str(pid) / "net/dev"))) if links and pid else (),
    )


def _first(root: Path, path: str) -> tuple[CpuUsage, MemoryUsage, tuple[int, int], list[BlockUsage], list[BlockUsage]]:
    """Version 1: a hierarchy for each controller."""
    account, stat = root / "cpuacct" / path, _numbers(_text(root / "cpu" / path / "cpu.stat"))
    shares = _numbers(_text(account / "cpuacct.stat"))
    cpu = CpuUsage(
        _number(account / "cpuacct.usage"),
        shares.get("system", 0) * _TICK,
        shares.get("user", 0) * _TICK,
        [int(word) for word in _text(account / "cpuacct.usage_percpu").split()],
        stat.get("nr_periods", 0),
        stat.get("nr_throttled", 0),
        stat.get("throttled_time", 0),
    )
    place = root / "memory" / path
    limit = _number(place / "memory.limit_in_bytes")
    memory = MemoryUsage(
        _number(place / "memory.usage_in_bytes"),
        _number(place / "memory.max_usage_in_bytes"),
        limit if limit < _NO_LIMIT else 0,
        _number(place / "memory.failcnt"),
        _numbers(_text(place / "memory.stat")),
    )
    pids = root / "pids" / path
    block = root / "blkio" / path
    return (
        cpu,
        memory,
        (_number(pids / "pids.current"), _number(pids / "pids.max")),
        list(_first_block(_text(block / "blkio.throttle.io_service_bytes_recursive"))),
        list(_first_block(_text(block / "blkio.throttle.io_serviced_recursive"))),
    )


def _first_block(text: str) -> Iterator[BlockUsage]:
    """`8:0 Read 4096`, and totals."""
    for line in text.splitlines():
        match line.split():
            case [device, op, value] if ":" in device and value.isdecimal():
                major, minor = device.split(":")
                yield BlockUsage(int(major), int(minor), op.lower(), int(value))


def _second(root: Path, path: str) -> tuple[CpuUsage, MemoryUsage, tuple[int, int], list[BlockUsage], list[BlockUsage]]:
    """Version 2: one hierarchy."""
    place = root / path
    stat = _numbers(_text(place / "cpu.stat"))
    cpu = CpuUsage(
        stat.get("usage_usec", 0) * _MICRO,
        stat.get("system_usec", 0) * _MICRO,
        stat.get("user_usec", 0) * _MICRO,
        (),
        stat.get("nr_periods", 0),
        stat.get("nr_throttled", 0),
        stat.get("throttled_usec", 0) * _MICRO,
    )
    memory = MemoryUsage(
        _number(place / "memory.current"),
        _number(place / "memory.peak"),
        _number(place / "memory.max"),
        _numbers(_text(place / "memory.events")).get("oom", 0),
        _numbers(_text(place / "memory.stat")),
    )
    block = list(_second_block(_text(place / "io.stat")))
    return (
        cpu,
        memory,
        (_number(place / "pids.current"), _number(place / "pids.max")),
        [each for key, each in block if key.endswith("bytes")],
        [each for key, each in block if key.endswith("ios")],
    )


def _second_block(text: str) -> Iterator[tuple[str, BlockUsage]]:
    """`8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`."""
    for line in text.splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key in _OPERATIONS and minor.isdecimal():
                yield key, BlockUsage(int(major), int(minor), _OPERATIONS[key], int(value))


def _machine_cpu(text: str) -> tuple[int, int]:
    """The CPU time of the machine: of the first line, all but what is counted twice; and its number of CPUs."""
    lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
    if not lines:
        return 0, 0
    return sum(map(int, lines[0][1:8])) * _TICK, len(lines) - 1


def _links(text: str) -> Iterator[LinkUsage]:
    """/proc/net/dev, without the loopback."""
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if name.strip() != "lo" and len(numbers) >= 12:
            yield LinkUsage(name.strip(), _four(numbers), _four(numbers[8:]))


def _four(numbers: Sequence[int]) -> tuple[int, int, int, int]:
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _numbers(text: str) -> Mapping[str, int]:
    """Lines of a name and a number."""
    lines = (line.split() for line in text.splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) >= 2 and line[1].isdecimal()}


def _number(path: Path) -> int:
    """0 for what is missing, and for `max`."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

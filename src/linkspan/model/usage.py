"""What a container uses of the machine at one moment: counters as control groups and interfaces have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Nanoseconds of CPU time since the start: in all, in the kernel, outside it, by CPU (none in version 2)."""

    total: int = 0
    kernel: int = 0
    user: int = 0
    each: Sequence[int] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Bytes; `most` is 0 where the kernel does not keep it, `limit` 0 without one. `details` are of memory.stat."""

    now: int = 0
    most: int = 0
    limit: int = 0
    failures: int = 0
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockUsage:
    """A counter of a block device: `op` is `read`, `write` and so on."""

    major: int
    minor: int
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class LinkUsage:
    """Counters of an interface in the container."""

    name: str
    received: tuple[int, int, int, int]
    """Bytes, packets, errors, drops."""
    sent: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Usage:
    """Everything. `system` is the CPU time of the whole machine in nanoseconds, `cpus` how many it has."""

    system: int = 0
    cpus: int = 0
    machine_memory: int = 0
    cpu: CpuUsage = field(default_factory=CpuUsage)
    memory: MemoryUsage = field(default_factory=MemoryUsage)
    pids: int = 0
    pids_limit: int = 0
    block_bytes: Sequence[BlockUsage] = ()
    block_operations: Sequence[BlockUsage] = ()
    links: Sequence[LinkUsage] = ()

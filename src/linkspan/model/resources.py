"""How much of the machine a container may have, and which of its devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Throttle:
    """A limit on a block device of the host: bytes or operations per second."""

    path: str
    rate: int


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A limit of setrlimit(2) by its short name (`nofile`); -1 is none."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A device of the host, or a directory of them, at a path inside; `access` has letters of `rwm`."""

    source: str
    target: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits, in Docker's terms: 0 and None are "no limit asked for".

    Memory in bytes (`memory_swap` is memory and swap together, -1 without limit), periods and quotas in microseconds,
    `nano_cpus` in thousand millionths of a CPU, `pids` below 1 without limit.
    """

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    swappiness: int | None = None
    oom_kill_disable: bool = False
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    nano_cpus: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int | None = None
    blkio_weight: int = 0
    read_bps: Sequence[Throttle] = ()
    write_bps: Sequence[Throttle] = ()
    read_iops: Sequence[Throttle] = ()
    write_iops: Sequence[Throttle] = ()


class Restart(StrEnum):
    """When a container that has ended is started again."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`most` is how often a failure is followed by a start, 0 without end."""

    name: Restart = Restart.NO
    most: int = 0

"""Control groups, of version 1 and of version 2: what they can limit, who is in one, and its removal.

A group of ours has the same path in every hierarchy of version 1, and in the one of version 2.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")

_FIRST_FILES: Mapping[str, tuple[str, ...]] = {
    "memory": ("memory/memory.limit_in_bytes",),
    "memory_swap": ("memory/memory.memsw.limit_in_bytes",),
    "memory_reservation": ("memory/memory.soft_limit_in_bytes",),
    "swappiness": ("memory/memory.swappiness",),
    "oom_kill_disable": ("memory/memory.oom_control",),
    "cpu_shares": ("cpu/cpu.shares",),
    "cpu_period": ("cpu/cpu.cfs_period_us",),
    "cpu_quota": ("cpu/cpu.cfs_quota_us",),
    "nano_cpus": ("cpu/cpu.cfs_quota_us",),
    "cpuset_cpus": ("cpuset/cpuset.cpus",),
    "cpuset_mems": ("cpuset/cpuset.mems",),
    "pids": ("pids/cgroup.procs",),
    "blkio_weight": ("blkio/blkio.weight", "blkio/blkio.bfq.weight"),
    "read_bps": ("blkio/blkio.throttle.read_bps_device",),
    "write_bps": ("blkio/blkio.throttle.write_bps_device",),
    "read_iops": ("blkio/blkio.throttle.read_iops_device",),
    "write_iops": ("blkio/blkio.throttle.write_iops_device",),
}
"""Version 1: the files, of which one has to be there, of each limit in `Resources`."""

_SECOND_CONTROLLERS: Mapping[str, str] = {
    "memory": "memory",
    "memory_swap": "memory",
    "memory_reservation": "memory",
    "cpu_shares": "cpu",
    "cpu_period": "cpu",
    "cpu_quota": "cpu",
    "nano_cpus": "cpu",
    "cpuset_cpus": "cpuset",
    "cpuset_mems": "cpuset",
    "pids": "pids",
    "blkio_weight": "io",
    "read_bps": "io",
    "write_bps": "io",
    "read_iops": "io",
    "write_iops": "io",
}
"""Version 2: the controller of each; it has no swappiness, and its out-of-memory killer cannot be turned off."""


def unified(root: Path = CGROUPS) -> bool:
    """Whether there is version 2 alone."""
    return (root / "cgroup.controllers").exists()


def lacking(root: Path = CGROUPS) -> frozenset[str]:
    """The limits, as fields of `Resources`, that these control groups do not know."""
    if not unified(root):
        return frozenset(
            name for name, files in _FIRST_FILES.items() if not any((root / file).exists() for file in files)
        )
    controllers = (root / "cgroup.controllers").read_text().split()
    return frozenset(name for name in _FIRST_FILES if _SECOND_CONTROLLERS.get(name) not in controllers)


def places(path: str, root: Path = CGROUPS) -> Sequence[Path]:
    """Where a group is, in every hierarchy."""
    roots = [root] if unified(root) else sorted(each for each in root.iterdir() if each.is_dir())
    return [each / path.lstrip("/") for each in roots]


def processes(path: str) -> Sequence[int]:
    """Every process in a group and in those below it."""
    return sorted({pid for place in places(path) for group, _, _ in os.walk(place) for pid in _members(group)})


def frozen(path: str, root: Path = CGROUPS) -> bool:
    """Whether the processes of a group are frozen, or about to be."""
    group = path.lstrip("/")
    first, second = root / "freezer" / group / "freezer.state", root / group / "cgroup.freeze"
    with suppress(OSError):
        return (second if unified(root) else first).read_text().strip() in ("1", "FROZEN", "FREEZING")
    return False


def _members(group: str) -> Iterator[int]:
    with suppress(FileNotFoundError):
        yield from (int(line) for line in Path(group, "cgroup.procs").read_text().split())


def remove_cgroup(path: str) -> Sequence[int] | None:
    """Remove a control group and those below it, in every hierarchy.

    None when it is gone; otherwise the processes that are in it. It may be there without any: they are just ending.
    """
    members: set[int] = set()
    gone = True
    for place in places(path):
        for group, _, _ in os.walk(place, topdown=False):
            try:
                Path(group).rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                gone = False
                members.update(_members(group))
    return None if gone else sorted(members)

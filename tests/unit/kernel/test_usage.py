"""Counters of control groups, of both versions, and what a machine cannot limit."""

from pathlib import Path

from linkspan.kernel.cgroups import frozen, lacking
from linkspan.kernel.usage import usage
from linkspan.model.usage import BlockUsage, CpuUsage, LinkUsage

PROC = {
    "stat": "cpu  10 0 20 70 0 0 0 0 0 0\ncpu0 5 0 10 35 0 0 0 0 0 0\ncpu1 5 0 10 35 0 0 0 0 0 0\nintr 5\n",
    "meminfo": "MemTotal:        1024 kB\nMemFree:          512 kB\n",
    "7/net/dev": "Inter-|\n face |\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    "  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n",
}
FIRST = {
    "cpuacct/x/cpuacct.usage": "3000\n",
    "cpuacct/x/cpuacct.usage_percpu": "1000 2000\n",
    "cpuacct/x/cpuacct.stat": "user 2\nsystem 1\n",
    "cpu/x/cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 99\n",
    "memory/x/memory.usage_in_bytes": "4096\n",
    "memory/x/memory.max_usage_in_bytes": "8192\n",
    "memory/x/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/x/memory.failcnt": "1\n",
    "memory/x/memory.stat": "cache 1\ntotal_inactive_file 2\n",
    "pids/x/pids.current": "3\n",
    "pids/x/pids.max": "max\n",
    "blkio/x/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n",
}
SECOND = {
    "cgroup.controllers": "cpu io memory pids\n",
    "x/cpu.stat": "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 5\nnr_throttled 2\nthrottled_usec 9\n",
    "x/memory.current": "4096\n",
    "x/memory.max": "65536\n",
    "x/memory.stat": "anon 1\ninactive_file 2\n",
    "x/memory.events": "low 0\noom 1\n",
    "x/pids.current": "3\n",
    "x/pids.max": "50\n",
    "x/io.stat": "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_version_1(tmp_path: Path) -> None:
    found = usage("/x", 7, links=True, root=tree(tmp_path / "cg", FIRST), proc=tree(tmp_path / "proc", PROC))
    assert found.cpu == CpuUsage(3000, 10_000_000, 20_000_000, [1000, 2000], 5, 2, 99)
    assert (found.memory.now, found.memory.most, found.memory.limit, found.memory.failures) == (4096, 8192, 0, 1)
    assert found.memory.details == {"cache": 1, "total_inactive_file": 2}
    assert (found.pids, found.pids_limit) == (3, 0)
    assert found.block_bytes == [BlockUsage(8, 0, "read", 4096), BlockUsage(8, 0, "total", 4096)]


def test_version_2(tmp_path: Path) -> None:
    found = usage("/x", 7, links=False, root=tree(tmp_path / "cg", SECOND), proc=tree(tmp_path / "proc", PROC))
    assert found.cpu == CpuUsage(3000, 1000, 2000, (), 5, 2, 9000)
    assert (found.memory.now, found.memory.limit, found.memory.failures) == (4096, 65536, 1)
    assert (found.pids, found.pids_limit, found.links) == (3, 50, ())
    assert found.block_bytes == [BlockUsage(8, 0, "read", 4096), BlockUsage(8, 0, "write", 0)]
    assert found.block_operations == [BlockUsage(8, 0, "read", 1), BlockUsage(8, 0, "write", 0)]


def test_the_machine_and_its_interfaces(tmp_path: Path) -> None:
    found = usage("/x", 7, links=True, root=tree(tmp_path / "cg", FIRST), proc=tree(tmp_path / "proc", PROC))
    assert (found.system, found.cpus, found.machine_memory) == (1_000_000_000, 2, 1 << 20)
    assert found.links == [LinkUsage("eth0", (1000, 10, 1, 2), (2000, 20, 3, 4))]


def test_a_group_that_has_just_gone_uses_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path / "cg", {"cgroup.controllers": "cpu\n"})
    found = usage("/gone", 7, links=True, root=root, proc=tree(tmp_path / "proc", {"stat": "cpu 1\n"}))
    assert (found.cpu.total, found.memory.now, found.links) == (0, 0, [])


def test_what_cannot_be_limited(tmp_path: Path) -> None:
    second = lacking(tree(tmp_path / "second", SECOND))
    assert second == {"swappiness", "oom_kill_disable", "cpuset_cpus", "cpuset_mems"}
    first = lacking(tree(tmp_path / "first", {"memory/memory.limit_in_bytes": "", "pids/cgroup.procs": ""}))
    assert "memory" not in first and "pids" not in first and "memory_swap" in first and "blkio_weight" in first


def test_what_is_frozen(tmp_path: Path) -> None:
    second = {"cgroup.controllers": "", "x/cgroup.freeze": "1\n", "y/cgroup.freeze": "0\n"}
    first = {"freezer/x/freezer.state": "FROZEN\n", "freezer/y/freezer.state": "THAWED\n"}
    for name, files in (("second", second), ("first", first)):
        root = tree(tmp_path / name, files)
        assert [frozen(path, root) for path in ("/x", "/y", "/gone")] == [True, False, False]

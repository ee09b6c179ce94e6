"""Bodies about what containers use (the transcript's §7). Names are in small letters, unlike all others."""

from msgspec import UNSET, Struct, UnsetType, field

from linkspan.api.bodies.spelling import docker_name


class TopBody(Struct, rename=docker_name, kw_only=True):
    """GET /containers/{id}/top."""

    processes: list[list[str]]
    titles: list[str]


class PidsStats(Struct, kw_only=True, omit_defaults=True):
    """Processes and threads."""

    current: int = 0
    limit: int = 0


class BlockEntry(Struct, kw_only=True):
    """A counter of a block device."""

    major: int
    minor: int
    op: str
    value: int


class BlockStats(Struct, kw_only=True):
    """Counters of block devices; those that no kernel keeps any more are null."""

    io_service_bytes_recursive: list[BlockEntry] | None = None
    io_serviced_recursive: list[BlockEntry] | None = None
    io_queue_recursive: list[BlockEntry] | None = None
    io_service_time_recursive: list[BlockEntry] | None = None
    io_wait_time_recursive: list[BlockEntry] | None = None
    io_merged_recursive: list[BlockEntry] | None = None
    io_time_recursive: list[BlockEntry] | None = None
    sectors_recursive: list[BlockEntry] | None = None


class CpuTimes(Struct, kw_only=True):
    """Nanoseconds."""

    total_usage: int = 0
    percpu_usage: list[int] | UnsetType = UNSET
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class Throttling(Struct, kw_only=True):
    """How often, and for how many nanoseconds, the limit was reached."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(Struct, kw_only=True):
    """CPU time of the container and of the machine."""

    cpu_usage: CpuTimes = field(default_factory=CpuTimes)
    system_cpu_usage: int | UnsetType = UNSET
    online_cpus: int | UnsetType = UNSET
    throttling_data: Throttling = field(default_factory=Throttling)


class MemoryStats(Struct, kw_only=True, omit_defaults=True):
    """Bytes."""

    usage: int = 0
    max_usage: int = 0
    stats: dict[str, int] = field(default_factory=dict)
    failcnt: int = 0
    limit: int = 0


class LinkStats(Struct, kw_only=True):
    """Counters of an interface."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class StatsBody(Struct, kw_only=True):
    """One measurement, and the CPU times of the one before."""

    name: str
    id: str
    read: str
    preread: str
    pids_stats: PidsStats = field(default_factory=PidsStats)
    blkio_stats: BlockStats = field(default_factory=BlockStats)
    num_procs: int = 0
    storage_stats: dict[str, int] = field(default_factory=dict)
    cpu_stats: CpuStats = field(default_factory=CpuStats)
    precpu_stats: CpuStats = field(default_factory=CpuStats)
    memory_stats: MemoryStats = field(default_factory=MemoryStats)
    networks: dict[str, LinkStats] | UnsetType = UNSET

"""Bodies about limits, devices, health and restarts (`docker-networking.md` §4.4; the transcript's §2.1)."""

from typing import Any

from msgspec import Struct, field

from linkspan.api.bodies.spelling import docker_name


class RestartPolicy(Struct, rename=docker_name, kw_only=True):
    """What happens after an exit."""

    name: str = "no"
    maximum_retry_count: int = 0


class UlimitBody(Struct, rename=docker_name, kw_only=True):
    """A limit of setrlimit(2)."""

    name: str
    hard: int = 0
    soft: int = 0


class DeviceBody(Struct, rename=docker_name, kw_only=True):
    """A device of the host, and where it is inside."""

    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class ThrottleBody(Struct, rename=docker_name, kw_only=True):
    """So much per second of a block device."""

    path: str
    rate: int = 0


class ResourcesBody(Struct, rename=docker_name, kw_only=True):
    """What `docker update` can change, and what goes with it."""

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[Any] = field(default_factory=list)
    blkio_device_read_bps: list[ThrottleBody] = field(default_factory=list)
    blkio_device_write_bps: list[ThrottleBody] = field(default_factory=list)
    blkio_device_read_iops: list[ThrottleBody] = field(name="BlkioDeviceReadIOps", default_factory=list)
    blkio_device_write_iops: list[ThrottleBody] = field(name="BlkioDeviceWriteIOps", default_factory=list)
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceBody] = field(default_factory=list)
    device_cgroup_rules: list[str] | None = None
    device_requests: list[Any] | None = None
    kernel_memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = field(name="OomKillDisable", default=None)
    pids_limit: int | None = None
    ulimits: list[UlimitBody] = field(default_factory=list)


class UpdateBody(ResourcesBody, rename=docker_name, kw_only=True):
    """POST /containers/{id}/update: 0, empty text and null leave things as they are."""

    restart_policy: RestartPolicy = field(default_factory=lambda: RestartPolicy(name=""))


class UpdatedBody(Struct, rename=docker_name, kw_only=True):
    """200 of POST /containers/{id}/update."""

    warnings: list[str] | None = None


class HealthConfig(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """How health is checked; times in nanoseconds, 0 is Docker's default."""

    test: list[str] = field(default_factory=list)
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ProbeBody(Struct, rename=docker_name, kw_only=True):
    """One result of a health check."""

    start: str
    end: str
    exit_code: int
    output: str


class HealthBody(Struct, rename=docker_name, kw_only=True):
    """What health checks have found."""

    status: str
    failing_streak: int
    log: list[ProbeBody]

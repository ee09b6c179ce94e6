"""Limits, devices, health checks and restart policies: from their bodies to the model, and back."""

from collections.abc import Sequence
from typing import Any

from linkspan.api.bodies.resources import (
    DeviceBody,
    HealthConfig,
    ResourcesBody,
    RestartPolicy,
    ThrottleBody,
    UlimitBody,
)
from linkspan.model import resources as model
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError
from linkspan.model.health import HealthCheck
from linkspan.model.resources import DeviceRequest, Resources, Restart, Throttle, Ulimit

NANO = 1_000_000_000

_WARNINGS = {
    "memory": "Your kernel does not support memory limit capabilities or the cgroup is not mounted. "
    "Limitation discarded.",
    "memory_swap": "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
    "Memory limited without swap.",
    "memory_reservation": "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. "
    "Limitation discarded.",
    "swappiness": "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
    "Memory swappiness discarded.",
    "oom_kill_disable": "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    "cpu_shares": "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
    "cpu_period": "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    "cpu_quota": "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    "nano_cpus": "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    "cpuset_cpus": "Your kernel does not support cpuset or the cgroup is not mounted. CPUset discarded.",
    "cpuset_mems": "Your kernel does not support cpuset or the cgroup is not mounted. CPUset discarded.",
    "pids": "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    "blkio_weight": "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
}
_ENDLESS = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out "
    "of resources."
)


def resources(body: ResourcesBody) -> Resources:
    """The limits. Raises `InvalidError` for what nothing here could give."""
    if body.device_requests:
        raise InvalidError(_no_driver(body.device_requests[0]), field="DeviceRequests", hint="use --device")
    if body.cpu_realtime_period or body.cpu_realtime_runtime:
        raise InvalidError("the realtime scheduler of CPUs is not supported", field="CpuRealtimeRuntime")
    return Resources(
        memory=body.memory,
        memory_swap=body.memory_swap,
        memory_reservation=body.memory_reservation,
        swappiness=None if body.memory_swappiness == -1 else body.memory_swappiness,
        oom_kill_disable=bool(body.oom_kill_disable),
        cpu_shares=body.cpu_shares,
        cpu_period=body.cpu_period,
        cpu_quota=body.cpu_quota,
        nano_cpus=body.nano_cpus,
        cpuset_cpus=body.cpuset_cpus,
        cpuset_mems=body.cpuset_mems,
        pids=body.pids_limit or None,  # 0 leaves it as it is, in the docker command's bodies
        blkio_weight=body.blkio_weight,
        read_bps=_throttles(body.blkio_device_read_bps),
        write_bps=_throttles(body.blkio_device_write_bps),
        read_iops=_throttles(body.blkio_device_read_iops),
        write_iops=_throttles(body.blkio_device_write_iops),
    )


def _no_driver(request: Any) -> str:
    """Docker's words."""
    asked = request if isinstance(request, dict) else {}
    kinds = " ".join(
        f"[{' '.join(map(str, each))}]" for each in asked.get("Capabilities") or () if isinstance(each, list)
    )
    return f'could not select device driver "{asked.get("Driver") or ""}" with capabilities: [{kinds}]'


def _throttles(bodies: Sequence[ThrottleBody]) -> tuple[Throttle, ...]:
    return tuple(Throttle(body.path, body.rate) for body in bodies)


def discarded(wanted: Resources, lacking: frozenset[str]) -> list[str]:
    """Docker's warnings about limits that the machine lacks, and about memory without end."""
    asked = (name for name in _WARNINGS if name in lacking and getattr(wanted, name))
    endless = wanted.oom_kill_disable and not wanted.memory and "oom_kill_disable" not in lacking
    return [*dict.fromkeys(_WARNINGS[name] for name in asked), *((_ENDLESS,) if endless else ())]


def ulimits(bodies: Sequence[UlimitBody]) -> tuple[Ulimit, ...]:
    """Limits of setrlimit(2)."""
    return tuple(Ulimit(body.name, body.soft, body.hard) for body in bodies)


def devices(bodies: Sequence[DeviceBody]) -> tuple[DeviceRequest, ...]:
    """Devices of the host."""
    return tuple(
        DeviceRequest(body.path_on_host, body.path_in_container or body.path_on_host, body.cgroup_permissions or "rwm")
        for body in bodies
    )


def restart_policy(body: RestartPolicy) -> model.RestartPolicy:
    """A policy; `InvalidError` in Docker's words."""
    try:
        return model.RestartPolicy(Restart(body.name or "no"), body.maximum_retry_count)
    except ValueError as error:
        raise InvalidError(
            f"invalid restart policy: unknown policy '{body.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            field="RestartPolicy",
            value=body.name,
        ) from error


def health_check(body: HealthConfig | None) -> HealthCheck | None:
    """`CMD`, `CMD-SHELL` or `NONE`; None without one."""
    if body is None or not body.test or body.test == ["NONE"]:
        return None
    kind, *argv = body.test
    if kind == "CMD-SHELL":
        argv = ["/bin/sh", "-c", *argv]
    elif kind != "CMD":
        raise InvalidError(f'Unknown healthcheck type "{kind}" (expected "CMD")', field="Healthcheck", value=kind)
    usual = HealthCheck(())
    return HealthCheck(
        tuple(argv),
        body.interval / NANO or usual.interval,
        body.timeout / NANO or usual.timeout,
        body.start_period / NANO,
        body.start_interval / NANO or usual.start_interval,
        body.retries or usual.retries,
    )


def health_body(check: HealthCheck | None) -> HealthConfig | None:
    """A health check as it was asked for."""
    if check is None:
        return None
    shell, usual = list(check.argv[:2]) == ["/bin/sh", "-c"], HealthCheck(())
    return HealthConfig(
        test=["CMD-SHELL", *check.argv[2:]] if shell else ["CMD", *check.argv],
        interval=_asked(check.interval, usual.interval),
        timeout=_asked(check.timeout, usual.timeout),
        start_period=_nano(check.start_period),
        start_interval=_asked(check.start_interval, usual.start_interval),
        retries=0 if check.retries == usual.retries else check.retries,
    )


def _asked(seconds: float, usual: float) -> int:
    """A time as Docker shows it: nothing where it is the usual one."""
    return 0 if seconds == usual else _nano(seconds)


def _nano(seconds: float) -> int:
    return round(seconds * NANO)


def resource_fields(wanted: CreateContainer) -> dict[str, Any]:
    """The fields of `ResourcesBody`, as a container has them."""
    limits = wanted.resources
    return {
        "cpu_shares": limits.cpu_shares,
        "cgroup_parent": wanted.cgroup_parent,
        "memory": limits.memory,
        "nano_cpus": limits.nano_cpus,
        "blkio_weight": limits.blkio_weight,
        "blkio_device_read_bps": _throttle_bodies(limits.read_bps),
        "blkio_device_write_bps": _throttle_bodies(limits.write_bps),
        "blkio_device_read_iops": _throttle_bodies(limits.read_iops),
        "blkio_device_write_iops": _throttle_bodies(limits.write_iops),
        "cpu_period": limits.cpu_period,
        "cpu_quota": limits.cpu_quota,
        "cpuset_cpus": limits.cpuset_cpus,
        "cpuset_mems": limits.cpuset_mems,
        "devices": [
            DeviceBody(path_on_host=each.source, path_in_container=each.target, cgroup_permissions=each.access)
            for each in wanted.devices
        ],
        "device_cgroup_rules": list(wanted.device_rules) or None,
        "memory_reservation": limits.memory_reservation,
        "memory_swap": limits.memory_swap,
        "memory_swappiness": limits.swappiness,
        "oom_kill_disable": limits.oom_kill_disable,
        "pids_limit": limits.pids,
        "ulimits": [UlimitBody(name=each.name, hard=each.hard, soft=each.soft) for each in wanted.ulimits],
    }


def _throttle_bodies(limits: Sequence[Throttle]) -> list[ThrottleBody]:
    return [ThrottleBody(path=limit.path, rate=limit.rate) for limit in limits]

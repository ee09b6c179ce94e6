"""Whether limits, devices, namespaces and policies can be as they were asked for: `InvalidError`, in Docker's words."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from linkspan.containers import limits
from linkspan.containers.devices import check_device, device_rule
from linkspan.containers.seccomp import resolved
from linkspan.containers.security import UNCONFINED, security
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError
from linkspan.model.health import HealthCheck
from linkspan.model.resources import Restart, RestartPolicy

_CONTAINER = "container:"
_MODES = {
    "ipc": ("IPC", ("", "none", "private", "shareable", "host")),
    "pid": ("PID", ("", "host")),
    "uts": ("UTS", ("", "host")),
    "cgroup_namespace": ("cgroup namespace", ("", "private", "host")),
}
_JOINED = ("ipc", "pid")
"""The namespaces that another container's can stand for."""
_LEAST_SECONDS = 0.001
_NODES = Path("/sys/devices/system/node")


def isolated(wanted: CreateContainer) -> CreateContainer:
    """The request with its limits completed."""
    for text in _texts(wanted):
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise InvalidError(f"invalid text {text!a}: it holds a NUL or is not valid Unicode", value=text)
    _check_modes(wanted)
    for limit in wanted.ulimits:
        limits.check_ulimit(limit)
    for device in wanted.devices:
        check_device(device)
    for text in wanted.device_rules:
        device_rule(text)
    profile = security(wanted.security).seccomp
    if profile not in ("", UNCONFINED):
        resolved(profile, ())
    if not -1000 <= wanted.oom_score_adj <= 1000:
        text = f"Invalid value {wanted.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        raise InvalidError(text, field="oom_score_adj", value=wanted.oom_score_adj)
    check_policy(wanted.restart, auto_remove=wanted.auto_remove)
    if wanted.health is not None:
        _check_health(wanted.health)
    return replace(wanted, resources=limits.checked(wanted.resources, cpus(), nodes()))


def cpus() -> int:
    """How many CPUs there are."""
    return os.cpu_count() or 1


def nodes() -> int:
    """How many nodes of memory there are; kernels that know of none have one."""
    return len(list(_NODES.glob("node[0-9]*"))) or 1


def _texts(wanted: CreateContainer) -> Iterable[str]:
    yield from (*wanted.group_add, *wanted.security, *wanted.volumes_from, wanted.ipc, wanted.pid, wanted.uts)
    yield wanted.cgroup_parent
    yield from (*(wanted.masked_paths or ()), *(wanted.read_only_paths or ()))
    for device in wanted.devices:
        yield from (device.source, device.target)
    yield from wanted.health.argv if wanted.health is not None else ()
    asked = wanted.resources
    for limit in (*asked.read_bps, *asked.write_bps, *asked.read_iops, *asked.write_iops):
        yield limit.path


def _check_modes(wanted: CreateContainer) -> None:
    for kind, (shown, known) in _MODES.items():
        mode: str = getattr(wanted, kind)
        joins = kind in _JOINED and mode.startswith(_CONTAINER) and mode != _CONTAINER
        if mode not in known and not joins:
            raise InvalidError(f"invalid {shown} mode: {mode}", field=kind, value=mode)
    if ".." in wanted.cgroup_parent.split("/"):
        raise InvalidError(f"invalid cgroup path: {wanted.cgroup_parent}", field="cgroup_parent")
    if wanted.uts == "host" and (wanted.hostname or wanted.domainname):
        raise InvalidError("conflicting options: hostname and the UTS mode", field="uts")


def check_policy(policy: RestartPolicy, *, auto_remove: bool) -> None:
    """A number of retries belongs to failures, and what is removed at its end cannot be started again."""
    if auto_remove and policy.name is not Restart.NO:
        raise InvalidError("can't create 'AutoRemove' container with restart policy", field="restart")
    if policy.most < 0:
        raise InvalidError("invalid restart policy: maximum retry count cannot be negative", field="restart")
    if policy.most and policy.name is not Restart.ON_FAILURE:
        text = f"invalid restart policy: maximum retry count can only be used with 'on-failure', not '{policy.name}'"
        raise InvalidError(text, field="restart")


def _check_health(check: HealthCheck) -> None:
    if not check.argv or not check.argv[0]:
        raise InvalidError("missing command in Healthcheck.Test", field="health")
    for name in ("interval", "timeout", "start_interval"):
        if getattr(check, name) < _LEAST_SECONDS:
            shown = {"interval": "Interval", "timeout": "Timeout", "start_interval": "StartInterval"}[name]
            raise InvalidError(f"{shown} in Healthcheck cannot be less than 1ms", field="health")
    if check.start_period < 0:
        raise InvalidError("StartPeriod in Healthcheck cannot be less than 1ms", field="health")
    if check.retries < 0:
        raise InvalidError("Retries in Healthcheck cannot be negative", field="health")

"""From flags about what a container may use to the fields of a body."""

import re

from linkspan.cli.answers import Json
from linkspan.cli.forms import size
from linkspan.cli.grammar import Line
from linkspan.model.errors import InvalidError

_NANO = 1_000_000_000
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": _NANO, "m": 60 * _NANO, "h": 3600 * _NANO}
_SIZES = {"memory": "Memory", "memory-swap": "MemorySwap", "memory-reservation": "MemoryReservation"}
_NUMBERS = {
    "cpu-shares": "CpuShares",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "pids-limit": "PidsLimit",
    "blkio-weight": "BlkioWeight",
    "memory-swappiness": "MemorySwappiness",
    "oom-score-adj": "OomScoreAdj",
}
_TEXTS = {
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "cgroupns": "CgroupnsMode",
    "cgroup-parent": "CgroupParent",
}
_LISTS = {"group-add": "GroupAdd", "volumes-from": "VolumesFrom", "device-cgroup-rule": "DeviceCgroupRules"}
_THROTTLES = {
    "device-read-bps": "BlkioDeviceReadBps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}
_TIMES = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}


def resources(line: Line) -> dict[str, Json]:
    """The fields that were asked for, as `run` and `update` have them."""
    found: dict[str, Json] = {}
    for flag, key in _SIZES.items():
        if line.has(flag):
            found[key] = -1 if line.text(flag) == "-1" else size(line.text(flag), flag=flag)
    found |= {key: line.number(flag) for flag, key in _NUMBERS.items() if line.has(flag)}
    found |= {key: line.text(flag) for flag, key in _TEXTS.items() if line.has(flag)}
    found |= {key: [*line.list(flag)] for flag, key in _LISTS.items() if line.has(flag)}
    if line.has("cpus"):
        found["NanoCpus"] = _cpus(line.text("cpus"))
    for flag, key in _THROTTLES.items():
        if line.has(flag):
            found[key] = [_throttle(flag, text) for text in line.list(flag)]
    if line.has("restart"):
        found["RestartPolicy"] = _policy(line.text("restart"))
    return found


def limits(line: Line) -> dict[str, Json]:
    """What only `run` and `create` have, and the rest."""
    found = resources(line)
    found["Ulimits"] = [_ulimit(text) for text in line.list("ulimit")]
    found["Devices"] = [_device(text) for text in line.list("device")]
    found["SecurityOpt"] = [_security(text) for text in line.list("security-opt")]
    if line.has("oom-kill-disable"):
        found["OomKillDisable"] = line.switch("oom-kill-disable")
    if line.has("volume-driver"):
        found["VolumeDriver"] = line.text("volume-driver")
    return found


def health_check(line: Line) -> Json:
    """`Healthcheck`; None when nothing is said of it."""
    if line.switch("no-healthcheck"):
        return {"Test": ["NONE"]}
    found: dict[str, Json] = {key: _duration(flag, line.text(flag)) for flag, key in _TIMES.items() if line.has(flag)}
    if line.has("health-retries"):
        found["Retries"] = line.number("health-retries")
    if line.has("health-cmd"):
        found["Test"] = ["CMD-SHELL", line.text("health-cmd")]
    return found or None


def _cpus(text: str) -> int:
    try:
        return int(float(text) * _NANO)
    except (ValueError, OverflowError) as error:
        raise InvalidError(f"invalid number of CPUs {text!r}", field="cpus") from error


def _policy(text: str) -> Json:
    name, colon, most = text.partition(":")
    if colon and not most.isdecimal():
        raise InvalidError(f"invalid restart policy {text!r}: {most!r} is no number", field="restart")
    return {"Name": name, "MaximumRetryCount": int(most or 0)}


def _throttle(flag: str, text: str) -> Json:
    path, _, rate = text.rpartition(":")
    if not path:
        raise InvalidError(f"invalid {flag} {text!r}: expected DEVICE:NUMBER", field=flag)
    return {"Path": path, "Rate": size(rate, flag=flag)}


def _ulimit(text: str) -> Json:
    name, _, values = text.partition("=")
    soft, colon, hard = values.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard if colon else soft)}
    except ValueError as error:
        hint = "expected NAME=SOFT[:HARD], such as nofile=1024:2048"
        raise InvalidError(f"invalid ulimit {text!r}", hint=hint, field="ulimit") from error


def _device(text: str) -> Json:
    source, _, rest = text.partition(":")
    target, _, access = rest.partition(":")
    if target and not target.startswith("/"):  # `--device /dev/sda:r`
        target, access = "", target
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": access or "rwm"}


def _security(text: str) -> str:
    """A profile of system calls is read here: the daemon may be elsewhere."""
    name, _, path = text.partition("=")
    if name != "seccomp" or path in ("", "unconfined", "builtin"):
        return text
    try:
        with open(path) as file:  # noqa: PTH123 - importing pathlib takes time
            return f"seccomp={file.read()}"
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"opening seccomp profile ({path}) failed: {error}", field="security-opt") from error


def _duration(flag: str, text: str) -> int:
    if not _DURATION.fullmatch(text):
        raise InvalidError(f"invalid duration {text!r} for --{flag}", hint="such as 30s or 1m30s", field=flag)
    return int(sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text)))

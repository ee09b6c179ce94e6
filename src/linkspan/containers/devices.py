"""Devices of the host that containers are given, looked up when a container starts: their numbers may have changed."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkspan.containers.limits import Json, Numbers
from linkspan.model.containers import Device
from linkspan.model.errors import InvalidError
from linkspan.model.resources import DeviceRequest, Resources

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}


@dataclass(frozen=True, slots=True)
class Given:
    """A device at its path inside, and what may be done with it."""

    device: Device
    access: str


def find_devices(requests: Sequence[DeviceRequest]) -> Sequence[Given]:
    """Every device that is asked for; a directory means all in it. `InvalidError` in Docker's words."""
    return [given for request in requests for given in _find(request)]


def _find(request: DeviceRequest) -> Iterator[Given]:
    source = Path(request.source).resolve()
    if source.is_dir():
        for directory, _, names in os.walk(source):
            for name in sorted(names):
                path = Path(directory, name)
                inside = Path(request.target) / path.relative_to(source)
                if (device := _device(path, str(inside))) is not None:
                    yield Given(device, request.access)
        return
    device = _device(source, request.target)
    if device is None:
        reason = "not a device node" if source.exists() else "no such file or directory"
        raise InvalidError(
            f'error gathering device information while adding custom device "{request.source}": {reason}',
            field="devices",
            value=request.source,
        )
    yield Given(device, request.access)


def _device(path: Path, inside: str) -> Device | None:
    try:
        found = path.stat()
    except OSError:
        return None
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    number = found.st_rdev
    mode = stat.S_IMODE(found.st_mode)
    return Device(inside, kind, os.major(number), os.minor(number), mode, found.st_uid, found.st_gid)


def find_numbers(wanted: Resources) -> Numbers:
    """The numbers of the block devices that limits name."""
    limits = (*wanted.read_bps, *wanted.write_bps, *wanted.read_iops, *wanted.write_iops)
    found: dict[str, tuple[int, int]] = {}
    for limit in limits:
        try:
            number = Path(limit.path).stat().st_rdev
        except OSError as error:
            raise InvalidError(f"no such file or directory: {limit.path}", field="blkio", value=limit.path) from error
        found[limit.path] = (os.major(number), os.minor(number))
    return found


def check_device(request: DeviceRequest) -> None:
    """A path, and letters for what may be done."""
    if not request.source.startswith("/") or not request.target.startswith("/"):
        raise InvalidError(f"{request.source!r} is not an absolute path", field="devices", value=request.source)
    if not request.access or set(request.access) - set("rwm"):
        raise InvalidError(f"bad mode specified: {request.access}", field="devices", value=request.access)


def device_rule(text: str) -> Json:
    """`c 1:3 mr` for the runtime; `InvalidError` in Docker's words."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidError(f"invalid device cgroup rule format: '{text}'", field="device_rules", value=text)
    rule: dict[str, Json] = {"allow": True, "type": match[1], "access": match[4]}
    for name, number in (("major", match[2]), ("minor", match[3])):
        if number != "*":
            rule[name] = int(number)
    return rule


def access_rule(given: Given) -> Json:
    """The rule that lets a container use a device."""
    device = given.device
    return {
        "allow": True,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "access": given.access,
    }

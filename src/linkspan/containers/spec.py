"""The runtime's description of a container (OCI runtime specification, config.json), with Docker's defaults. Pure.

Docker's seccomp profile is left out: the runtime then filters no system calls, and what a process may do is decided by
its capabilities, the masked paths and the device rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from linkspan.containers.capabilities import granted
from linkspan.containers.users import User
from linkspan.model.containers import Abilities, Container, CreateContainer, Device, ExecRequest, Mount, MountKind

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_NOTHING_EXECUTABLE = ("nosuid", "noexec", "nodev")
_DEFAULT_MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", _NOTHING_EXECUTABLE),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/sys", "sysfs", "sysfs", (*_NOTHING_EXECUTABLE, "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", *_NOTHING_EXECUTABLE)),
    ("/dev/mqueue", "mqueue", "mqueue", _NOTHING_EXECUTABLE),
)
_SHM = "/dev/shm"  # noqa: S108 - a mount point inside, no file of ours
_WRITABLE_WHEN_PRIVILEGED = ("/sys", "/sys/fs/cgroup")

_OWN_NAMESPACE_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""Docker's: whoever a process runs as, it may bind port 80 and ping."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container is given besides what was asked for.

    `files` are mounted over the root file system's own; `namespace` None is the engine's own network (mode host).
    """

    rootfs: Path
    files: Mapping[str, Path]
    namespace: Path | None
    hostname: str
    user: User
    abilities: Abilities


def cgroup(id: str) -> str:
    """The control group of a container."""
    return f"/linkspan/{id}"


def spec(container: Container, setting: Setting) -> Mapping[str, Json]:
    """config.json."""
    wanted = container.wanted
    return {
        "ociVersion": "1.0.2",
        "hostname": setting.hostname,
        "annotations": {"org.linkspan.container": container.id, "org.linkspan.name": container.name},
        "root": {"path": str(setting.rootfs), "readonly": wanted.read_only},
        "process": process(wanted, setting.user, setting.hostname, setting.abilities),
        "mounts": list(_mounts(wanted, setting)),
        "linux": _linux(container, setting),
    }


def process(wanted: CreateContainer, user: User, hostname: str, abilities: Abilities) -> Mapping[str, Json]:
    """The first process of a container."""
    return _process(
        wanted.argv,
        environment(wanted.env, hostname, tty=wanted.tty),
        wanted.workdir,
        user,
        granted(wanted.cap_add, wanted.cap_drop, abilities.capabilities, privileged=wanted.privileged),
        tty=wanted.tty,
    )


def exec_process(
    wanted: CreateContainer, request: ExecRequest, user: User, hostname: str, abilities: Abilities
) -> Mapping[str, Json]:
    """One more process: what it does not ask for is as the container has it."""
    return _process(
        request.argv,
        environment((*wanted.env, *request.env), hostname, tty=request.tty),
        request.workdir or wanted.workdir,
        user,
        granted(
            wanted.cap_add, wanted.cap_drop, abilities.capabilities, privileged=wanted.privileged or request.privileged
        ),
        tty=request.tty,
    )


def _process(
    argv: Sequence[str],
    env: Sequence[str],
    workdir: str,
    user: User,
    capabilities: Sequence[str],
    *,
    tty: bool,
) -> Mapping[str, Json]:
    return {
        "terminal": tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": list(argv),
        "env": list(env),
        "cwd": workdir or "/",
        "capabilities": {kind: list(capabilities) for kind in ("bounding", "effective", "permitted")},
        "oomScoreAdj": 0,
        "noNewPrivileges": False,
    }


def environment(asked: Iterable[str], hostname: str, *, tty: bool) -> list[str]:
    """Docker's variables, then those asked for; of several with one name the last counts, one without `=` removes."""
    variables = {"PATH": PATH, "HOSTNAME": hostname}
    if tty:
        variables["TERM"] = "xterm"
    for text in asked:
        name, equals, value = text.partition("=")
        if equals:
            variables[name] = value
        else:
            variables.pop(name, None)
    return [f"{name}={value}" for name, value in variables.items()]


def _mounts(wanted: CreateContainer, setting: Setting) -> Iterable[Json]:
    """In the order of their depth, so that none is hidden by one above it; a mount asked for replaces a default one."""
    mounts: dict[str, Json] = {}
    for target, kind, source, options in _DEFAULT_MOUNTS:
        if wanted.privileged and target in _WRITABLE_WHEN_PRIVILEGED:
            options = tuple("rw" if option == "ro" else option for option in options)
        mounts[target] = _mount(target, kind, source, options)
    mounts[_SHM] = _mount(_SHM, "tmpfs", "shm", (*_NOTHING_EXECUTABLE, "mode=1777", f"size={wanted.shm_size}"))
    for target, file in setting.files.items():
        mounts[target] = _mount(target, "bind", str(file), ("rbind", "rprivate", "rw"))
    for mount in wanted.mounts:
        mounts[_normal(mount.target)] = _wanted_mount(mount)
    for target in sorted(mounts, key=lambda target: (target.count("/"), list(mounts).index(target))):
        yield mounts[target]


def _normal(target: str) -> str:
    return "/" + "/".join(part for part in target.split("/") if part not in ("", "."))


def _wanted_mount(mount: Mount) -> Json:
    access = "ro" if mount.read_only else "rw"
    if mount.kind is MountKind.TMPFS:
        return _mount(mount.target, "tmpfs", "tmpfs", (*_NOTHING_EXECUTABLE, *mount.options, access))
    kept = [option for option in mount.options if option not in ("z", "Z", "ro", "rw")]
    propagation = () if any(option.endswith(("private", "shared", "slave")) for option in kept) else ("rprivate",)
    return _mount(mount.target, "bind", mount.source, ("rbind", *propagation, *kept, access))


def _mount(target: str, kind: str, source: str, options: Sequence[str]) -> Json:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def _linux(container: Container, setting: Setting) -> Mapping[str, Json]:
    wanted = container.wanted
    abilities = setting.abilities
    linux: dict[str, Json] = {
        "cgroupsPath": cgroup(container.id),
        "namespaces": list(_namespaces(setting.namespace, unified=abilities.unified)),
        "resources": {"devices": list(_device_rules(wanted))},
        "sysctl": _sysctls(wanted, setting.namespace),
    }
    if wanted.privileged:
        linux["devices"] = [_device(device) for device in abilities.devices]
    else:
        linux["maskedPaths"] = list(_MASKED)
        linux["readonlyPaths"] = list(_READ_ONLY)
    return linux


def _namespaces(network: Path | None, *, unified: bool) -> Iterable[Json]:
    for kind in ("mount", "uts", "ipc", "pid"):
        yield {"type": kind}
    if unified:
        yield {"type": "cgroup"}
    if network is not None:
        yield {"type": "network", "path": str(network)}


def _device_rules(wanted: CreateContainer) -> Iterable[Json]:
    """The runtime adds the usual devices (null, zero, random, tty, …) by itself."""
    yield {"allow": wanted.privileged, "access": "rwm"}


def _device(device: Device) -> Json:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _sysctls(wanted: CreateContainer, network: Path | None) -> Json:
    own = _OWN_NAMESPACE_SYSCTLS if network is not None and not wanted.mode.startswith("container:") else {}
    domain = {"kernel.domainname": wanted.domainname} if wanted.domainname else {}
    return {**own, **domain, **wanted.sysctls}

"""The runtime's description of a container (OCI runtime specification, config.json), with Docker's defaults. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkspan.containers import inits
from linkspan.containers.capabilities import granted
from linkspan.containers.devices import Given, access_rule, device_rule
from linkspan.containers.limits import Json, Numbers, resources, rlimits
from linkspan.containers.mountpoints import Outside, mountpoints
from linkspan.containers.seccomp import resolved
from linkspan.containers.security import UNCONFINED, security
from linkspan.containers.users import User
from linkspan.model.containers import Abilities, Container, CreateContainer, Device, ExecRequest

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MASKED = (
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
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_OWN_NAMESPACE_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""Docker's: whoever a process runs as, it may bind port 80 and ping."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container is given besides what was asked for.

    `files` are mounted over the root file system's own; `namespace` None is the engine's own network (mode host).
    `namespaces` are those that are not the container's own: by kind, the path of another's, None for the host's.
    `seccomp` is the text of the default profile. `init` is the program in front of the container's.
    """

    rootfs: Path
    files: Mapping[str, Path]
    namespace: Path | None
    hostname: str
    user: User
    abilities: Abilities
    namespaces: Mapping[str, Path | None] = field(default_factory=dict)
    seccomp: str = ""
    init: Path | None = None
    shm: Path | None = None
    volumes: Mapping[str, Path] = field(default_factory=dict)
    devices: Sequence[Given] = ()
    numbers: Numbers = field(default_factory=dict)


def cgroup(id: str, parent: str = "") -> str:
    """The control group of a container, below the one that was asked for."""
    return f"/{parent.strip('/') or 'linkspan'}/{id}"


def cgroup_of(container: Container) -> str:
    """The control group of a container."""
    return cgroup(container.id, container.wanted.cgroup_parent)


def spec(container: Container, setting: Setting) -> Mapping[str, Json]:
    """config.json."""
    wanted = container.wanted
    return {
        "ociVersion": "1.0.2",
        **({} if "uts" in setting.namespaces else {"hostname": setting.hostname}),
        "annotations": {"org.linkspan.container": container.id, "org.linkspan.name": container.name},
        "root": {"path": str(setting.rootfs), "readonly": wanted.read_only},
        "process": process(wanted, setting.user, setting.hostname, setting.abilities),
        "mounts": list(
            mountpoints(wanted, Outside(setting.files, setting.volumes, setting.shm, setting.init, own_shm(setting)))
        ),
        "linux": _linux(container, setting),
    }


def own_shm(setting: Setting) -> bool:
    """Whether a container has shared memory of its own."""
    return "ipc" not in setting.namespaces


def process(wanted: CreateContainer, user: User, hostname: str, abilities: Abilities) -> Mapping[str, Json]:
    """The first process of a container."""
    return _process(
        wanted,
        (inits.INSIDE, "--", *wanted.argv) if wanted.init else wanted.argv,
        environment(wanted.env, hostname, tty=wanted.tty),
        wanted.workdir,
        user,
        _capabilities(wanted, abilities),
        tty=wanted.tty,
    )


def exec_process(
    wanted: CreateContainer, request: ExecRequest, user: User, hostname: str, abilities: Abilities
) -> Mapping[str, Json]:
    """One more process: what it does not ask for is as the container has it."""
    return _process(
        wanted,
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
    wanted: CreateContainer,
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
        "oomScoreAdj": wanted.oom_score_adj,
        "noNewPrivileges": security(wanted.security).no_new_privileges,
        "rlimits": rlimits(wanted.ulimits),
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


def _linux(container: Container, setting: Setting) -> Mapping[str, Json]:
    wanted = container.wanted
    abilities = setting.abilities
    limits = resources(wanted.resources, abilities.lacking, setting.numbers)
    rules = [*_device_rules(wanted), *(access_rule(given) for given in setting.devices)]
    linux: dict[str, Json] = {
        "cgroupsPath": cgroup_of(container),
        "namespaces": list(_namespaces(wanted, setting)),
        "resources": {"devices": rules, **limits},
        "sysctl": _sysctls(wanted, setting.namespace),
    }
    if wanted.privileged:
        linux["devices"] = [_device(device) for device in abilities.devices]
        return linux
    linux["devices"] = [_device(given.device) for given in setting.devices]
    linux["maskedPaths"] = list(MASKED if wanted.masked_paths is None else wanted.masked_paths)
    linux["readonlyPaths"] = list(READ_ONLY if wanted.read_only_paths is None else wanted.read_only_paths)
    profile = security(wanted.security).seccomp or setting.seccomp
    if profile not in ("", UNCONFINED):
        linux["seccomp"] = resolved(profile, _capabilities(wanted, abilities))
    return linux


def _capabilities(wanted: CreateContainer, abilities: Abilities) -> Sequence[str]:
    """Of the first process."""
    return granted(wanted.cap_add, wanted.cap_drop, abilities.capabilities, privileged=wanted.privileged)


def _namespaces(wanted: CreateContainer, setting: Setting) -> Iterable[Json]:
    kinds = ["mount", "uts", "ipc", "pid"]
    if wanted.cgroup_namespace == "private" or (setting.abilities.unified and wanted.cgroup_namespace != "host"):
        kinds.append("cgroup")
    for kind in kinds:
        path = setting.namespaces.get(kind)
        if kind not in setting.namespaces:
            yield {"type": kind}
        elif path is not None:
            yield {"type": kind, "path": str(path)}
    if setting.namespace is not None:
        yield {"type": "network", "path": str(setting.namespace)}


def _device_rules(wanted: CreateContainer) -> Iterable[Json]:
    """The runtime adds the usual devices (null, zero, random, tty, …) by itself."""
    yield {"allow": wanted.privileged, "access": "rwm"}
    yield from map(device_rule, wanted.device_rules)


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

"""Containers: a root file system and a process in a sandbox, under Docker's terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from linkspan.model.health import Health, HealthCheck
from linkspan.model.logdrivers import LogConfig
from linkspan.model.requests import EndpointRequest
from linkspan.model.resources import DeviceRequest, Resources, RestartPolicy, Ulimit


class Status(StrEnum):
    """Where a container is in its life; Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    REMOVING = "removing"


class MountKind(StrEnum):
    """What is mounted."""

    BIND = "bind"
    TMPFS = "tmpfs"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount inside: `source` is a path of the host for a bind, the name of a volume, and empty for tmpfs.

    `options` are as mount(8) spells them. `create` makes a missing source a directory, as Docker's `-v` does and its
    `--mount` does not. For volumes: an empty name makes a new one, which goes with its container (`anonymous`);
    `copy` fills an empty volume with what the root file system has at `target`; driver, its options and labels are for
    a volume that does not exist yet; `subpath` is the part of it that is mounted. `detailed` says that it was asked for
    by `--mount`, and is shown in that form.
    """

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    options: tuple[str, ...] = ()
    create: bool = False
    anonymous: bool = False
    copy: bool = True
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    subpath: str = ""
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """What `docker create` asks for, parsed. Empty text and None mean "the default".

    `rootfs` is a directory of the host, used copy-on-write. `argv` is entrypoint and command together. `mode` is
    Docker's network mode (`bridge`, `host`, `none`, `container:<name|id>`, or a network's name); `endpoints` say how to
    join networks, the first being the mode's own. `links` (`<name|id>:<alias>`) are Docker's links on the default
    bridge: lines of /etc/hosts; on other networks they belong to the endpoints.

    `publish` has what `publish_all` asks for already: every exposed port that it does not name, on ports to be chosen.

    `image` is the image as the caller named it and `image_id` its id: `rootfs` is then its unpacked files, and what the
    image says by default is in the other fields already. `entrypoint` is how many words of `argv` are the entrypoint.
    """

    name: str
    rootfs: str
    argv: Sequence[str]
    env: Sequence[str] = ()
    workdir: str = ""
    user: str = ""
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach: tuple[bool, bool, bool] = (False, True, True)
    labels: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    endpoints: Sequence[EndpointRequest] = ()
    publish: Sequence[str] = ()
    publish_all: bool = False
    exposed: Sequence[str] = ()
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    extra_hosts: Sequence[str] = ()
    links: Sequence[str] = ()
    mounts: Sequence[Mount] = ()
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    privileged: bool = False
    read_only: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    shm_size: int = 64 << 20
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 10
    auto_remove: bool = False
    resources: Resources = field(default_factory=Resources)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    health: HealthCheck | None = None
    logging: LogConfig = field(default_factory=LogConfig)
    ulimits: Sequence[Ulimit] = ()
    devices: Sequence[DeviceRequest] = ()
    device_rules: Sequence[str] = ()
    group_add: Sequence[str] = ()
    security: Sequence[str] = ()
    masked_paths: Sequence[str] | None = None
    read_only_paths: Sequence[str] | None = None
    init: bool = False
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    cgroup_namespace: str = ""
    cgroup_parent: str = ""
    oom_score_adj: int = 0
    volumes_from: Sequence[str] = ()
    image: str = ""
    image_id: str = ""
    entrypoint: int = 0

    @property
    def origin(self) -> str:
        """What it is made from, as lists and events show it: the image's name, else the directory."""
        return self.image or self.rootfs


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What has become of the process. Times are None until they happen; `pid` is 0 unless running.

    `restarts` counts the starts that the policy made since the last one by hand; `stopped` says that it was ended by
    hand. `health` is None without a health check, and before the first start.
    """

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    oom_killed: bool = False
    restarts: int = 0
    stopped: bool = False
    health: Health | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self.status in (Status.RUNNING, Status.PAUSED)

    @property
    def active(self) -> bool:
        """What Docker calls running: there is a process, or the policy will start one."""
        return self.running or self.status is Status.RESTARTING


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it is remembered. `sandbox` is the id of its sandbox while it has one (from start to exit)."""

    id: str
    name: str
    created: datetime
    wanted: CreateContainer
    state: ContainerState = ContainerState()
    sandbox: str | None = None


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """`docker exec`: one more process in a running container. `detach_keys` are what lets a terminal go."""

    argv: Sequence[str]
    env: Sequence[str] = ()
    workdir: str = ""
    user: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = True
    attach_stderr: bool = True
    privileged: bool = False
    detach_keys: bytes = b""


@dataclass(frozen=True, slots=True)
class Exec:
    """An exec session: `running` until `exit_code` is known."""

    id: str
    container: str
    request: ExecRequest
    running: bool = False
    exit_code: int | None = None
    pid: int = 0


@dataclass(frozen=True, slots=True)
class LogChunk:
    """What a container wrote to one stream (1: standard output, 2: standard error) without a pause by the other.

    `lines` keep their ends; one without is a piece of a long line that goes on.
    """

    stream: int
    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the machine; `kind` is `c` or `b`."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the machine can give to containers.

    `capabilities` are those of our bounding set, which no child can exceed. `unified` tells version 2 of control groups
    alone from version 1 and the hybrid of both. `devices` are for privileged containers. `lacking` names the limits
    that these control groups do not know, as fields of `Resources`.
    """

    capabilities: frozenset[str] = frozenset()
    unified: bool = True
    devices: tuple[Device, ...] = ()
    lacking: frozenset[str] = frozenset()

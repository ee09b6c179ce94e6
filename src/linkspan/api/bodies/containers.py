"""Bodies of requests about containers (`docker-networking.md` §4.4; the transcript's §2.1)."""

from typing import Any

from msgspec import Struct, field

from linkspan.api.bodies.mounts import MountBody
from linkspan.api.bodies.networks import EndpointBody
from linkspan.api.bodies.resources import HealthConfig, ResourcesBody, RestartPolicy
from linkspan.api.bodies.spelling import docker_name


class PortBody(Struct, rename={"host_ip": "HostIp", "host_port": "HostPort"}, kw_only=True):
    """The host's side of a published port; empty text means "choose"."""

    host_ip: str = ""
    host_port: str = ""


class LogConfig(Struct, rename=docker_name, kw_only=True):
    """Where the output goes, and how much of it is kept."""

    type: str = ""
    config: dict[str, str] = field(default_factory=dict)


class HostConfig(ResourcesBody, rename=docker_name, kw_only=True):
    """What depends on the machine."""

    binds: list[str] = field(default_factory=list)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBody] | None] = field(default_factory=dict)
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    log_config: LogConfig = field(default_factory=LogConfig)
    runtime: str = ""
    storage_opt: dict[str, str] = field(default_factory=dict)
    cap_add: list[str] = field(default_factory=list)
    cap_drop: list[str] = field(default_factory=list)
    dns: list[str] = field(name="Dns", default_factory=list)
    dns_options: list[str] = field(name="DnsOptions", default_factory=list)
    dns_search: list[str] = field(name="DnsSearch", default_factory=list)
    extra_hosts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    mounts: list[MountBody] = field(default_factory=list)
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    shm_size: int = 0
    sysctls: dict[str, str] = field(default_factory=dict)
    tmpfs: dict[str, str] = field(default_factory=dict)
    volume_driver: str = ""
    volumes_from: list[str] = field(default_factory=list)
    group_add: list[str] = field(default_factory=list)
    security_opt: list[str] = field(default_factory=list)
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    oom_score_adj: int = field(name="OomScoreAdj", default=0)
    cgroupns_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = field(name="UTSMode", default="")
    userns_mode: str = ""
    isolation: str = ""
    init: bool = False


class NetworkingConfig(Struct, rename=docker_name, kw_only=True):
    """Endpoints by the name of their network."""

    endpoints_config: dict[str, EndpointBody | None] = field(default_factory=dict)


class ContainerCreate(Struct, rename=docker_name, kw_only=True):
    """POST /containers/create. `Rootfs` is ours: the directory that is the root file system, instead of an image."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Any] = field(default_factory=dict)
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] = field(default_factory=list)
    cmd: list[str] | str = field(default_factory=list)
    healthcheck: HealthConfig | None = None
    image: str = ""
    rootfs: str = ""
    volumes: dict[str, Any] = field(default_factory=dict)
    working_dir: str = ""
    entrypoint: list[str] | str = field(default_factory=list)
    network_disabled: bool = False
    mac_address: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    stop_timeout: int | None = None
    host_config: HostConfig = field(default_factory=HostConfig)
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig)


class ContainerCreated(Struct, rename=docker_name, kw_only=True):
    """201 of POST /containers/create."""

    id: str
    warnings: list[str] = field(default_factory=list)


class WaitError(Struct, rename=docker_name, kw_only=True):
    """Why there is no exit status."""

    message: str


class WaitBody(Struct, rename=docker_name, kw_only=True):
    """What POST /containers/{id}/wait ends with."""

    error: WaitError | None = None
    status_code: int


class ExecCreate(Struct, rename=docker_name, kw_only=True):
    """POST /containers/{id}/exec."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] = field(default_factory=list)
    working_dir: str = ""
    cmd: list[str] | str = field(default_factory=list)


class ExecCreated(Struct, rename=docker_name, kw_only=True):
    """201 of POST /containers/{id}/exec."""

    id: str


class ExecStart(Struct, rename=docker_name, kw_only=True):
    """POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = False


class ProcessConfig(Struct, kw_only=True):
    """What an exec session runs."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str


class ExecBody(Struct, rename=docker_name, kw_only=True):
    """GET /exec/{id}/json."""

    id: str = field(name="ID")
    running: bool
    exit_code: int | None
    process_config: ProcessConfig
    open_stdin: bool
    open_stderr: bool
    open_stdout: bool
    can_remove: bool = False
    container_id: str
    detach_keys: str = ""
    pid: int


class ContainersPruned(Struct, rename=docker_name, kw_only=True):
    """200 of POST /containers/prune: ids, or null when there were none."""

    containers_deleted: list[str] | None = None
    space_reclaimed: int = 0

"""Bodies that describe containers (the transcript's §2.2 and §2.4)."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from linkspan.api.bodies.containers import LogConfig, PortBody
from linkspan.api.bodies.mounts import MountBody
from linkspan.api.bodies.networks import EndpointBody
from linkspan.api.bodies.resources import HealthBody, HealthConfig, ResourcesBody, RestartPolicy
from linkspan.api.bodies.spelling import docker_name


class StateBody(Struct, rename=docker_name, kw_only=True):
    """What has become of the process."""

    status: str
    running: bool
    paused: bool = False
    restarting: bool = False
    oom_killed: bool
    dead: bool = False
    pid: int
    exit_code: int
    error: str
    started_at: str
    finished_at: str
    health: HealthBody | UnsetType = UNSET


class PointBody(Struct, rename=docker_name, kw_only=True):
    """A mount inside."""

    type: str
    name: str | UnsetType = UNSET
    source: str
    destination: str
    driver: str | UnsetType = UNSET
    mode: str
    rw: bool = field(name="RW")
    propagation: str = ""


class ConfigBody(Struct, rename=docker_name, kw_only=True):
    """What was asked for, and does not depend on the machine."""

    hostname: str
    domainname: str
    user: str
    attach_stdin: bool
    attach_stdout: bool
    attach_stderr: bool
    exposed_ports: dict[str, dict[str, str]] | UnsetType = UNSET
    tty: bool
    open_stdin: bool
    stdin_once: bool
    env: list[str]
    cmd: list[str]
    image: str
    volumes: dict[str, Any] | None = None
    working_dir: str
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str]
    stop_signal: str | UnsetType = UNSET
    stop_timeout: int | UnsetType = UNSET
    healthcheck: HealthConfig | UnsetType = UNSET


class HostConfigBody(ResourcesBody, rename=docker_name, kw_only=True):
    """What was asked for, and depends on the machine."""

    binds: list[str] | None
    container_id_file: str = field(name="ContainerIDFile", default="")
    log_config: LogConfig
    network_mode: str
    port_bindings: dict[str, list[PortBody]]
    restart_policy: RestartPolicy
    auto_remove: bool
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    cap_add: list[str] | None
    cap_drop: list[str] | None
    dns: list[str] = field(name="Dns")
    dns_options: list[str] = field(name="DnsOptions")
    dns_search: list[str] = field(name="DnsSearch")
    extra_hosts: list[str] | None
    group_add: list[str] | None
    cgroupns_mode: str = "host"
    cgroup: str = ""
    ipc_mode: str = "private"
    oom_score_adj: int = field(name="OomScoreAdj", default=0)
    masked_paths: list[str]
    readonly_paths: list[str]
    mounts: list[MountBody] | UnsetType = UNSET
    init: bool | UnsetType = UNSET
    links: list[str] | None = None
    pid_mode: str = ""
    privileged: bool
    publish_all_ports: bool = False
    readonly_rootfs: bool
    security_opt: list[str] | None = None
    sysctls: dict[str, str]
    tmpfs: dict[str, str]
    uts_mode: str = field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: int
    runtime: str = "runc"
    console_size: tuple[int, int] = (0, 0)
    isolation: str = ""


class NetworkSettings(Struct, rename=docker_name, kw_only=True):
    """Where a container is on the network. The upper half repeats its endpoint on `bridge`, for clients up to 1.51."""

    bridge: str = ""
    sandbox_id: str
    sandbox_key: str
    hairpin_mode: bool = False
    link_local_ipv6_address: str = field(name="LinkLocalIPv6Address", default="")
    link_local_ipv6_prefix_len: int = field(name="LinkLocalIPv6PrefixLen", default=0)
    ports: dict[str, list[PortBody] | None]
    secondary_ip_addresses: list[str] | None = field(name="SecondaryIPAddresses", default=None)
    secondary_ipv6_addresses: list[str] | None = field(name="SecondaryIPv6Addresses", default=None)
    endpoint_id: str = ""
    gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    mac_address: str = ""
    networks: dict[str, EndpointBody]


class GraphDriverBody(Struct, rename=docker_name, kw_only=True):
    """The directories of a container's root file system."""

    data: dict[str, str]
    name: str = "overlay2"


class ContainerBody(Struct, rename=docker_name, kw_only=True):
    """GET /containers/{id}/json."""

    id: str
    created: str
    path: str
    args: list[str]
    state: StateBody
    image: str
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    name: str
    restart_count: int = 0
    driver: str = "overlay2"
    platform: str = "linux"
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = field(name="ExecIDs", default=None)
    host_config: HostConfigBody
    graph_driver: GraphDriverBody | UnsetType = UNSET
    mounts: list[PointBody]
    config: ConfigBody
    network_settings: NetworkSettings
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET


class ShortHostConfig(Struct, rename=docker_name, kw_only=True):
    """The part of it that lists show."""

    network_mode: str


class ShortNetworkSettings(Struct, rename=docker_name, kw_only=True):
    """The part of it that lists show."""

    networks: dict[str, EndpointBody]


class ListedPort(Struct, kw_only=True, omit_defaults=True):
    """A port; without `PublicPort` it is exposed only."""

    ip: str = field(name="IP", default="")
    private_port: int = field(name="PrivatePort")
    public_port: int = field(name="PublicPort", default=0)
    type: str = field(name="Type")


class ContainerItem(Struct, rename=docker_name, kw_only=True):
    """One container of GET /containers/json."""

    id: str
    names: list[str]
    image: str
    image_id: str = ""
    command: str
    created: int
    ports: list[ListedPort]
    labels: dict[str, str]
    state: str
    status: str
    host_config: ShortHostConfig
    network_settings: ShortNetworkSettings
    mounts: list[PointBody]
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET

"""Bodies about the engine itself (`docker-networking.md` §4.2; the transcript's §2.4)."""

from msgspec import Struct, field

from linkspan.api.bodies.spelling import docker_name


class Platform(Struct, rename=docker_name, kw_only=True):
    """Who made the engine."""

    name: str


class Component(Struct, rename=docker_name, kw_only=True):
    """A part of the engine, with its version."""

    name: str
    version: str
    details: dict[str, str]


class VersionBody(Struct, rename=docker_name, kw_only=True):
    """GET /version. `GoVersion` names the language of the engine, which is not Go."""

    platform: Platform
    components: list[Component]
    version: str
    api_version: str
    min_api_version: str = field(name="MinAPIVersion")
    git_commit: str = ""
    go_version: str
    os: str = field(name="Os")
    arch: str
    kernel_version: str
    build_time: str = ""


class Plugins(Struct, rename=docker_name, kw_only=True):
    """Which drivers there are."""

    volume: list[str]
    network: list[str]
    authorization: list[str] | None = None
    log: list[str]


class PoolBody(Struct, rename=docker_name, kw_only=True):
    """Networks get prefixes of length `size` out of `base`."""

    base: str
    size: int


class FirewallBody(Struct, rename=docker_name, kw_only=True):
    """Which tool holds the rules."""

    driver: str
    info: list[tuple[str, str]] = field(default_factory=list)


class Swarm(Struct, rename=docker_name, kw_only=True):
    """There is none."""

    node_id: str = ""
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: list[str] | None = None


class Runtime(Struct, kw_only=True):
    """A program that runs containers, and what there is to know of it."""

    path: str
    status: dict[str, str] = field(default_factory=dict)


class Registries(Struct, rename=docker_name, kw_only=True):
    """Where images come from."""

    insecure_registry_cidrs: list[str] = field(
        name="InsecureRegistryCIDRs", default_factory=lambda: ["::1/128", "127.0.0.0/8"]
    )
    index_configs: dict[str, dict[str, str]] = field(default_factory=dict)
    mirrors: list[str] = field(default_factory=list)


class InfoBody(Struct, rename=docker_name, kw_only=True):
    """GET /info."""

    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int = 0
    containers_stopped: int
    images: int = 0
    driver: str = "overlay2"
    driver_status: list[tuple[str, str]] = field(default_factory=list)
    plugins: Plugins
    memory_limit: bool = True
    swap_limit: bool = True
    cpu_cfs_period: bool = True
    cpu_cfs_quota: bool = True
    cpu_shares: bool = field(name="CPUShares", default=True)
    cpu_set: bool = field(name="CPUSet", default=True)
    pids_limit: bool = True
    ipv4_forwarding: bool
    bridge_nf_iptables: bool = False
    bridge_nf_ip6tables: bool = field(name="BridgeNfIp6tables", default=False)
    debug: bool
    n_fd: int = field(name="NFd", default=0)
    oom_kill_disable: bool = field(name="OomKillDisable", default=False)
    n_goroutines: int = field(name="NGoroutines", default=0)
    system_time: str
    logging_driver: str
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str
    n_events_listener: int = field(name="NEventsListener", default=0)
    kernel_version: str
    operating_system: str
    os_version: str = field(name="OSVersion", default="")
    os_type: str = field(name="OSType", default="linux")
    architecture: str
    index_server_address: str = ""
    registry_config: Registries = field(default_factory=Registries)
    ncpu: int = field(name="NCPU")
    mem_total: int
    docker_root_dir: str
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str
    labels: list[str] = field(default_factory=list)
    experimental_build: bool = False
    server_version: str
    runtimes: dict[str, Runtime]
    default_runtime: str
    swarm: Swarm = field(default_factory=Swarm)
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = ""
    security_options: list[str] = field(default_factory=list)
    default_address_pools: list[PoolBody]
    firewall_backend: FirewallBody
    warnings: list[str] | None = None

"""The engine and its machine, as Docker describes itself."""

from collections.abc import Sequence
from datetime import datetime

from linkspan.api.bodies.system import (
    Component,
    FirewallBody,
    InfoBody,
    Platform,
    Plugins,
    PoolBody,
    Runtime,
    VersionBody,
)
from linkspan.api.host import Host
from linkspan.api.render.times import timestamp
from linkspan.model.config import Config
from linkspan.model.networks import Driver
from linkspan.model.problems import Problem

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""Go's names for what uname says."""


def version_body(host: Host, newest: str, oldest: str) -> VersionBody:
    """GET /version."""
    arch = _ARCHITECTURES.get(host.machine, host.machine)
    language = f"none (Python {host.python})"
    details = {
        "ApiVersion": newest,
        "Arch": arch,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": language,
        "KernelVersion": host.kernel,
        "MinAPIVersion": oldest,
        "Os": "linux",
    }
    return VersionBody(
        platform=Platform(name="Linkspan"),
        components=[Component(name="Engine", version=host.version, details=details)],
        version=host.version,
        api_version=newest,
        min_api_version=oldest,
        go_version=language,
        os="linux",
        arch=arch,
        kernel_version=host.kernel,
    )


def info_body(
    host: Host,
    config: Config,
    *,
    id: str,
    counts: tuple[int, int],
    images: int,
    problems: Sequence[Problem],
    now: datetime,
    debug: bool,
) -> InfoBody:
    """GET /info; `counts` are the containers that run, and all others, `images` how many images there are."""
    running, others = counts
    return InfoBody(
        id=id,
        containers=running + others,
        containers_running=running,
        containers_stopped=others,
        images=images,
        plugins=Plugins(volume=["local"], network=[str(driver) for driver in Driver], log=["json-file"]),
        ipv4_forwarding=host.forwards(4),
        bridge_nf_iptables=host.filters_bridged(4),
        bridge_nf_ip6tables=host.filters_bridged(6),
        debug=debug,
        system_time=timestamp(now),
        cgroup_version=host.cgroup,
        kernel_version=host.kernel,
        operating_system=host.system,
        os_version=host.system_version,
        architecture=host.machine,
        ncpu=host.cpus,
        mem_total=host.memory,
        docker_root_dir=str(host.data_root),
        name=host.name,
        server_version=host.version,
        runtimes={"runc": Runtime(path="runc")},
        default_runtime="runc",
        default_address_pools=[PoolBody(base=str(pool.base), size=pool.size) for pool in config.pools],
        firewall_backend=FirewallBody(driver=str(config.firewall)),
        warnings=[f"WARNING: {problem.subject}: {problem.message}" for problem in problems] or None,
    )

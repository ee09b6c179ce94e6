"""The engine and its machine, as Docker describes itself."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

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
from linkspan.api.rooms import Counts
from linkspan.containers.inits import find_init
from linkspan.containers.runtime import find_programs
from linkspan.model.config import Config
from linkspan.model.errors import UnavailableError
from linkspan.model.logdrivers import READABLE, LogConfig, LogDriver
from linkspan.model.networks import Driver
from linkspan.model.problems import Problem

REASON = "org.linkspan.reason"
"""The key under which a runtime says why it was chosen."""
_REASONS = {
    True: "crun before runc: version 2 of control groups is alone here",
    False: "runc: crun refuses version 1 of control groups, also beside version 2",
}
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
    counts: Counts,
    unified: bool,
    problems: Sequence[Problem],
    now: datetime,
    debug: bool,
    logging: LogConfig,
) -> InfoBody:
    """GET /info; `unified` tells version 2 of control groups alone from everything else."""
    runtimes, default = _runtimes(unified=unified)
    return InfoBody(
        id=id,
        containers=counts.running + counts.paused + counts.stopped,
        containers_running=counts.running,
        containers_paused=counts.paused,
        containers_stopped=counts.stopped,
        images=counts.images,
        plugins=Plugins(
            volume=["local"], network=[str(driver) for driver in Driver], log=[str(driver) for driver in READABLE]
        ),
        logging_driver=str(logging.driver or LogDriver.JSON_FILE),
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
        runtimes=runtimes,
        default_runtime=default,
        init_binary=_init(),
        security_options=["name=seccomp,profile=builtin"],
        default_address_pools=[PoolBody(base=str(pool.base), size=pool.size) for pool in config.pools],
        firewall_backend=FirewallBody(driver=str(config.firewall)),
        warnings=[f"WARNING: {problem.subject}: {problem.message}" for problem in problems] or None,
    )


def _runtimes(*, unified: bool) -> tuple[dict[str, Runtime], str]:
    """The program that runs containers, and why it is this one; none while one is missing."""
    try:
        path = find_programs(unified=unified).runtime
    except UnavailableError as error:
        return {"none": Runtime(path="", status={REASON: f"{error.message}; {error.hint}"})}, "none"
    name = Path(path).name
    return {name: Runtime(path=path, status={REASON: _REASONS[unified]})}, name


def _init() -> str:
    try:
        return find_init().name
    except UnavailableError:
        return ""

"""Containers as Docker shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import UNSET

from linkspan.api.bodies.containers import ExecBody, LogConfig, PortBody, ProcessConfig
from linkspan.api.bodies.inspect import (
    ConfigBody,
    ContainerBody,
    ContainerItem,
    HostConfigBody,
    ListedPort,
    NetworkSettings,
    ShortHostConfig,
    ShortNetworkSettings,
    StateBody,
)
from linkspan.api.bodies.networks import EndpointBody, EndpointIpam
from linkspan.api.bodies.resources import HealthBody, ProbeBody, RestartPolicy
from linkspan.api.limits import health_body as health_config
from linkspan.api.limits import resource_fields
from linkspan.api.publishing import single_ports, wished_bindings
from linkspan.api.render.mounts import Locate, binds, mount_bodies, point_bodies, tmpfs
from linkspan.api.render.networks import endpoint_body
from linkspan.api.render.times import timestamp
from linkspan.containers.hostnames import own_hostname
from linkspan.containers.spec import MASKED, READ_ONLY
from linkspan.model.containers import Container, ContainerState, CreateContainer, Exec, Status
from linkspan.model.health import Condition, Health
from linkspan.model.logdrivers import LogDriver
from linkspan.model.networks import Network
from linkspan.model.requests import EndpointRequest
from linkspan.model.sandboxes import Sandbox


def container_body(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], sandbox_key: str, locate: Locate
) -> ContainerBody:
    """GET /containers/{id}/json. `networks` are by id; `sandbox` is None unless the container runs."""
    wanted = container.wanted
    return ContainerBody(
        id=container.id,
        created=timestamp(container.created),
        path=wanted.argv[0],
        args=list(wanted.argv[1:]),
        state=state_body(container),
        image=wanted.image_id or wanted.rootfs,
        name=f"/{container.name}",
        restart_count=container.state.restarts,
        host_config=_host_config(wanted),
        mounts=point_bodies(wanted, locate),
        config=_config(container),
        network_settings=_network_settings(container, sandbox, networks, sandbox_key),
    )


def state_body(container: Container) -> StateBody:
    """What has become of the process."""
    state = container.state
    return StateBody(
        status=str(state.status),
        running=state.active,
        paused=state.status is Status.PAUSED,
        restarting=state.status is Status.RESTARTING,
        oom_killed=state.oom_killed,
        dead=False,
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=timestamp(state.started),
        finished_at=timestamp(state.finished),
        health=UNSET if state.health is None else health_body(state.health),
    )


def health_body(health: Health) -> HealthBody:
    """What health checks have found."""
    probes = [
        ProbeBody(
            start=timestamp(probe.started), end=timestamp(probe.ended), exit_code=probe.exit_code, output=probe.output
        )
        for probe in health.probes
    ]
    return HealthBody(status=str(health.condition), failing_streak=health.streak, log=probes)


def _config(container: Container) -> ConfigBody:
    wanted, usual = container.wanted, CreateContainer("", "", ())
    stdin, stdout, stderr = wanted.attach
    return ConfigBody(
        hostname=own_hostname(container),
        domainname=wanted.domainname,
        user=wanted.user,
        attach_stdin=stdin,
        attach_stdout=stdout,
        attach_stderr=stderr,
        exposed_ports={port: {} for port in _exposed(wanted)} or UNSET,
        tty=wanted.tty,
        open_stdin=wanted.open_stdin,
        stdin_once=wanted.stdin_once,
        env=list(wanted.env),
        cmd=list(wanted.argv[wanted.entrypoint :]),
        entrypoint=list(wanted.argv[: wanted.entrypoint]) or None,
        image=wanted.origin,
        working_dir=wanted.workdir,
        labels=dict(wanted.labels),
        stop_signal=UNSET if wanted.stop_signal == usual.stop_signal else wanted.stop_signal,
        stop_timeout=UNSET if wanted.stop_timeout == usual.stop_timeout else wanted.stop_timeout,
        volumes={mount.target: {} for mount in wanted.mounts if mount.anonymous} or None,
        healthcheck=health_config(wanted.health) or UNSET,
    )


def _exposed(wanted: CreateContainer) -> list[str]:
    return list(dict.fromkeys((*wanted.exposed, *wished_bindings(wanted.publish))))


def _host_config(wanted: CreateContainer) -> HostConfigBody:
    mounts = mount_bodies(wanted)
    open_paths = wanted.privileged
    return HostConfigBody(
        **resource_fields(wanted),
        binds=binds(wanted),
        log_config=_log_config(wanted),
        network_mode=wanted.mode or "default",
        port_bindings=_port_bindings(wanted),
        publish_all_ports=wanted.publish_all,
        restart_policy=RestartPolicy(name=str(wanted.restart.name), maximum_retry_count=wanted.restart.most),
        auto_remove=wanted.auto_remove,
        cap_add=list(wanted.cap_add) or None,
        cap_drop=list(wanted.cap_drop) or None,
        dns=list(wanted.dns),
        dns_options=list(wanted.dns_options),
        dns_search=list(wanted.dns_search),
        extra_hosts=list(wanted.extra_hosts) or None,
        privileged=wanted.privileged,
        readonly_rootfs=wanted.read_only,
        sysctls=dict(wanted.sysctls),
        tmpfs=dict(tmpfs(wanted)),
        mounts=mounts or UNSET,
        shm_size=wanted.shm_size,
        volumes_from=list(wanted.volumes_from) or None,
        group_add=list(wanted.group_add) or None,
        security_opt=list(wanted.security) or None,
        ipc_mode=wanted.ipc or "private",
        pid_mode=wanted.pid,
        uts_mode=wanted.uts,
        cgroupns_mode=wanted.cgroup_namespace or "host",
        oom_score_adj=wanted.oom_score_adj,
        init=wanted.init or UNSET,
        masked_paths=[] if open_paths else list(MASKED if wanted.masked_paths is None else wanted.masked_paths),
        readonly_paths=[]
        if open_paths
        else list(READ_ONLY if wanted.read_only_paths is None else wanted.read_only_paths),
    )


def _port_bindings(wanted: CreateContainer) -> dict[str, list[PortBody]]:
    """What was published by name: where all ports are, one that nothing is said of is there because of that."""
    found = wished_bindings(wanted.publish)
    return {port: bodies for port, bodies in found.items() if not wanted.publish_all or bodies != [PortBody()]}


def _log_config(wanted: CreateContainer) -> LogConfig:
    return LogConfig(type=str(wanted.logging.driver or LogDriver.JSON_FILE), config=dict(wanted.logging.options))


def _network_settings(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], sandbox_key: str
) -> NetworkSettings:
    endpoints = endpoints_of(container, sandbox, networks)
    settings = NetworkSettings(
        sandbox_id=sandbox.id if sandbox is not None else "",
        sandbox_key=sandbox_key,
        ports=port_map(container, sandbox, networks),
        networks=endpoints,
    )
    if (default := endpoints.get("bridge")) is not None:
        settings.endpoint_id = default.endpoint_id
        settings.gateway, settings.ip_address = default.gateway, default.ip_address
        settings.ip_prefix_len = default.ip_prefix_len
        settings.ipv6_gateway, settings.global_ipv6_address = default.ipv6_gateway, default.global_ipv6_address
        settings.global_ipv6_prefix_len = default.global_ipv6_prefix_len
        settings.mac_address = default.mac_address
    return settings


def endpoints_of(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network]
) -> dict[str, EndpointBody]:
    """Endpoints by the name of their network: those it has while it runs, else those it wants."""
    by_name = {network.name: network for network in networks.values()}
    wishes = {
        found.id if (found := networks.get(wish.network) or by_name.get(wish.network)) else wish.network: wish
        for wish in container.wanted.endpoints
    }
    if sandbox is not None and sandbox.endpoints:
        return {
            networks[each.network].name: endpoint_body(
                networks[each.network], each, _wish(wishes.get(each.network)), each.names
            )
            for each in sandbox.endpoints
        }
    shown: dict[str, EndpointBody] = {}
    for id, wish in wishes.items():
        body = _wish(wish)
        body.network_id = id if id in networks else ""
        shown[networks[id].name if id in networks else wish.network] = body
    if container.wanted.mode in ("host", "none") and container.wanted.mode in by_name:
        network_id, endpoint_id = by_name[container.wanted.mode].id, sandbox.id if sandbox is not None else ""
        shown[container.wanted.mode] = EndpointBody(network_id=network_id, endpoint_id=endpoint_id)
    return shown


def _wish(wish: EndpointRequest | None) -> EndpointBody:
    """An endpoint that is wanted, and nothing more."""
    if wish is None:
        return EndpointBody()
    ipam = EndpointIpam(
        ipv4_address=wish.ipv4_address, ipv6_address=wish.ipv6_address, link_local_ips=list(wish.link_local)
    )
    return EndpointBody(
        ipam_config=ipam if ipam != EndpointIpam() else None,
        driver_opts=dict(wish.driver_opts) or None,
        links=list(wish.links) or None,
        aliases=list(wish.aliases) or None,
        mac_address=wish.mac_address,
        gw_priority=wish.gw_priority,
    )


def port_map(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network]
) -> dict[str, list[PortBody] | None]:
    """`NetworkSettings.Ports`: bindings by port, null where a port is exposed only.

    Empty unless it runs on a network with a way out: on others nothing is published, and Docker shows nothing.
    """
    if sandbox is None or all(networks[each.network].internal for each in sandbox.endpoints):
        return {}
    found: dict[str, list[PortBody] | None] = dict.fromkeys(_exposed(container.wanted))
    for binding in sandbox.ports:
        for inside, outside in single_ports(binding):
            name = f"{inside}/{binding.protocol}"
            body = PortBody(host_ip=str(binding.address), host_port=str(outside))
            found[name] = [*(found.get(name) or ()), body]
    return found


def container_item(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], now: datetime, locate: Locate
) -> ContainerItem:
    """One container of a list."""
    wanted = container.wanted
    return ContainerItem(
        id=container.id,
        names=[f"/{container.name}"],
        image=wanted.origin,
        image_id=wanted.image_id,
        command=_command(wanted.argv),
        created=int(container.created.timestamp()),
        ports=_listed_ports(container, sandbox, networks),
        labels=dict(wanted.labels),
        state=str(container.state.status),
        status=status_text(container, now),
        host_config=ShortHostConfig(network_mode=wanted.mode or "default"),
        network_settings=ShortNetworkSettings(networks=endpoints_of(container, sandbox, networks)),
        mounts=point_bodies(wanted, locate),
    )


def _command(argv: Sequence[str]) -> str:
    """A command as Docker lists it: what has a space is in quotes, whatever else it has."""
    return " ".join((argv[0], *(f"'{word}'" if " " in word else word for word in argv[1:])))


def _listed_ports(container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network]) -> list[ListedPort]:
    listed: list[ListedPort] = []
    for name, bindings in port_map(container, sandbox, networks).items():
        number, _, protocol = name.partition("/")
        if not bindings:
            listed.append(ListedPort(private_port=int(number), type=protocol))
        for body in bindings or ():
            public = int(body.host_port)
            listed.append(ListedPort(ip=body.host_ip, private_port=int(number), public_port=public, type=protocol))
    return listed


def status_text(container: Container, now: datetime) -> str:
    """`Up 3 seconds`, `Exited (0) 2 minutes ago`, `Created`."""
    state = container.state
    if state.running and state.started is not None:
        return f"Up {ago(now, state.started)}{_aside(state)}"
    if state.status is Status.RESTARTING and state.finished is not None:
        return f"Restarting ({state.exit_code}) {ago(now, state.finished)} ago"
    if state.status is Status.EXITED and state.finished is not None:
        return f"Exited ({state.exit_code}) {ago(now, state.finished)} ago"
    if state.status is Status.REMOVING:
        return "Removal In Progress"
    return "Created"


def _aside(state: ContainerState) -> str:
    """What stands in brackets behind the time."""
    if state.status is Status.PAUSED:
        return " (Paused)"
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.condition is Condition.STARTING else f" ({state.health.condition})"


_SPANS = (
    (60, 1, "second", ""),
    (3600, 60, "minute", "About a minute"),
    (48 * 3600, 3600, "hour", "About an hour"),
    (14 * 86_400, 86_400, "day", ""),
    (60 * 86_400, 7 * 86_400, "week", ""),
    (730 * 86_400, 30 * 86_400, "month", ""),
)
"""Up to how many seconds which unit is used, and what one of it is called (Go's units.HumanDuration)."""


def ago(now: datetime, then: datetime) -> str:
    """How long, as a person says it."""
    seconds = int((now - then).total_seconds())
    if seconds < 1:
        return "Less than a second"
    for limit, unit, name, one in _SPANS:
        if seconds < limit:
            count = (seconds + 1800) // unit if unit == 3600 else seconds // unit
            if count <= 1:
                return one or f"1 {name}"
            return f"{count} {name}s"
    return f"{seconds // (365 * 86_400)} years"


def exec_body(session: Exec) -> ExecBody:
    """GET /exec/{id}/json."""
    wish = session.request
    return ExecBody(
        id=session.id,
        running=session.running,
        exit_code=session.exit_code,
        process_config=ProcessConfig(
            tty=wish.tty,
            entrypoint=wish.argv[0],
            arguments=list(wish.argv[1:]),
            privileged=wish.privileged,
            user=wish.user,
        ),
        open_stdin=wish.attach_stdin,
        open_stderr=wish.attach_stderr,
        open_stdout=wish.attach_stdout,
        container_id=session.container,
        pid=session.pid,
    )

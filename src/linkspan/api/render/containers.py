"""Containers as Docker shows them."""

import shlex
from collections.abc import Mapping
from datetime import datetime

from linkspan.api.bodies.containers import ExecBody, LogConfig, PortBody, ProcessConfig, RestartPolicy
from linkspan.api.bodies.inspect import (
    ConfigBody,
    ContainerBody,
    ContainerItem,
    HostConfigBody,
    ListedPort,
    NetworkSettings,
    PointBody,
    ShortHostConfig,
    ShortNetworkSettings,
    StateBody,
)
from linkspan.api.bodies.networks import EndpointBody, EndpointIpam
from linkspan.api.publishing import single_ports, wished_bindings
from linkspan.api.render.networks import endpoint_body
from linkspan.api.render.times import timestamp
from linkspan.model.containers import Container, CreateContainer, Exec, Mount, MountKind, Status
from linkspan.model.networks import Network
from linkspan.model.requests import EndpointRequest
from linkspan.model.sandboxes import Sandbox


def container_body(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], sandbox_key: str
) -> ContainerBody:
    """GET /containers/{id}/json. `networks` are by id; `sandbox` is None unless the container runs."""
    wanted = container.wanted
    return ContainerBody(
        id=container.id,
        created=timestamp(container.created),
        path=wanted.argv[0],
        args=list(wanted.argv[1:]),
        state=state_body(container),
        image=wanted.rootfs,
        name=f"/{container.name}",
        host_config=_host_config(wanted),
        mounts=[point_body(mount) for mount in wanted.mounts],
        config=_config(container),
        network_settings=_network_settings(container, sandbox, networks, sandbox_key),
    )


def state_body(container: Container) -> StateBody:
    """What has become of the process."""
    state = container.state
    return StateBody(
        status=str(state.status),
        running=state.status is Status.RUNNING,
        oom_killed=state.oom_killed,
        dead=False,
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=timestamp(state.started),
        finished_at=timestamp(state.finished),
    )


def point_body(mount: Mount) -> PointBody:
    """A mount inside."""
    return PointBody(
        type=str(mount.kind),
        source=mount.source,
        destination=mount.target,
        mode=",".join((*(("ro",) if mount.read_only else ()), *mount.options)),
        rw=not mount.read_only,
        propagation="rprivate" if mount.kind is MountKind.BIND else "",
    )


def _config(container: Container) -> ConfigBody:
    wanted = container.wanted
    stdin, stdout, stderr = wanted.attach
    return ConfigBody(
        hostname=wanted.hostname or container.id[:12],
        domainname=wanted.domainname,
        user=wanted.user,
        attach_stdin=stdin,
        attach_stdout=stdout,
        attach_stderr=stderr,
        exposed_ports={port: {} for port in _exposed(wanted)},
        tty=wanted.tty,
        open_stdin=wanted.open_stdin,
        stdin_once=wanted.stdin_once,
        env=list(wanted.env),
        cmd=list(wanted.argv),
        image=wanted.rootfs,
        working_dir=wanted.workdir,
        labels=dict(wanted.labels),
        stop_signal=wanted.stop_signal,
        stop_timeout=wanted.stop_timeout,
    )


def _exposed(wanted: CreateContainer) -> list[str]:
    return list(dict.fromkeys((*wanted.exposed, *wished_bindings(wanted.publish))))


def _host_config(wanted: CreateContainer) -> HostConfigBody:
    binds = [f"{mount.source}:{mount.target}" for mount in wanted.mounts if mount.kind is MountKind.BIND]
    tmpfs = {mount.target: ",".join(mount.options) for mount in wanted.mounts if mount.kind is MountKind.TMPFS}
    return HostConfigBody(
        binds=binds or None,
        log_config=LogConfig(type="json-file"),
        network_mode=wanted.mode or "default",
        port_bindings=wished_bindings(wanted.publish),
        restart_policy=RestartPolicy(),
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
        tmpfs=tmpfs,
        shm_size=wanted.shm_size,
    )


def _network_settings(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], sandbox_key: str
) -> NetworkSettings:
    endpoints = endpoints_of(container, sandbox, networks)
    settings = NetworkSettings(
        sandbox_id=sandbox.id if sandbox is not None else "",
        sandbox_key=sandbox_key,
        ports=port_map(container, sandbox),
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
        shown[container.wanted.mode] = EndpointBody(network_id=by_name[container.wanted.mode].id)
    return shown


def _wish(wish: EndpointRequest | None) -> EndpointBody:
    """An endpoint that is wanted, and nothing more."""
    if wish is None:
        return EndpointBody()
    asked = wish.ipv4_address or wish.ipv6_address
    ipam = EndpointIpam(ipv4_address=wish.ipv4_address, ipv6_address=wish.ipv6_address) if asked else None
    return EndpointBody(
        ipam_config=ipam,
        links=list(wish.links) or None,
        aliases=list(wish.aliases) or None,
        mac_address=wish.mac_address,
        gw_priority=wish.gw_priority,
    )


def port_map(container: Container, sandbox: Sandbox | None) -> dict[str, list[PortBody] | None]:
    """`NetworkSettings.Ports`: bindings by port, null where a port is exposed only; empty unless it runs."""
    if sandbox is None:
        return {}
    found: dict[str, list[PortBody] | None] = dict.fromkeys(_exposed(container.wanted))
    for binding in sandbox.ports:
        for inside, outside in single_ports(binding):
            name = f"{inside}/{binding.protocol}"
            body = PortBody(host_ip=str(binding.address), host_port=str(outside))
            found[name] = [*(found.get(name) or ()), body]
    return found


def container_item(
    container: Container, sandbox: Sandbox | None, networks: Mapping[str, Network], now: datetime
) -> ContainerItem:
    """One container of a list."""
    wanted = container.wanted
    return ContainerItem(
        id=container.id,
        names=[f"/{container.name}"],
        image=wanted.rootfs,
        command=shlex.join(wanted.argv),
        created=int(container.created.timestamp()),
        ports=_listed_ports(container, sandbox),
        labels=dict(wanted.labels),
        state=str(container.state.status),
        status=status_text(container, now),
        host_config=ShortHostConfig(network_mode=wanted.mode or "default"),
        network_settings=ShortNetworkSettings(networks=endpoints_of(container, sandbox, networks)),
        mounts=[point_body(mount) for mount in wanted.mounts],
    )


def _listed_ports(container: Container, sandbox: Sandbox | None) -> list[ListedPort]:
    listed: list[ListedPort] = []
    for name, bindings in port_map(container, sandbox).items():
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
    if state.status is Status.RUNNING and state.started is not None:
        return f"Up {ago(now, state.started)}"
    if state.status is Status.EXITED and state.finished is not None:
        return f"Exited ({state.exit_code}) {ago(now, state.finished)} ago"
    if state.status is Status.REMOVING:
        return "Removal In Progress"
    return "Created"


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

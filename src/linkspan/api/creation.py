"""From the body of POST /containers/create to the request for a container."""

from collections.abc import Iterator
from dataclasses import replace

from linkspan.api import limits
from linkspan.api.bodies.containers import ContainerCreate, HostConfig, PortBody
from linkspan.api.bodies.networks import EndpointBody
from linkspan.api.defaults import Source, words
from linkspan.api.mounting import mounts
from linkspan.api.networks import endpoint_request
from linkspan.api.publishing import exposed_ports, publish_texts
from linkspan.api.unsupported import check_supported, ignored
from linkspan.containers.checks import CONTAINER_MODE, has_own_network
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.logdrivers import LogConfig, log_driver, without_effect
from linkspan.model.requests import EndpointRequest

_DEFAULT_SHM = CreateContainer("", "", ()).shm_size


def container_request(name: str, body: ContainerCreate, source: Source | None = None) -> CreateContainer:
    """The request for a container from an image, whose defaults are in the body already, or from a directory.

    Raises `NotFoundError` for an image that is not there, and `InvalidError` in Docker's words.
    """
    entrypoint = words(body.entrypoint)
    argv = (*entrypoint, *words(body.cmd))
    if not (body.image or body.rootfs or argv):
        raise InvalidError("Config cannot be empty in order to create a container", field="body")
    if source is None and not body.rootfs:
        raise NotFoundError(f"No such image: {_tagged(body.image)}", field="Image", value=body.image)
    host = body.host_config
    check_supported(host)
    if host.publish_all_ports and host.network_mode.startswith(CONTAINER_MODE):
        text = "conflicting options: port publishing and the container type network mode"
        raise InvalidError(text, field="PublishAllPorts", value=host.network_mode)
    exposed = exposed_ports(body.exposed_ports)
    return CreateContainer(
        name=name,
        rootfs=body.rootfs if source is None else str(source.root),
        argv=argv,
        entrypoint=len(entrypoint),
        image="" if source is None else body.image,
        image_id="" if source is None else source.image.id,
        env=tuple(body.env),
        workdir=body.working_dir,
        user=body.user,
        hostname=body.hostname,
        domainname=body.domainname,
        tty=body.tty,
        open_stdin=body.open_stdin,
        stdin_once=body.stdin_once,
        attach=(body.attach_stdin, body.attach_stdout, body.attach_stderr),
        labels=body.labels,
        mode=host.network_mode,
        endpoints=tuple(_endpoints(body)),
        publish=publish_texts(_published(host, exposed)),
        publish_all=host.publish_all_ports,
        exposed=exposed,
        dns=tuple(host.dns),
        dns_search=tuple(host.dns_search),
        dns_options=tuple(host.dns_options),
        extra_hosts=tuple(host.extra_hosts),
        links=() if _is_named(host.network_mode) else tuple(host.links),
        mounts=tuple(mounts(host, body.volumes)),
        cap_add=tuple(host.cap_add),
        cap_drop=tuple(host.cap_drop),
        privileged=host.privileged,
        read_only=host.readonly_rootfs,
        sysctls=host.sysctls,
        shm_size=host.shm_size or _DEFAULT_SHM,
        stop_signal=body.stop_signal or "SIGTERM",
        stop_timeout=10 if body.stop_timeout is None else body.stop_timeout,
        auto_remove=host.auto_remove,
        resources=limits.resources(host),
        restart=limits.restart_policy(host.restart_policy),
        health=limits.health_check(body.healthcheck),
        logging=_logging(host),
        ulimits=limits.ulimits(host.ulimits),
        devices=limits.devices(host.devices),
        device_rules=tuple(host.device_cgroup_rules or ()),
        group_add=tuple(host.group_add),
        security=tuple(host.security_opt),
        masked_paths=None if host.masked_paths is None else tuple(host.masked_paths),
        read_only_paths=None if host.readonly_paths is None else tuple(host.readonly_paths),
        init=host.init,
        ipc=host.ipc_mode,
        pid=host.pid_mode,
        uts=host.uts_mode,
        cgroup_namespace=host.cgroupns_mode,
        cgroup_parent=host.cgroup_parent,
        oom_score_adj=host.oom_score_adj,
        volumes_from=tuple(host.volumes_from),
    )


def warnings(body: ContainerCreate, lacking: frozenset[str]) -> list[str]:
    """What was asked for and has no effect; `lacking` are the limits that the machine does not know."""
    host = body.host_config
    options = [f"the log option {name} has no effect: ignored" for name in without_effect(_logging(host))]
    return ignored(host) + options + limits.discarded(limits.resources(host), lacking)


def _logging(host: HostConfig) -> LogConfig:
    return LogConfig(log_driver(host.log_config.type), host.log_config.config)


def _tagged(image: str) -> str:
    """The name with a tag, as Docker completes it."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def _endpoints(body: ContainerCreate) -> Iterator[EndpointRequest]:
    """One for each network, that of the mode first: it gets `eth0`, and the address of clients before API 1.44."""
    wanted = {name: each or EndpointBody() for name, each in body.networking_config.endpoints_config.items()}
    mode = body.host_config.network_mode
    for place, name in enumerate(sorted(wanted, key=lambda name: name != mode)):
        endpoint = endpoint_request(name, wanted[name])
        if place == 0:
            endpoint = replace(endpoint, mac_address=endpoint.mac_address or body.mac_address)
            if _is_named(mode) and not endpoint.links:
                endpoint = replace(endpoint, links=tuple(body.host_config.links))
        yield endpoint


def _is_named(mode: str) -> bool:
    """Whether a mode is a network of the user's: there links are the endpoint's, and answered by the name server."""
    return has_own_network(mode) and mode not in ("", "default", "bridge")


def _published(host: HostConfig, exposed: tuple[str, ...]) -> dict[str, list[PortBody] | None]:
    """What is published by name, and with `-P` every exposed port that is not, on a port to be chosen."""
    named = {port if "/" in port else f"{port}/tcp": bindings for port, bindings in host.port_bindings.items()}
    rest = [port for port in exposed if port not in named] if host.publish_all_ports else []
    return {**named, **dict.fromkeys(rest)}

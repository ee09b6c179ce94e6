"""From the body of POST /containers/create to the request for a container."""

from collections.abc import Iterator
from dataclasses import replace

from linkspan.api.bodies.containers import ContainerCreate, HostConfig, MountBody, PortBody, TmpfsOptions
from linkspan.api.bodies.networks import EndpointBody
from linkspan.api.networks import endpoint_request
from linkspan.api.publishing import exposed_ports, publish_texts
from linkspan.containers.checks import has_own_network
from linkspan.model.containers import CreateContainer, Mount, MountKind
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.requests import EndpointRequest

_DEFAULT_SHM = CreateContainer("", "", ()).shm_size
_BIND_OPTIONS = frozenset({"rprivate", "private", "rshared", "shared", "rslave", "slave"})


def container_request(name: str, body: ContainerCreate) -> CreateContainer:
    """The request. Raises `NotFoundError` for an image (there are none), and `InvalidError` in Docker's words."""
    argv = (*_words(body.entrypoint), *_words(body.cmd))
    if not (body.image or body.rootfs or argv):
        raise InvalidError("Config cannot be empty in order to create a container", field="body")
    if not body.rootfs:
        raise NotFoundError(f"No such image: {_tagged(body.image)}", field="Image", value=body.image)
    host = body.host_config
    exposed = exposed_ports(body.exposed_ports)
    return CreateContainer(
        name=name,
        rootfs=body.rootfs,
        argv=argv,
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
        exposed=exposed,
        dns=tuple(host.dns),
        dns_search=tuple(host.dns_search),
        dns_options=tuple(host.dns_options),
        extra_hosts=tuple(host.extra_hosts),
        links=() if _is_named(host.network_mode) else tuple(host.links),
        mounts=tuple(_mounts(host)),
        cap_add=tuple(host.cap_add),
        cap_drop=tuple(host.cap_drop),
        privileged=host.privileged,
        read_only=host.readonly_rootfs,
        sysctls=host.sysctls,
        shm_size=host.shm_size or _DEFAULT_SHM,
        stop_signal=body.stop_signal or "SIGTERM",
        stop_timeout=10 if body.stop_timeout is None else body.stop_timeout,
        auto_remove=host.auto_remove,
    )


def warnings(body: ContainerCreate) -> list[str]:
    """What was asked for and has no effect here yet."""
    host = body.host_config
    ignored = {
        "restart policies": host.restart_policy.name not in ("", "no"),
        "memory and CPU limits": bool(host.memory or host.nano_cpus),
        "health checks": body.healthcheck is not None and body.healthcheck.get("Test") not in (None, [], ["NONE"]),
        "devices": bool(host.devices),
        "ulimits": bool(host.ulimits),
        "an init process": host.init,
    }
    return [f"{what} are not supported yet: ignored" for what, given in ignored.items() if given]


def _words(words: list[str] | str) -> list[str]:
    return [words] if isinstance(words, str) else words


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


def _mounts(host: HostConfig) -> Iterator[Mount]:
    """Binds, tmpfs and `--mount`, in Docker's order."""
    for text in host.binds:
        yield _bind(text)
    for target, options in host.tmpfs.items():
        yield Mount(MountKind.TMPFS, target, options=tuple(filter(None, options.split(","))))
    for body in host.mounts:
        yield _mount(body)


def _bind(text: str) -> Mount:
    """`-v SOURCE:TARGET[:OPTIONS]`."""
    source, _, rest = text.partition(":")
    target, _, options = rest.partition(":")
    words = options.split(",") if options else []
    if not (source and target) or ":" in options:
        raise InvalidError(f"invalid volume specification: '{text}'", field="Binds", value=text)
    if not source.startswith("/"):
        raise InvalidError(
            f"invalid volume specification: '{text}': named volumes are not supported yet",
            field="Binds",
            value=text,
            hint="give the absolute path of a directory",
        )
    if unknown := [word for word in words if word not in _BIND_OPTIONS | {"ro", "rw", "z", "Z", "nocopy"}]:
        raise InvalidError(f"invalid mode: {unknown[0]}", field="Binds", value=text)
    propagation = tuple(word for word in words if word in _BIND_OPTIONS)
    return Mount(MountKind.BIND, target, source, read_only="ro" in words, options=propagation, create=True)


def _mount(body: MountBody) -> Mount:
    """`--mount type=…`."""
    if body.type == "tmpfs":
        return Mount(MountKind.TMPFS, body.target, read_only=body.read_only, options=_tmpfs(body.tmpfs_options))
    if body.type != "bind":
        raise InvalidError(f"mount type {body.type!r} is not supported: expected bind or tmpfs", field="Mounts")
    options = body.bind_options
    return Mount(
        MountKind.BIND,
        body.target,
        body.source,
        read_only=body.read_only,
        options=(options.propagation,) if options is not None and options.propagation else (),
        create=options is not None and options.create_mountpoint,
    )


def _tmpfs(options: TmpfsOptions | None) -> tuple[str, ...]:
    if options is None:
        return ()
    size = (f"size={options.size_bytes}",) if options.size_bytes else ()
    return (*size, f"mode={options.mode:o}") if options.mode else size

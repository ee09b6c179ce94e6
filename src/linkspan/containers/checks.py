"""Whether what was asked for can be: everything that is wrong with a container before it exists, in Docker's words."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from linkspan.containers.capabilities import granted
from linkspan.containers.files import extra_host
from linkspan.containers.isolation import isolated
from linkspan.containers.mountchecks import check_mount
from linkspan.containers.proxied import proxied
from linkspan.containers.signals import signal_number
from linkspan.containers.users import inside
from linkspan.model.addressing import parse_address
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError
from linkspan.model.logdrivers import check_log_config
from linkspan.model.names import check_name
from linkspan.model.requests import EndpointRequest

CONTAINER_MODE = "container:"
DEFAULT_NETWORK = "bridge"

_NAMESPACED_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


def checked(wanted: CreateContainer) -> CreateContainer:
    """The request with its mode spelled out; raises `InvalidError` for whatever cannot be."""
    wanted = _frozen(wanted)
    check_container_name(wanted.name)
    _check_texts(wanted)
    if not wanted.argv or not wanted.argv[0]:
        raise InvalidError("no command specified", field="argv")
    rootfs = Path(wanted.rootfs)
    if not rootfs.is_absolute() or not rootfs.is_dir():
        raise InvalidError(
            f"invalid rootfs {wanted.rootfs!r}: expected the absolute path of a directory", field="rootfs"
        )
    wanted = isolated(with_mode(wanted))
    _check_mode(wanted)
    _check_sysctls(wanted)
    signal_number(wanted.stop_signal or "TERM")
    granted(wanted.cap_add, wanted.cap_drop, frozenset())
    for text in wanted.extra_hosts:
        extra_host(text)
    for text in wanted.dns:
        _check_server(text)
    proxied(wanted)
    check_log_config(wanted.logging)
    for mount in wanted.mounts:
        check_mount(mount)
    return replace(
        wanted,
        rootfs=str(rootfs),
        workdir=_workdir(wanted.workdir, rootfs),
        stop_signal=wanted.stop_signal or "SIGTERM",
    )


def _frozen(wanted: CreateContainer) -> CreateContainer:
    """A copy that no caller can change, equal to what the store gives back."""
    values: dict[str, Any] = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(value, Mapping):
            values[name] = dict(value)
    return CreateContainer(**values)


def check_container_name(name: str, shown: str = "") -> str:
    """Docker's rule for names, and its words; two characters at least. Errors have it as it is `shown`."""
    text = f"Invalid container name ({shown or name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    if len(name) < 2:
        raise InvalidError(text, field="name", value=name)
    try:
        return check_name(name, kind="container")
    except InvalidError as error:
        raise InvalidError(text, field="name", value=name) from error


def with_mode(wanted: CreateContainer) -> CreateContainer:
    """The default mode by its name, and the mode's own network among the endpoints."""
    mode = DEFAULT_NETWORK if wanted.mode in ("", "default") else wanted.mode
    names = {"default": DEFAULT_NETWORK, "": mode}
    endpoints = [replace(each, network=names.get(each.network, each.network)) for each in wanted.endpoints]
    if has_own_network(mode) and mode not in (each.network for each in endpoints):
        endpoints = endpoints or [EndpointRequest(mode)]
    if not has_own_network(mode):
        endpoints = []
    return replace(wanted, mode=mode, endpoints=tuple(endpoints))


def has_own_network(mode: str) -> bool:
    """Whether the mode gives a container endpoints of its own."""
    return mode not in ("host", "none") and not mode.startswith(CONTAINER_MODE)


def _check_mode(wanted: CreateContainer) -> None:
    mode = wanted.mode
    shared = "host type networking" if mode == "host" else "container type network"
    if wanted.links and (mode == "host" or mode.startswith(CONTAINER_MODE)):
        raise InvalidError(
            f"conflicting options: {shared} can't be used with links. This would result in undefined behavior",
            field="links",
            value=mode,
        )
    if mode == "container" or mode == CONTAINER_MODE:
        raise InvalidError(
            "Invalid network mode: invalid container format container:<name|id>", field="mode", value=mode
        )
    if not mode.startswith(CONTAINER_MODE):
        return
    conflicts = (
        (wanted.hostname, "hostname and the network mode"),
        (wanted.dns, "dns and the network mode"),
        (wanted.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (wanted.publish, "port publishing and the container type network mode"),
        (wanted.exposed, "port exposing and the container type network mode"),
    )
    for given, conflict in conflicts:
        if given:
            raise InvalidError(f"conflicting options: {conflict}", field="mode", value=mode)


def _check_sysctls(wanted: CreateContainer) -> None:
    for name in wanted.sysctls:
        if name.startswith("net.") and wanted.mode == "host":
            raise InvalidError(f"sysctl {name!r} not allowed in host network namespace", field="sysctls", value=name)
        if not name.startswith(("net.", "fs.mqueue.")) and name not in _NAMESPACED_SYSCTLS:
            raise InvalidError(f"sysctl {name!r} is not allowed: it is not namespaced", field="sysctls", value=name)
        if ".." in name or "/" in name:
            raise InvalidError(f"invalid sysctl {name!r}", field="sysctls", value=name)


def _check_server(text: str) -> None:
    try:
        parse_address(text, field="dns")
    except InvalidError as error:
        raise InvalidError(f"{text} is not an ip address", field="dns", value=text) from error


def _workdir(text: str, rootfs: Path) -> str:
    if text and not text.startswith("/"):
        raise InvalidError(
            f"the working directory {text!r} is invalid, it needs to be an absolute path", field="workdir", value=text
        )
    if text and (place := inside(rootfs, text)).exists() and not place.is_dir():
        raise InvalidError(f"Cannot mkdir: {text} is not a directory", field="workdir", value=text)
    return text


def _check_texts(wanted: CreateContainer) -> None:
    """No text may hold a NUL, which no system call could take, or what is not Unicode, which could not be stored."""
    texts = (
        *wanted.argv,
        *wanted.env,
        *(text for pair in wanted.labels.items() for text in pair),
        *(text for pair in wanted.sysctls.items() for text in pair),
        *(text for mount in wanted.mounts for text in (mount.source, mount.target, mount.subpath, *mount.options)),
        *(wanted.rootfs, wanted.workdir, wanted.user, wanted.hostname, wanted.domainname),
        *(*wanted.dns_search, *wanted.dns_options, *wanted.extra_hosts),
    )
    words = (*wanted.dns_search, *wanted.dns_options, *wanted.extra_hosts, wanted.hostname, wanted.domainname)
    for text in words:
        if any(char.isspace() for char in text):
            raise InvalidError(f"invalid text {text!a}: a space would begin another word of the file", value=text)
    for text in texts:
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise InvalidError(f"invalid text {text!a}: it holds a NUL or is not valid Unicode", value=text)

"""/etc/hosts, /etc/resolv.conf and /etc/hostname of containers: written at start, and changed with the networks.

The files are mounted inside, so they are always changed in place, and they belong to those inside as well. From
/etc/hosts exactly the lines that were ours are taken, so what was written inside stays. /etc/resolv.conf is written
whole, and therefore left alone once it is not what we wrote: a file beside it has the digests of our last two texts
(two, since a death may come between the digest and the text).
"""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from linkspan.containers import resolvconf
from linkspan.containers.files import HOST_NAME, host_line, hosts, names_the_host, own_names, with_host_name
from linkspan.containers.hostnames import own_hostname
from linkspan.containers.layout import Layout, Places
from linkspan.containers.links import DEFAULT, Links, is_line_of
from linkspan.containers.resolvconf import HostFile, Way, resolv_conf
from linkspan.engine.core import Engine
from linkspan.model.addressing import IPAddress
from linkspan.model.containers import Container, CreateContainer
from linkspan.model.sandboxes import Mode, Sandbox

log = logging.getLogger(__name__)

_HOSTS = Path("/etc/hosts")
_RESOLV_CONF = Path("/etc/resolv.conf")
_BEHIND_THE_STUB = Path("/run/systemd/resolve/resolv.conf")


class ResolutionFiles:
    """Writes the files."""

    def __init__(self, engine: Engine, layout: Layout, links: Links) -> None:
        self._engine = engine
        self._layout = layout
        self._links = links

    def write(self, container: Container, sandbox: Sandbox) -> None:
        """The files of a container that starts."""
        places, wanted = self._layout.of(container.id), container.wanted
        if wanted.mode == "host" and not wanted.extra_hosts:
            text = _read(_HOSTS)
        else:
            text = hosts(wanted, self._lines(container, sandbox), self._gateways())
        _put(places.hosts, with_host_name(text) if wanted.mode == "host" else text)
        _put_resolv_conf(places, self.resolv_conf(wanted, sandbox))
        _put(places.hostname, f"{own_hostname(container)}\n")

    def change(self, container: Container, before: Sandbox, after: Sandbox) -> None:
        """The networks of a container have changed while it runs."""
        self._change(container, self._lines(container, before), after)

    def unlink(self, before: Container, after: Container, sandbox: Sandbox) -> None:
        """A link of a container that runs is no more."""
        path = self._layout.of(after.id).hosts
        _replace_lines(path, frozenset(self._lines(before, sandbox)), self._lines(after, sandbox))

    def restore(self, container: Container, sandbox: Sandbox) -> None:
        """Whatever the networks were when the files were written."""
        managed = frozenset({own_names(own_hostname(container), container.wanted.domainname)})
        managed |= self._links.names(container)
        if not names_the_host(container.wanted):
            managed |= {HOST_NAME}
        path = self._layout.of(container.id).hosts
        found = [line for line in path.read_text().splitlines(keepends=True) if is_line_of(line, managed)]
        self._change(container, found, sandbox)

    def started(self, other: Container) -> None:
        """A container has started, maybe with other addresses: those that link to it hear of it."""
        for container in self._links.linking(other):
            sandbox = self._engine.sandboxes.get(container.id)
            if sandbox is not None:
                try:
                    self.restore(container, sandbox)
                except OSError:  # it is being removed
                    log.info("%s could not be told where %s is now", container.name, other.name)

    def _change(self, container: Container, old: Sequence[str], after: Sandbox) -> None:
        places = self._layout.of(container.id)
        _replace_lines(places.hosts, frozenset(old), self._lines(container, after))
        if _is_ours(places):
            _put_resolv_conf(places, self.resolv_conf(container.wanted, after))

    def _lines(self, container: Container, sandbox: Sandbox) -> Sequence[str]:
        """The lines of /etc/hosts that come with the networks."""
        names = own_names(own_hostname(container), container.wanted.domainname)
        found = [host_line(address.ip, names) for each in sandbox.endpoints for address in each.addresses]
        if sandbox.endpoint(self._engine.network(DEFAULT).id) is not None:
            if not names_the_host(container.wanted):
                found += [host_line(address, HOST_NAME) for address in self._gateways()]
            found += self._links.lines(container)
        return list(dict.fromkeys(found))

    def resolv_conf(self, wanted: CreateContainer, sandbox: Sandbox) -> str:
        """The resolver file of whoever lives in a sandbox."""
        versions = {address.version for endpoint in sandbox.endpoints for address in endpoint.addresses}
        if sandbox.mode is Mode.HOST:
            way = Way.HOST
        else:
            way = Way.NAMES if self._has_name_server(sandbox) else Way.REACHABLE
        return resolv_conf(wanted, host_file(), versions, way)

    def _has_name_server(self, sandbox: Sandbox) -> bool:
        networks = self._engine.networks
        return self._engine.config.names and any(networks[each.network].answers_names for each in sandbox.endpoints)

    def _gateways(self) -> Sequence[IPAddress]:
        """Where containers reach the host."""
        configured = self._engine.config.host_gateway
        return configured or [subnet.gateway for subnet in self._engine.network(DEFAULT).subnets]


def host_file() -> HostFile:
    """The host's resolver file: systemd-resolved's own list when the usual file only names its stub."""
    usual, behind = HostFile(str(_RESOLV_CONF), _read(_RESOLV_CONF)), _read(_BEHIND_THE_STUB)
    if usual.values("nameserver") == ["127.0.0.53"] and behind:
        return HostFile(str(_BEHIND_THE_STUB), behind)
    return usual


def chose_ndots(wanted: CreateContainer) -> bool:
    """Whether the user chose `ndots`, for this container or for the host."""
    return resolvconf.chose_ndots(wanted, host_file())


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _put(path: Path, text: str) -> None:
    """The whole file. Not emptied first: it could be read empty, and ext4 would write it out at close."""
    path.touch(mode=0o644)
    with path.open("r+") as file:
        file.write(text)
        file.truncate()


def _replace_lines(path: Path, old: frozenset[str], new: Sequence[str]) -> None:
    """Take some lines away, and put others at the end, where they are not there already."""
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    kept = [line for line in lines if line not in old - set(new)]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    text = "".join((*kept, *(line for line in new if line not in kept)))
    with path.open("r+", errors="surrogateescape") as file:
        file.write(text)
        file.truncate()


def _digest(text: bytes) -> str:
    return f"sha256:{sha256(text).hexdigest()}"


def _put_resolv_conf(places: Places, text: str) -> None:
    digests = [*_read(places.resolv_conf_digests).split()[-1:], _digest(text.encode())]
    places.resolv_conf_digests.write_text("".join(f"{digest}\n" for digest in digests))
    _put(places.resolv_conf, text)


def _is_ours(places: Places) -> bool:
    """Whether nobody has changed the file since we wrote it."""
    try:
        found = _digest(places.resolv_conf.read_bytes())
    except OSError:
        return False
    return found in _read(places.resolv_conf_digests).split()

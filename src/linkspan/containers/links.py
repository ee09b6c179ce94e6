"""Docker's links on the default bridge: lines of /etc/hosts that name another container.

A link is remembered by the id of the other container, so that it outlives a rename. Links on user-defined networks are
another thing: there the name server answers them.
"""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from linkspan.containers.checks import has_own_network
from linkspan.containers.files import host_line
from linkspan.containers.hostnames import own_hostname
from linkspan.containers.register import Life, Register
from linkspan.engine.core import Engine
from linkspan.model.containers import Container, CreateContainer
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.sandboxes import Endpoint

DEFAULT = "bridge"


def parse_link(text: str) -> tuple[str, str]:
    """`db:database` as name and alias; `db` alone is its own alias, and `/db:/web/database` is how inspect shows it."""
    name, colon, alias = text.partition(":")
    name, alias = name.removeprefix("/"), alias.rpartition("/")[2]
    if not name or (colon and not alias) or ":" in alias or any(char.isspace() for char in text):
        raise InvalidError(f"bad format for links: {text}", field="links", value=text)
    return name, alias or name


class Links:
    """Looks up what links mean."""

    def __init__(self, engine: Engine, register: Register) -> None:
        self._engine = engine
        self._register = register

    def resolved(self, wanted: CreateContainer) -> CreateContainer:
        """A request whose links name containers by id.

        One that is not there is `InvalidError`, as in Docker: clients take a 404 of `create` for a missing image.
        """
        if not wanted.links:
            return wanted
        found = []
        for text in wanted.links:
            name, alias = parse_link(text)
            try:
                found.append(f"{self._register.get(name).container.id}:{alias}")
            except NotFoundError as error:
                raise InvalidError(
                    f"could not get container for {name}: {error.message}", field="links", value=text
                ) from error
        return replace(wanted, links=tuple(dict.fromkeys(found)))

    def check(self, container: Container) -> None:
        """`ConflictError`, in Docker's words, unless everything that a container links to runs on its network."""
        for other, alias in self._targets(container):
            if not other.running:
                raise ConflictError(
                    f"Cannot link to a non running container: /{other.container.name} AS /{container.name}/{alias}",
                    field="links",
                    hint=f"start {other.container.name} first",
                )
            if self._place(other.container) is None:
                raise ConflictError(
                    f"Cannot link to /{other.container.name}, as it does not belong to the default network",
                    field="links",
                )

    def lines(self, container: Container) -> Sequence[str]:
        """The lines of /etc/hosts for what a container links to, as far as it runs."""
        return [
            host_line(address.ip, linked_names(other.container, alias))
            for other, alias in self._targets(container)
            if (place := self._place(other.container)) is not None
            for address in place.addresses
        ]

    def names(self, container: Container) -> frozenset[str]:
        """The right-hand sides of those lines."""
        return frozenset(linked_names(other.container, alias) for other, alias in self._targets(container))

    def linking(self, container: Container) -> Sequence[Container]:
        """The running containers that link to one."""
        return [
            life.container
            for life in self._register.all()
            if life.running and any(text.startswith(f"{container.id}:") for text in life.container.wanted.links)
        ]

    def _targets(self, container: Container) -> Sequence[tuple[Life, str]]:
        """The other containers, by alias; one that was removed is none any more."""
        found = []
        if has_own_network(container.wanted.mode):
            for text in container.wanted.links:
                id, alias = parse_link(text)
                if (life := self._register.lives.get(id)) is not None:
                    found.append((life, alias))
        return found

    def _place(self, container: Container) -> Endpoint | None:
        """Where a container is on the default bridge."""
        sandbox = self._engine.sandboxes.get(container.id)
        return None if sandbox is None else sandbox.endpoint(self._engine.network(DEFAULT).id)


def linked_names(other: Container, alias: str) -> str:
    """What a linked container is called: the alias, its host name, its name."""
    return " ".join(dict.fromkeys((alias, own_hostname(other), other.name)))


def is_line_of(line: str, names: frozenset[str]) -> bool:
    """Whether a line of /etc/hosts is one that we write for one of these names."""
    address, _, rest = line.rstrip("\n").partition("\t")
    try:
        ip_address(address)
    except ValueError:
        return False
    return rest in names

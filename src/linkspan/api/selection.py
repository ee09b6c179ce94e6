"""Which containers a list shows: the filters of GET /containers/json."""

from collections.abc import Sequence

from linkspan.api.filters import Filters
from linkspan.api.ports import Containers, Engine
from linkspan.model.containers import Container, CreateContainer, Status
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.health import Condition
from linkspan.model.portspec import parse_publish
from linkspan.model.sandboxes import Sandbox

FILTERS = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"}
    | {"publish", "since", "status", "volume"}
)
"""Docker's; `isolation` says something on Windows alone."""
_STATES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_HEALTH = ("none", *map(str, Condition))


class Selection:
    """The filters of one request; `InvalidError` for a value that none can have."""

    def __init__(self, filters: Filters, engine: Engine, containers: Containers) -> None:
        self._filters = filters
        self._engine = engine
        self._before = self._named("before", containers)
        self._since = self._named("since", containers)
        self._exits = {_exit_code(text) for text in filters.get("exited")}
        self._networks = {self._network_name(text) for text in filters.get("network")}
        for state in filters.get("status"):
            if state not in _STATES:
                raise InvalidError(f"invalid filter 'status={state}'", field="filters", value=state)
        for health in filters.get("health"):
            if health not in _HEALTH:
                raise InvalidError(f"unrecognised filter value for health: {health}", field="filters", value=health)
        self._tasks = filters.flag("is-task") is True

    @property
    def wants_all(self) -> bool:
        """Whether the filters speak of containers that do not run."""
        return "status" in self._filters or "exited" in self._filters

    def _named(self, key: str, containers: Containers) -> Container | None:
        values = self._filters.get(key)
        return containers.get(values[-1]) if values else None

    def _network_name(self, text: str) -> str:
        try:
            return self._engine.network(text).name
        except NotFoundError:
            return text

    def takes(self, container: Container, sandbox: Sandbox | None) -> bool:
        """Whether a container passes."""
        filters, wanted = self._filters, container.wanted
        return (
            filters.match("id", container.id)
            and filters.match("name", container.name, f"/{container.name}")
            and filters.labels(wanted.labels)
            and filters.exact("status", str(container.state.status))
            and filters.exact("ancestor", *_ancestors(wanted))
            and filters.exact("health", _health(container))
            and not self._tasks
            and filters.exact("volume", *(text for mount in wanted.mounts for text in (mount.source, mount.target)))
            and (
                not self._exits
                or (container.state.status is Status.EXITED and container.state.exit_code in self._exits)
            )
            and (self._before is None or container.created < self._before.created)
            and (self._since is None or container.created > self._since.created)
            and (not self._networks or bool(self._networks & self._connected(container, sandbox)))
            and self._has_ports(container, sandbox)
        )

    def _connected(self, container: Container, sandbox: Sandbox | None) -> set[str]:
        if sandbox is not None and sandbox.endpoints:
            return {self._engine.networks[endpoint.network].name for endpoint in sandbox.endpoints}
        return {self._network_name(endpoint.network) for endpoint in container.wanted.endpoints} | {
            container.wanted.mode
        }

    def _has_ports(self, container: Container, sandbox: Sandbox | None) -> bool:
        bindings = sandbox.ports if sandbox is not None else ()
        published = {(str(b.protocol), port) for b in bindings for port in range(b.host.first, b.host.last + 1)}
        exposed = {_ports(text) for text in container.wanted.exposed}
        inside = {(str(b.protocol), port) for b in bindings for port in range(b.target.first, b.target.last + 1)}
        inside |= {pair for pairs in exposed for pair in pairs}
        return _some(self._filters.get("publish"), published) and _some(self._filters.get("expose"), inside)


def _health(container: Container) -> str:
    health = container.state.health
    return "none" if health is None else str(health.condition)


def _ancestors(wanted: CreateContainer) -> tuple[str, ...]:
    """How one can name what a container was made from."""
    if not wanted.image_id:
        return (wanted.rootfs,)
    id = wanted.image_id.partition(":")[2]
    names = (wanted.image, wanted.image.removesuffix(":latest"), f"{wanted.image}:latest")
    return (*names, wanted.image_id, id, id[:12])


def _exit_code(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidError(f"invalid filter 'exited={text}'", field="filters", value=text) from error


def _ports(text: str) -> tuple[tuple[str, int], ...]:
    """`80`, `80/udp` or `80-90/tcp`."""
    wanted = parse_publish(text)
    return tuple((str(wanted.protocol), port) for port in range(wanted.target.first, wanted.target.last + 1))


def _some(texts: Sequence[str], found: set[tuple[str, int]]) -> bool:
    return not texts or any(pair in found for text in texts for pair in _ports(text))

"""What the handlers work with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from linkspan.api.host import Host
from linkspan.api.ports import Containers, Engine, Images
from linkspan.model.containers import CreateContainer, Status
from linkspan.model.errors import NotFoundError
from linkspan.model.events import Event
from linkspan.model.logdrivers import LogConfig
from linkspan.model.sandboxes import Sandbox


@dataclass
class Preferences:
    """What requests do not say, and what may change while the API serves.

    `network_options` are driver options of new networks by driver; the resolvers and the log driver are for containers
    that name none.
    """

    debug: bool = False
    network_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    logging: LogConfig = field(default_factory=LogConfig)

    def completed(self, wanted: CreateContainer) -> CreateContainer:
        """A request with what the daemon has where it says nothing: the log, and resolvers on a network of its own."""
        wanted = replace(wanted, logging=wanted.logging.over(self.logging))
        if wanted.mode.startswith("container:"):
            return wanted
        return replace(
            wanted,
            dns=wanted.dns or self.dns,
            dns_search=wanted.dns_search or self.dns_search,
            dns_options=wanted.dns_options or self.dns_options,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """How many containers run, are paused, and are neither; and how many images there are."""

    running: int
    paused: int
    stopped: int
    images: int


@dataclass(frozen=True)
class Rooms:
    """The rooms behind the API."""

    engine: Engine
    containers: Containers
    host: Host
    images: Images
    preferences: Preferences = field(default_factory=Preferences)

    def sandbox_of(self, reference: str) -> str | None:
        """The sandbox of a container, None while it has none; or one that is no container's.

        Raises `NotFoundError` in Docker's words.
        """
        try:
            id = self.containers.get(reference).id
        except NotFoundError:
            if self._is_sandbox(reference):
                return self.engine.sandbox(reference).id
            raise
        return id if id in self.engine.sandboxes else None

    def is_container(self, reference: str) -> bool:
        """Whether a reference means a container, and not a sandbox that somebody made without one."""
        try:
            self.containers.get(reference)
        except NotFoundError:
            return not self._is_sandbox(reference)
        return True

    def _is_sandbox(self, reference: str) -> bool:
        try:
            self.engine.sandbox(reference)
        except NotFoundError:
            return False
        return True

    def member_name(self, sandbox: Sandbox) -> str:
        """What lives in a sandbox, by the name clients know it by. A container has the id of its sandbox."""
        try:
            return self.containers.get(sandbox.id).name
        except NotFoundError:
            return sandbox.name

    def announce(self, type: str, action: str, actor: str, now: datetime, **attributes: str) -> None:
        """Tell everybody what only the API knows."""
        self.engine.announce(Event(type, action, actor, now, tuple(attributes.items())))

    def counts(self) -> Counts:
        """How many containers are in which state, and how many images there are."""
        states = [container.state.status for container in self.containers.all()]
        running = states.count(Status.RUNNING) + states.count(Status.RESTARTING)
        paused = states.count(Status.PAUSED)
        return Counts(running, paused, len(states) - running - paused, len(self.images.all()))

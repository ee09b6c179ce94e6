"""What the handlers work with."""

from dataclasses import dataclass, field

from linkspan.api.host import Host
from linkspan.api.journal import Journal
from linkspan.api.ports import Engine
from linkspan.model.errors import NotFoundError


@dataclass
class Preferences:
    """What may change while the API serves: whether to debug, and driver options of new networks by driver."""

    debug: bool = False
    network_options: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rooms:
    """The rooms behind the API."""

    engine: Engine
    host: Host
    preferences: Preferences = field(default_factory=Preferences)
    journal: Journal = field(default_factory=Journal)

    def container_of(self, sandbox: str) -> str:
        """The id under which clients know what lives in a sandbox."""
        return sandbox

    def sandbox_of(self, reference: str) -> str:
        """The sandbox of a container; `NotFoundError` in Docker's words."""
        try:
            return self.engine.sandbox(reference).id
        except NotFoundError as error:
            raise NotFoundError(f"No such container: {reference}", field="container", value=reference) from error

    def container_counts(self) -> tuple[int, int]:
        """How many run, and how many do not."""
        return len(self.engine.sandboxes), 0

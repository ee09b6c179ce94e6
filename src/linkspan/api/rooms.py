"""What the handlers work with."""

from dataclasses import dataclass, field

from linkspan.api.host import Host
from linkspan.api.journal import Journal
from linkspan.api.ports import Engine
from linkspan.model.errors import NotFoundError


@dataclass(frozen=True)
class Rooms:
    """The rooms behind the API."""

    engine: Engine
    host: Host
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

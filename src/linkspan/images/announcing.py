"""What happens to images, as Docker's events tell it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from linkspan.model.events import Event
from linkspan.model.images import Image
from linkspan.model.references import Reference


@dataclass(frozen=True)
class Announcer:
    """Makes events."""

    now: Callable[[], datetime]
    tell: Callable[[Event], None]

    def image(self, image: Image, action: str, name: str = "") -> None:
        """Something happened to an image, under a name or as a whole."""
        self._tell(action, image.id, {**image.config.labels, "name": name or image.id})

    def tags(self, image: Image, names: Sequence[Reference]) -> None:
        """An image got names."""
        for name in names:
            self.image(image, "tag", name=name.familiar)

    def removal(self, image: Image, names: Sequence[str], *, deleted: bool) -> None:
        """An image lost names, and may be gone."""
        for _ in names:
            self.image(image, "untag")
        if deleted:
            self.image(image, "delete")

    def transfer(self, image: Image | None, reference: Reference, action: str) -> None:
        """An image came or went under a name."""
        labels = {} if image is None else image.config.labels
        self._tell(action, reference.familiar, {**labels, "name": reference.familiar_name})

    def prune(self, freed: int) -> None:
        """Images were pruned."""
        self._tell("prune", "", {"reclaimed": str(freed)})

    def _tell(self, action: str, actor: str, attributes: dict[str, str]) -> None:
        self.tell(Event("image", action, actor, self.now(), tuple(sorted(attributes.items()))))

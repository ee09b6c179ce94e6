"""Every image that is remembered, by id and by name; what it holds, the store holds."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from linkspan.images.ports import ImageStore
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.images import Image
from linkspan.model.references import Reference, is_digest, parse_reference

_HEX = re.compile(r"[0-9a-f]+")
_FULL = 64


class Register:
    """The images. Changes are visible at once, and taken back when the store refuses them."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._images: dict[str, Image] = {}
        self._names: dict[str, str] = {}

    async def load(self) -> None:
        """Read what is remembered."""
        for image in await self._store.load_images():
            self._learn(image)

    def _learn(self, image: Image) -> None:
        self._images[image.id] = image
        self._names.update(dict.fromkeys(image.names, image.id))

    def all(self) -> Sequence[Image]:
        """Every image, in the order in which they came."""
        return list(self._images.values())

    def by_id(self, id: str) -> Image | None:
        """The image with exactly that id."""
        return self._images.get(id)

    def by_name(self, reference: Reference) -> Image | None:
        """The image with a name; without a tag, `latest` is meant."""
        found = self._names.get(reference.tagged.full)
        if found is None and reference.digest:
            found = self._names.get(reference.with_digest(reference.digest).full)
        return self._images[found] if found is not None else None

    def names_of(self, repository: Reference) -> Sequence[Reference]:
        """The names with a tag that images have in a repository."""
        names = [parse_reference(text) for image in self.all() for text in image.names]
        return [name for name in names if name.name == repository.name and name.tag]

    def find(self, text: str) -> tuple[Image, Reference | None]:
        """By digest, name, or the beginning of an id; the name, when it was one. `NotFoundError` in Docker's words."""
        if is_digest(text) or (_HEX.fullmatch(text) and len(text) == _FULL):
            id = text if ":" in text else f"sha256:{text}"
            if id in self._images:
                return self._images[id], None
            raise unknown(text)
        if text.startswith("sha256:") and _HEX.fullmatch(text[7:]):
            return self._by_prefix(text[7:], text), None
        reference = parse_reference(text)
        found = self.by_name(reference)
        if found is not None:
            return found, reference.tagged
        if _HEX.fullmatch(text):
            return self._by_prefix(text, reference.tagged.familiar), None
        raise unknown(reference.tagged.familiar)

    def _by_prefix(self, prefix: str, shown: str) -> Image:
        matches = [image for id, image in self._images.items() if id.startswith(f"sha256:{prefix}")]
        if len(matches) > 1:
            raise InvalidError(f"Multiple IDs found with provided prefix: {prefix}", field="image", value=prefix)
        if not matches:
            raise unknown(shown)
        return matches[0]

    def holder(self, name: str) -> str | None:
        """The id of the image that has a full name."""
        return self._names.get(name)

    async def put(self, image: Image, names: Iterable[Reference], now: datetime | None) -> Image:
        """Remember an image, new or known, and give it names, which others lose; `now` is when it got them."""
        gained = [reference.full for reference in names]
        known = self._images.get(image.id, image)
        held = tuple(dict.fromkeys((*known.names, *gained)))
        changed = [replace(known, names=held, tagged=now if gained and now else known.tagged)]
        changed += self._robbed(gained, image.id)
        await self._save(changed)
        return self._images[image.id]

    def _robbed(self, names: Sequence[str], id: str) -> Iterator[Image]:
        """Other images, without those names."""
        losers = {self._names[name] for name in names if name in self._names} - {id}
        for loser in losers:
            image = self._images[loser]
            yield replace(image, names=tuple(name for name in image.names if name not in names))

    async def untag(self, image: Image, names: Sequence[str]) -> Image:
        """Take names from an image."""
        held = tuple(name for name in image.names if name not in names)
        await self._save([replace(image, names=held)])
        return self._images[image.id]

    async def _save(self, changed: Sequence[Image]) -> None:
        before = (dict(self._images), dict(self._names))
        for image in changed:
            for name in self._images[image.id].names if image.id in self._images else ():
                self._names.pop(name, None)
        for image in changed[::-1]:  # the one that gains the names last
            self._learn(image)
        try:
            await self._store.put_images(changed)
        except BaseException:
            self._images, self._names = before
            raise

    async def remove(self, image: Image) -> None:
        """Forget an image with all its names."""
        await self._store.delete_image(image.id)
        self._images.pop(image.id, None)
        for name in [name for name, id in self._names.items() if id == image.id]:
            del self._names[name]


def unknown(shown: str) -> NotFoundError:
    """Docker's words."""
    return NotFoundError(f"No such image: {shown}", field="Image", value=shown)

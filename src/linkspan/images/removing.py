"""What `docker rmi` and `docker image prune` take away, by Docker's rules (daemon/images/image_delete.go)."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from linkspan.images.announcing import Announcer
from linkspan.images.register import Register
from linkspan.model.errors import ConflictError
from linkspan.model.images import Image, ImageUse, Removal
from linkspan.model.references import Reference, parse_reference

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """The names to take from an image, and whether it goes as well."""

    untag: tuple[str, ...]
    delete: bool


def verdict(image: Image, name: Reference | None, uses: Sequence[ImageUse], *, force: bool) -> Verdict:
    """What removing an image by a name, or by its id (None), means. Raises `ConflictError` in Docker's words."""
    references = [parse_reference(text) for text in image.names]
    if name is None:
        if not force and not _is_single(references):
            raise _conflict(image, "image is referenced in multiple repositories", forced=True)
        _refuse_used(image, uses, force=force)
        return Verdict(tuple(image.names), delete=True)
    if uses and not force and _is_single(references):
        use = uses[0]
        raise ConflictError(
            f'conflict: unable to remove repository reference "{name.familiar}" (must force) - container '
            f"{use.container[:_SHORT]} is using its referenced image {image.id[7 : 7 + _SHORT]}",
            field="image",
        )
    gone = _gone(references, name)
    if len(gone) < len(references):
        return Verdict(gone, delete=False)
    return Verdict(gone, delete=not any(use.running for use in uses) and (force or not uses))


def _gone(references: Sequence[Reference], name: Reference) -> tuple[str, ...]:
    """A name; and the digests of its repository, when that has no other tag."""
    rest = [each for each in references if each != name]
    same = [each for each in rest if each.name == name.name]
    digests = same if not name.digest and not any(each.tag for each in same) else []
    return tuple(each.full for each in (name, *digests))


def _tags(references: Sequence[Reference]) -> int:
    return sum(1 for reference in references if reference.tag)


def _is_single(references: Sequence[Reference]) -> bool:
    """Whether all names are of one repository, with one tag at most (`isSingleReference`)."""
    return len({reference.name for reference in references}) <= 1 and _tags(references) <= 1


def _refuse_used(image: Image, uses: Sequence[ImageUse], *, force: bool) -> None:
    running = next((use for use in uses if use.running), None)
    if running is not None:
        reason = f"image is being used by running container {running.container[:_SHORT]}"
        raise _conflict(image, reason, forced=False)
    if uses and not force:
        raise _conflict(image, f"image is being used by stopped container {uses[0].container[:_SHORT]}", forced=True)


def _conflict(image: Image, reason: str, *, forced: bool) -> ConflictError:
    how = "must be forced" if forced else "cannot be forced"
    return ConflictError(
        f"conflict: unable to delete {image.id[7 : 7 + _SHORT]} ({how}) - {reason}", field="image", value=image.id
    )


@dataclass(frozen=True)
class Remover:
    """Removes images. `held` are the ids of those that something is just being made of; `sweep` frees what is left."""

    register: Register
    announcer: Announcer
    uses: Callable[[], Iterable[ImageUse]]
    sweep: Callable[[], Awaitable[int]]
    held: list[str] = field(default_factory=list)

    async def remove(self, reference: str, *, force: bool) -> Removal:
        """Take a name, or everything, from an image. Raises `ConflictError` when a container needs it."""
        image, name = self.register.find(reference)
        uses = [use for use in self.uses() if use.image == image.id]
        uses += [ImageUse("(a new one)", image.id, "", running=True) for id in self.held if id == image.id]
        decided = verdict(image, name, uses, force=force)
        if decided.delete:
            return await self._delete(image, decided.untag, sweep=True)
        await self.register.untag(image, decided.untag)
        untagged = _shown(decided.untag)
        self.announcer.removal(image, untagged, deleted=False)
        return Removal(untagged)

    async def _delete(self, image: Image, names: Sequence[str], *, sweep: bool) -> Removal:
        await self.register.remove(image)
        untagged = _shown(names)
        self.announcer.removal(image, untagged, deleted=True)
        if sweep:
            await self.sweep()
        return Removal(untagged, (image.id,))

    async def prune(self, chosen: Callable[[Image], bool]) -> tuple[Sequence[Removal], int]:
        """Remove every image of these that no container uses; the bytes that this freed."""
        used = {use.image for use in self.uses()} | set(self.held)
        doomed = [image for image in self.register.all() if image.id not in used and chosen(image)]
        removals = [await self._delete(image, image.names, sweep=False) for image in doomed]
        freed = await self.sweep()
        self.announcer.prune(freed)
        return removals, freed


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(parse_reference(text).familiar for text in names)

"""What `docker rmi` takes away, by Docker's rules (daemon/images/image_delete.go). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from linkspan.model.errors import ConflictError
from linkspan.model.images import Image, ImageUse
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

"""Images as Docker shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET

from linkspan.api.bodies.images import (
    ErrorDetail,
    GraphDriver,
    HistoryItem,
    ImageBody,
    ImageItem,
    ImageMetadata,
    Message,
    ProgressDetail,
    RemovedItem,
    RootFs,
)
from linkspan.api.render.times import timestamp
from linkspan.images.writing import config_fields
from linkspan.model.builds import BuildError
from linkspan.model.errors import LinkspanError
from linkspan.model.images import Image, ImageProgress, Pushed, Removal
from linkspan.model.references import parse_reference

_MISSING = "<missing>"


def tags(image: Image) -> list[str]:
    """Its names with a tag, as people write them."""
    found = (parse_reference(name) for name in image.names)
    return sorted(reference.familiar for reference in found if not reference.digest)


def digests(image: Image) -> list[str]:
    """Its names with a digest."""
    found = (parse_reference(name) for name in image.names)
    return sorted(reference.familiar for reference in found if reference.digest)


def image_item(image: Image, containers: int, *, old: bool) -> ImageItem:
    """One image of a list; `containers` is -1 unless they were counted. `old` clients know one more size."""
    return ImageItem(
        containers=containers,
        created=seconds(image.created),
        id=image.id,
        labels=dict(image.config.labels) or None,
        repo_digests=digests(image),
        repo_tags=tags(image),
        size=image.size,
        virtual_size=image.size if old else UNSET,
    )


def seconds(when: datetime | None) -> int:
    """Since 1970; an image that does not say when it was made is from then."""
    return 0 if when is None else int(when.timestamp())


def image_body(image: Image, root: str, *, old: bool) -> ImageBody:
    """GET /images/{name}/json."""
    return ImageBody(
        id=image.id,
        repo_tags=tags(image),
        repo_digests=digests(image),
        comment=image.comment,
        created=timestamp(image.created),
        docker_version=image.docker_version,
        author=image.author,
        config=_config(image, old=old),
        container_config=_config(image, old=True),
        architecture=image.platform.architecture,
        variant=image.platform.variant or UNSET,
        os=image.platform.os,
        size=image.size,
        virtual_size=image.size if old else UNSET,
        graph_driver=GraphDriver(data={"UpperDir": root}),
        root_fs=RootFs(layers=[layer.diff_id for layer in image.layers]),
        metadata=ImageMetadata(last_tag_time=timestamp(image.tagged)),
    )


_OLD_CONFIG: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def _config(image: Image, *, old: bool) -> dict[str, Any]:
    """Clients from before API 1.50 expect the fields of a container's configuration, empty or not."""
    found = config_fields(image.config)
    return {**_OLD_CONFIG, **found} if old else found


def history(image: Image) -> list[HistoryItem]:
    """The steps, the last first. An image that tells none has a step for each layer."""
    sizes = [layer.size for layer in image.layers]
    items: list[HistoryItem] = []
    for entry in image.history:
        size = sizes.pop(0) if sizes and not entry.empty else 0
        made, by = seconds(entry.created), entry.created_by
        items.append(HistoryItem(comment=entry.comment, created=made, created_by=by, id=_MISSING, size=size, tags=None))
    made = seconds(image.created)
    items += [HistoryItem(comment="", created=made, created_by="", id=_MISSING, size=size, tags=None) for size in sizes]
    if items:
        items[-1].id, items[-1].tags = image.id, tags(image) or None
    return items[::-1]


def removed(removals: Sequence[Removal]) -> list[RemovedItem]:
    """What was removed, in order."""
    items: list[RemovedItem] = []
    for removal in removals:
        items += [RemovedItem(untagged=name) for name in removal.untagged]
        items += [RemovedItem(deleted=id) for id in removal.deleted]
    return items


def progress_message(said: ImageProgress | Pushed) -> Message:
    """A step of a transfer. The command draws a bar of the numbers, and shows the text where it cannot."""
    if isinstance(said, Pushed):
        return Message(
            aux={"Tag": said.tag, "Digest": said.digest, "Size": said.size}, progress_detail=ProgressDetail()
        )
    if not said.id:
        return Message(status=said.status)
    text = f"{_size(said.current)}/{_size(said.total)}" if said.current else ""
    detail = ProgressDetail(current=said.current, total=said.total)
    return Message(status=said.status, progress_detail=detail, progress=text, id=said.id)


def error_message(error: LinkspanError) -> Message:
    """A failure after the stream has begun. The command ends with the exit status of what failed in a build."""
    status = error.status if isinstance(error, BuildError) and error.status else UNSET
    return Message(error_detail=ErrorDetail(code=status, message=error.message), error=error.message)


def _size(count: int) -> str:
    """`1.984MB`, as Go's units write it."""
    amount, units = float(count), ("B", "kB", "MB", "GB", "TB")
    unit = 0
    while amount >= 1000 and unit < len(units) - 1:
        amount /= 1000
        unit += 1
    return f"{amount:.4g}{units[unit]}"

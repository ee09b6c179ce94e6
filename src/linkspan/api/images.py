"""/images: list, inspect, history, tag, remove, prune; /auth and /distribution. Transfers are in `transfers.py`."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from linkspan.api.bodies.images import (
    AuthAnswer,
    AuthBody,
    DescriptorBody,
    DistributionBody,
    HistoryItem,
    ImageBody,
    ImageItem,
    ImagesPruned,
    PlatformBody,
    RemovedItem,
)
from linkspan.api.calls import Call, Route, answer, done
from linkspan.api.filters import Filters, parse_filters
from linkspan.api.registries import credentials, credentials_of, named
from linkspan.api.render.images import digests, history, image_body, image_item, removed, tags
from linkspan.images.documents import digest_of
from linkspan.model.errors import InvalidError
from linkspan.model.images import Image
from linkspan.model.references import parse_reference

FILTERS = frozenset({"reference", "dangling", "label", "before", "since", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})


async def list_images(call: Call) -> web.StreamResponse:
    """GET /images/json: the newest first."""
    filters = parse_filters(call.text("filters"), FILTERS)
    chosen = [image for image in call.rooms.images.all() if _passes(image, filters, call)]
    chosen.sort(key=lambda image: image.created.timestamp() if image.created else 0.0, reverse=True)
    items = [image_item(image, -1, old=call.version < (1, 44)) for image in chosen]
    if wanted := filters.get("reference"):  # the other names of an image are not shown then
        for item in items:
            item.repo_tags = [name for name in item.repo_tags if _fits_one(name, wanted)]
            item.repo_digests = [name for name in item.repo_digests if _fits_one(name, wanted)]
    return answer(items)


def _passes(image: Image, filters: Filters, call: Call) -> bool:
    dangling = filters.flag("dangling")
    until = filters.until(call.now)
    names = [*tags(image), *digests(image)]
    return (
        (dangling is None or (not tags(image) if dangling else bool(names)))
        and filters.labels(image.config.labels)
        and ("reference" not in filters or any(_fits_one(name, filters.get("reference")) for name in names))
        and (until is None or image.created is None or image.created < until)
        and _is_on_side(image, filters, call)
    )


def _is_on_side(image: Image, filters: Filters, call: Call) -> bool:
    """`before` and `since` another image was made."""
    made = image.created
    for key in ("before", "since"):
        for name in filters.get(key):
            other = call.rooms.images.get(name).created
            if made is None or other is None or not (made < other if key == "before" else made > other):
                return False
    return True


def _fits_one(name: str, patterns: Iterable[str]) -> bool:
    return any(_fits(name, pattern) for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern of file names (Go's path.Match), with its tag or without."""
    return _matches(pattern, name) or _matches(pattern, parse_reference(name).familiar_name)


def _matches(pattern: str, text: str) -> bool:
    """`*` and `?` do not match a slash."""
    wanted, found = pattern.split("/"), text.split("/")
    return len(wanted) == len(found) and all(map(_part_matches, wanted, found))


def _part_matches(pattern: str, text: str) -> bool:
    """By hand, in linear time: each star takes as little as it can."""
    at, star, mark = 0, -1, 0
    place = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] in ("?", text[place]) and pattern[at] != "*":
            at, place = at + 1, place + 1
        elif at < len(pattern) and pattern[at] == "*":
            star, mark, at = at, place, at + 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")


async def inspect(call: Call) -> web.StreamResponse:
    """GET /images/{name}/json."""
    image = call.rooms.images.get(call.name())
    return answer(image_body(image, str(call.rooms.images.root(image)), old=call.version < (1, 50)))


async def show_history(call: Call) -> web.StreamResponse:
    """GET /images/{name}/history."""
    return answer(history(call.rooms.images.get(call.name())))


async def tag(call: Call) -> web.StreamResponse:
    """POST /images/{name}/tag."""
    name = named(call.text("repo"), call.text("tag"))
    if name is None:
        raise InvalidError("invalid reference format", field="repo")
    await call.rooms.images.tag(call.name(), name)
    return done(201)


async def remove(call: Call) -> web.StreamResponse:
    """DELETE /images/{name}."""
    return answer(removed([await call.rooms.images.remove(call.name(), force=call.flag("force"))]))


async def prune(call: Call) -> web.StreamResponse:
    """POST /images/prune: images without a name, or with `dangling=false` all that no container uses."""
    filters = parse_filters(call.text("filters"), PRUNE_FILTERS)
    dangling = filters.flag("dangling") is not False
    until = filters.until(call.now)

    def chosen(image: Image) -> bool:
        labels = image.config.labels
        return (
            not (dangling and tags(image))
            and (until is None or (image.created is not None and image.created <= until))
            and filters.labels(labels)
            and not ("label!" in filters and filters.labels(labels, "label!"))
        )

    removals, freed = await call.rooms.images.prune(chosen)
    return answer(ImagesPruned(images_deleted=removed(removals) or None, space_reclaimed=freed))


async def authenticate(call: Call) -> web.StreamResponse:
    """POST /auth: whether a registry knows somebody."""
    found = credentials(await call.body(AuthBody))
    if found is None or not found.username:
        raise InvalidError("a user name is needed", field="username")
    await call.rooms.images.login(found)
    return answer(AuthAnswer(status="Login Succeeded"))


async def distribution(call: Call) -> web.StreamResponse:
    """GET /distribution/{name}/json."""
    reference = parse_reference(call.name()).tagged
    data, platforms = await call.rooms.images.distribution(reference, credentials_of(call))
    kind = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("mediaType")
    media_type = msgspec.json.decode(kind, type=str) if kind else ""
    descriptor = DescriptorBody(media_type=media_type, digest=digest_of(data), size=len(data))
    shown = [PlatformBody(architecture=each.architecture, os=each.os, variant=each.variant) for each in platforms]
    return answer(DistributionBody(descriptor=descriptor, platforms=shown))


ONE = "/images/{id:.+}"
ROUTES = (
    Route(
        "GET",
        "/images/json",
        list_images,
        "List images",
        {200: list[ImageItem]},
        query={
            "all": "accepted, and without effect",
            "digests": "accepted, and without effect",
            "shared-size": "accepted, and without effect",
            "filters": "JSON: reference, dangling, label, before, since, until",
        },
    ),
    Route(
        "POST",
        "/images/prune",
        prune,
        "Remove images that nobody uses",
        {200: ImagesPruned},
        query={"filters": "JSON: dangling, label, label!, until"},
        changes=True,
    ),
    Route("GET", f"{ONE}/json", inspect, "Inspect an image", {200: ImageBody}),
    Route("GET", f"{ONE}/history", show_history, "How an image was made", {200: list[HistoryItem]}),
    Route(
        "POST",
        f"{ONE}/tag",
        tag,
        "Give an image one more name",
        {201: None},
        query={"repo": "name", "tag": "latest by default"},
        changes=True,
    ),
    Route(
        "DELETE",
        ONE,
        remove,
        "Remove a name, or an image",
        {200: list[RemovedItem]},
        query={"force": "also when containers that do not run need it", "noprune": "accepted, and without effect"},
        changes=True,
    ),
    Route("POST", "/auth", authenticate, "Log in to a registry", {200: AuthAnswer}, body=AuthBody),
    Route(
        "GET", "/distribution/{id:.+}/json", distribution, "What a registry has under a name", {200: DistributionBody}
    ),
)

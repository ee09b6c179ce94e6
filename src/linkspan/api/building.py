"""POST /build: an image by a Dockerfile; POST /build/prune. The stream is that of Docker's classic builder."""

from collections.abc import AsyncIterator, Mapping

import msgspec
from aiohttp import web

from linkspan.api import limits
from linkspan.api.bodies.images import AuthBody, Message
from linkspan.api.bodies.resources import UlimitBody
from linkspan.api.bodies.usage import CachePruned
from linkspan.api.calls import Call, Route, answer
from linkspan.api.filters import parse_filters
from linkspan.api.registries import credentials, decoded, named
from linkspan.api.render.images import progress_message
from linkspan.api.transfers import body_of, streamed
from linkspan.model.builds import BuildLine, BuildRequest
from linkspan.model.errors import InvalidError, UnimplementedError
from linkspan.model.images import Credentials, Image
from linkspan.model.references import HUB

_PRUNE_FILTERS = ("until", "id", "parent", "type", "description", "inuse", "shared", "private")
IDENTITIES_HEADER = "X-Registry-Config"
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")


async def build(call: Call) -> web.StreamResponse:
    """POST /build."""
    request = build_request(call)
    return await streamed(call, _build(call, request))


def build_request(call: Call) -> BuildRequest:
    """The query as a request. Raises `InvalidError`, and `UnimplementedError` for BuildKit."""
    if call.text("version") == "2":
        raise UnimplementedError(
            "building with BuildKit is not supported: build with DOCKER_BUILDKIT=0", field="version", value="2"
        )
    if call.text("remote"):
        raise InvalidError("only a context in the body is supported, not one from elsewhere", field="remote")
    if call.flag("squash"):
        raise InvalidError("squash is only supported with experimental mode", field="squash")  # Docker's words
    wanted = (named(text, "") for text in call.request.query.getall("t", []) if text)
    return BuildRequest(
        dockerfile=_path(call.text("dockerfile") or "Dockerfile"),
        names=tuple(dict.fromkeys(name for name in wanted if name is not None)),
        arguments=_pairs(call, "buildargs"),
        labels=_pairs(call, "labels"),
        target=_word(call, "target"),
        network=_word(call, "networkmode") or "default",
        platform=_word(call, "platform"),
        no_cache=call.flag("nocache"),
        pull=call.flag("pull"),
        ulimits=_ulimits(call),
        hosts=tuple(_host(text) for text in call.request.query.getall("extrahosts", []) if text),
        identities=_identities(call),
    )


def _pairs(call: Call, key: str) -> Mapping[str, str]:
    """A JSON object. A build argument without a value is one that the client does not set."""
    text = call.text(key)
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, str | None] | None) or {}
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidError(f"invalid {key}: {error}", field=key, value=text) from error
    for name, value in found.items():
        if not name or name.startswith("-") or "=" in name or "\0" in name + (value or ""):
            raise InvalidError(f"invalid {key}: {name!r} cannot be a name", field=key, value=name)
    return {name: value for name, value in found.items() if value is not None}


def _ulimits(call: Call) -> tuple[str, ...]:
    """`[{"Name": "nofile", "Soft": 1, "Hard": 2}]` as a command line has it."""
    text = call.text("ulimits")
    try:
        bodies = msgspec.json.decode(text or "[]", type=list[UlimitBody] | None) or []
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidError(f"invalid ulimits: {error}", field="ulimits", value=text) from error
    return tuple(f"{limit.name}={limit.soft}:{limit.hard}" for limit in limits.ulimits(bodies))


def _word(call: Call, key: str) -> str:
    """A value that becomes the word of a command line."""
    text = call.text(key)
    if text.startswith("-") or "\0" in text:
        raise InvalidError(f"invalid {key} {text!r}", field=key, value=text)
    return text


def _path(text: str) -> str:
    if "\0" in text:
        raise InvalidError("invalid dockerfile: a path holds no NUL", field="dockerfile")
    return text


def _host(text: str) -> str:
    name, colon, address = text.partition(":")
    if not (name and colon and address) or text.startswith("-") or "\0" in text:
        raise InvalidError(f"bad format for add-host: {text!r}", field="extrahosts", value=text)
    return text


def _identities(call: Call) -> Mapping[str, Credentials]:
    """Credentials by registry. What cannot be read is nobody, as in Docker."""
    bodies = decoded(call.request.headers.get(IDENTITIES_HEADER, ""), dict[str, AuthBody]) or {}
    found = {}
    for server, body in bodies.items():
        domain = HUB if server in _HUB_KEYS else server.partition("://")[2].partition("/")[0] or server
        identity = credentials(body)
        if identity is not None:
            found[domain] = identity
    return found


async def _build(call: Call, request: BuildRequest) -> AsyncIterator[Message]:
    quiet = call.flag("q")
    async for news in call.rooms.images.build(body_of(call), request):
        if isinstance(news, Image):
            for message in _concluded(news, request, quiet=quiet):
                yield message
        elif isinstance(news, BuildLine):
            if not quiet:
                yield Message(stream=news.text)
        elif not quiet:
            yield progress_message(news)


def _concluded(image: Image, request: BuildRequest, *, quiet: bool) -> list[Message]:
    if quiet:
        return [Message(stream=f"{image.id}\n")]
    built = Message(stream=f"Successfully built {image.id.partition(':')[2][:12]}\n")
    tagged = [Message(stream=f"Successfully tagged {name.familiar}\n") for name in request.names]
    return [Message(aux={"ID": image.id}), built, *tagged]


async def prune(call: Call) -> web.StreamResponse:
    """POST /build/prune: all or, when a build has added to it since `until`, nothing: its parts are not told apart."""
    filters = parse_filters(call.text("filters"), _PRUNE_FILTERS)
    since, until = call.rooms.images.builds_since(), filters.until(call.now)
    kept = since is not None and until is not None and since > until
    freed = 0 if kept else await call.rooms.images.prune_builds()
    call.rooms.announce("builder", "prune", "", call.now, reclaimed=str(freed))
    return answer(CachePruned(caches_deleted=["buildah"] if freed else None, space_reclaimed=freed))


ROUTES = (
    Route(
        "POST",
        "/build",
        build,
        "Build an image by a Dockerfile, from the archive of a context in the body",
        {200: Message},
        query={
            "dockerfile": "path in the context; Dockerfile by default",
            "t": "name and tag of the image, repeated",
            "buildargs": "JSON: values by name",
            "labels": "JSON: values by name",
            "target": "stage at which to end",
            "networkmode": "as of a container: default, host, none, a network, container:…",
            "platform": "os/architecture/variant",
            "extrahosts": "name:address, repeated",
            "ulimits": "JSON: limits of the programs",
            "nocache": "build every step",
            "pull": "ask the registries for newer images to begin with",
            "squash": "must be false",
            "q": "tell the id alone",
            "remote": "must be empty",
            "version": "must not be 2 (BuildKit)",
            **dict.fromkeys(("rm", "forcerm", "memory", "memswap", "cpushares", "cpusetcpus"), "no effect"),
            **dict.fromkeys(("cpuperiod", "cpuquota", "shmsize", "cachefrom", "cgroupparent"), "no effect"),
        },
    ),
    Route(
        "POST",
        "/build/prune",
        prune,
        "Throw away what builds keep for later ones",
        {200: CachePruned},
        query={"all": "no effect", "filters": "JSON: until", "keep-storage": "no effect"},
        changes=True,
    ),
)

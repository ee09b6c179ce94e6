"""/images: create (pull and import), push, load, get. Answers are streams of messages, with errors in the middle."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from aiohttp import web

from linkspan.api.bodies.images import Message
from linkspan.api.calls import Call, Route, encoded
from linkspan.api.images import ONE
from linkspan.api.registries import credentials_of, named, pulled
from linkspan.api.render.images import error_message, progress_message
from linkspan.model.errors import InvalidError, LinkspanError
from linkspan.model.images import Loaded
from linkspan.model.references import Reference, parse_reference, with_tag

_CHUNK = 256 << 10


async def create(call: Call) -> web.StreamResponse:
    """POST /images/create."""
    if call.text("fromImage"):
        return await streamed(call, _pull(call))
    if call.text("fromSrc") != "-":
        raise InvalidError("only `fromSrc=-` is supported: send the archive itself", field="fromSrc")
    return await streamed(call, _import(call))


async def _pull(call: Call) -> AsyncGenerator[Message, None]:
    reference, identity = pulled(call.text("fromImage"), call.text("tag")), credentials_of(call)
    images = call.rooms.images
    wanted = [reference] if reference.tag or reference.digest else await images.tags(reference, identity)
    for each in wanted:
        async with aclosing(images.pull(each, call.text("platform"), identity)) as said:
            async for progress in said:
                yield progress_message(progress)


async def _import(call: Call) -> AsyncGenerator[Message, None]:
    query = call.request.query
    image = await call.rooms.images.make(
        body_of(call),
        named(call.text("repo"), call.text("tag")),
        changes=query.getall("changes", []),
        message=call.text("message") or "Imported from -",
        platform=call.text("platform"),
    )
    yield Message(status=image.id)


async def load(call: Call) -> web.StreamResponse:
    """POST /images/load: what is wrong is said in the stream, as Docker does."""
    return await streamed(call, _load(call), at_once=True)


async def _load(call: Call) -> AsyncGenerator[Message, None]:
    for loaded in await call.rooms.images.load(body_of(call)):
        for text in _loaded_texts(loaded):
            yield Message(stream=f"{text}\n")


def _loaded_texts(loaded: Loaded) -> list[str]:
    renamed = [
        f"The image {name.familiar} already exists, renaming the old one with ID {id} to empty string"
        for name, id in loaded.renamed
    ]
    named = [f"Loaded image: {name.familiar}" for name in loaded.names]
    return [*renamed, *(named or [f"Loaded image ID: {loaded.image.id}"])]


async def push(call: Call) -> web.StreamResponse:
    """POST /images/{name}/push."""
    reference = parse_reference(call.name())
    if call.text("tag"):
        reference = with_tag(reference, call.text("tag"))
    return await streamed(call, _push(call, reference))


async def _push(call: Call, reference: Reference) -> AsyncGenerator[Message, None]:
    """Every tag of the repository, unless one is named."""
    identity, images = credentials_of(call), call.rooms.images
    for each in [reference] if reference.tag else list(images.names_of(reference)) or [reference.tagged]:
        async with aclosing(images.push(each, identity)) as said:
            async for progress in said:
                yield progress_message(progress)


async def get_one(call: Call) -> web.StreamResponse:
    """GET /images/{name}/get."""
    return await _archive(call, [call.name()])


async def get_many(call: Call) -> web.StreamResponse:
    """GET /images/get?names=…."""
    names = [name for text in call.request.query.getall("names", []) for name in text.split(",") if name]
    if not names:
        raise InvalidError("no image names given", field="names")
    return await _archive(call, names)


async def _archive(call: Call, names: list[str]) -> web.StreamResponse:
    pieces = call.rooms.images.save(names)
    response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    async for data in pieces:
        await response.write(data)
    await response.write_eof()
    return response


def body_of(call: Call) -> AsyncIterator[bytes]:
    """The body, piece by piece."""
    return call.request.content.iter_chunked(_CHUNK)


async def streamed(call: Call, messages: AsyncIterator[Message], *, at_once: bool = False) -> web.StreamResponse:
    """The messages as they come. What fails before the first is an error of HTTP, unless the head went out at once."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    try:
        if at_once:
            await response.prepare(call.request)
        async with _closed(messages):
            async for message in messages:
                if not response.prepared:
                    await response.prepare(call.request)
                await response.write(encoded(message))
    except LinkspanError as error:
        if not response.prepared:
            raise
        await response.write(encoded(error_message(error)))
    if not response.prepared:
        await response.prepare(call.request)
    await response.write_eof()
    return response


@asynccontextmanager
async def _closed(messages: AsyncIterator[Message]) -> AsyncIterator[None]:
    """Whoever makes the messages ends with the block: a transfer, with the last client that follows it."""
    try:
        yield
    finally:
        if isinstance(messages, AsyncGenerator):
            await messages.aclose()


_TEXT = {"repo": "name", "tag": "tag", "platform": "os/architecture/variant"}
ROUTES = (
    Route(
        "POST",
        "/images/create",
        create,
        "Pull or import an image",
        {200: Message},
        query={
            "fromImage": "what to pull",
            "fromSrc": "`-`: import the archive in the body",
            "message": "comment of an import",
            "changes": "instructions of a Dockerfile, repeated",
            **_TEXT,
        },
    ),
    Route("POST", "/images/load", load, "Load an archive of images", {200: Message}, query={"quiet": "no effect"}),
    Route("GET", "/images/get", get_many, "Save images as an archive", query={"names": "which, repeated"}),
    Route("GET", f"{ONE}/get", get_one, "Save an image as an archive"),
    Route("POST", f"{ONE}/push", push, "Push an image", {200: Message}, query={"tag": "every one by default"}),
)

"""POST /commit: an image of what a container has become."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from aiohttp import web

from linkspan.api.bodies.archives import CommittedBody
from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.resources import HealthConfig
from linkspan.api.calls import Call, Route, answer
from linkspan.api.defaults import completed, words
from linkspan.api.limits import health_body, health_check
from linkspan.api.ports import Containers
from linkspan.api.publishing import exposed_ports
from linkspan.api.query import truth
from linkspan.api.registries import named
from linkspan.model.containers import Container, Status
from linkspan.model.errors import ConflictError
from linkspan.model.images import ImageConfig, ImageHealth


async def commit(call: Call) -> web.StreamResponse:
    """POST /commit."""
    rooms, query = call.rooms, call.request.query
    container = rooms.containers.get(call.text("container"))
    wanted = container.wanted
    name = named(call.text("repo"), call.text("tag"))
    config = with_config(await call.body(ContainerCreate), config_of(container))
    archives = rooms.containers.archives
    async with _still(call, container):
        opened = archives.layer(container.id) if wanted.image_id else archives.export(container.id)
        async with opened as stream:
            image = await rooms.images.commit(
                stream,
                name,
                wanted.image_id,
                config,
                changes=query.getall("changes", []),
                message=call.text("comment"),
                author=call.text("author"),
            )
    rooms.announce(
        "container",
        "commit",
        container.id,
        call.now,
        **{
            **wanted.labels,
            "comment": call.text("comment"),
            "image": wanted.origin,
            "imageID": image.id,
            "imageRef": "" if name is None else name.familiar,
            "name": container.name,
        },
    )
    return answer(CommittedBody(id=image.id), 201)


@asynccontextmanager
async def _still(call: Call, container: Container) -> AsyncIterator[None]:
    """Nothing is written meanwhile, unless the client says that it may be; who has just ended writes nothing more."""
    containers = call.rooms.containers
    async with AsyncExitStack() as stack:
        if truth(call.text("pause") or "1") and container.state.status is Status.RUNNING:
            with suppress(ConflictError):
                await containers.pause(container.id)
                stack.push_async_callback(_go_on, containers, container.id)
        yield


async def _go_on(containers: Containers, id: str) -> None:
    with suppress(ConflictError):  # somebody has ended it, or let it go on
        await containers.unpause(id)


def config_of(container: Container) -> ImageConfig:
    """The defaults of an image that runs as this container does."""
    wanted = container.wanted
    check = health_body(wanted.health)
    return ImageConfig(
        entrypoint=tuple(wanted.argv[: wanted.entrypoint]),
        cmd=tuple(wanted.argv[wanted.entrypoint :]),
        env=tuple(wanted.env),
        workdir=wanted.workdir,
        user=wanted.user,
        labels=dict(wanted.labels),
        exposed=tuple(wanted.exposed),
        volumes=tuple(mount.target for mount in wanted.mounts if mount.anonymous),
        stop_signal="" if wanted.stop_signal == "SIGTERM" else wanted.stop_signal,
        healthcheck=None if check is None else _image_health(check),
    )


def with_config(body: ContainerCreate, config: ImageConfig) -> ImageConfig:
    """What the client asks the image to have; where it asks for nothing, what the container has (`merge` in Docker)."""
    asked = completed(body, config)
    check = health_body(health_check(asked.healthcheck))
    return replace(
        config,
        entrypoint=tuple(words(asked.entrypoint)),
        cmd=tuple(words(asked.cmd)),
        env=tuple(asked.env),
        workdir=asked.working_dir,
        user=asked.user,
        labels=asked.labels,
        exposed=exposed_ports(asked.exposed_ports),
        volumes=tuple(asked.volumes),
        stop_signal=asked.stop_signal,
        healthcheck=None if check is None else _image_health(check),
    )


def _image_health(check: HealthConfig) -> ImageHealth:
    return ImageHealth(
        tuple(check.test), check.interval, check.timeout, check.start_period, check.start_interval, check.retries
    )


ROUTES = (
    Route(
        "POST",
        "/commit",
        commit,
        "Make an image of a container",
        {201: CommittedBody},
        body=ContainerCreate,
        query={
            "container": "which",
            "repo": "name of the image",
            "tag": "its tag",
            "comment": "what is said of it",
            "author": "who says so",
            "changes": "instructions of a Dockerfile, one each",
            "pause": "false lets the container go on meanwhile",
        },
        changes=True,
    ),
)

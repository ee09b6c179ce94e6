"""What an image says by default, put under what a client asks for. Pure.

The rules are Docker's (daemon/commit.go, `merge`): the client's word counts, maps are joined, and an entrypoint of
the client's own takes the image's command away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.resources import HealthConfig
from linkspan.api.ports import Images
from linkspan.model.images import Image, ImageConfig, ImageHealth


@dataclass(frozen=True, slots=True)
class Source:
    """The image that a container is made from, and where its files are."""

    image: Image
    root: Path


@contextmanager
def sourced(
    images: Images, body: ContainerCreate, platform: str = ""
) -> Iterator[tuple[ContainerCreate, Source | None]]:
    """The body with the image's defaults, and the image, which stays while the block runs; None for a directory.

    Raises `NotFoundError` in Docker's words.
    """
    if body.rootfs or not body.image:
        yield body, None
        return
    with images.holding(body.image, platform) as image:
        yield completed(body, image.config), Source(image, images.root(image))


def completed(body: ContainerCreate, config: ImageConfig) -> ContainerCreate:
    """What is asked for, with the image's defaults where nothing is."""
    entrypoint, cmd = words(body.entrypoint), words(body.cmd)
    if not entrypoint:
        entrypoint = list(config.entrypoint)
        cmd = cmd or list(config.cmd)
    return replace(
        body,
        entrypoint=[] if entrypoint == [""] else entrypoint,  # `--entrypoint ""` takes the image's away
        cmd=cmd,
        env=_env(body.env, config.env),
        user=body.user or config.user,
        working_dir=body.working_dir or config.workdir,
        labels={**config.labels, **body.labels},
        exposed_ports={**{key: {} for key in config.exposed}, **body.exposed_ports},
        volumes={**{key: {} for key in config.volumes}, **body.volumes},
        stop_signal=body.stop_signal or config.stop_signal,
        healthcheck=_health(body.healthcheck, config.healthcheck),
    )


def words(words: list[str] | str) -> list[str]:
    """A command: clients may write one word without a list."""
    return [words] if isinstance(words, str) else words


def _env(asked: list[str], defaults: tuple[str, ...]) -> list[str]:
    """The client's variables first, then those that it does not name."""
    named = {text.partition("=")[0] for text in asked}
    return [*asked, *(text for text in defaults if text.partition("=")[0] not in named)]


def _health(asked: HealthConfig | None, default: ImageHealth | None) -> HealthConfig | None:
    """The client's check; without a command of its own, the image's with what the client changes of it."""
    if default is None or (asked is not None and asked.test):
        return asked
    given = asked or HealthConfig()
    return HealthConfig(
        test=list(default.test),
        interval=given.interval or default.interval,
        timeout=given.timeout or default.timeout,
        start_period=given.start_period or default.start_period,
        start_interval=given.start_interval or default.start_interval,
        retries=given.retries or default.retries,
    )

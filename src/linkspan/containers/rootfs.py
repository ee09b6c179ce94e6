"""The root file systems of containers: mounted copy-on-write, and reached by descriptor while they run or not."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from linkspan.containers.context import Context
from linkspan.containers.initlayer import make_init_layer
from linkspan.containers.layout import Places
from linkspan.containers.packing import opened
from linkspan.containers.parts import opened_part
from linkspan.containers.register import Life
from linkspan.containers.users import inside
from linkspan.model.containers import Container, CreateContainer, Mount, MountKind
from linkspan.model.errors import ConflictError
from linkspan.plan.objects import mark

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


async def mount_root(context: Context, container: Container) -> Places:
    """Make the directories of a container, and mount its root file system. Raises `LinkspanError` or OSError."""
    places = context.layout.of(container.id)
    _make_directories(places, container.wanted)
    await context.host.mount_overlay(
        places.rootfs,
        lower=Path(container.wanted.rootfs),
        upper=places.upper,
        work=places.work,
        mark=mark(context.engine.id, "container", container.id),
    )
    if container.state.started is None:
        await asyncio.to_thread(make_init_layer, places.rootfs)
    return places


def _make_directories(places: Places, wanted: CreateContainer) -> None:
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.rootfs.mkdir(exist_ok=True)
    places.work.mkdir(exist_ok=True)
    make_upper(places, Path(wanted.rootfs))


def make_upper(places: Places, lower: Path) -> Path:
    """The writable layer, which is the root directory itself: with the owner and the mode of the one below."""
    if not places.upper.exists():
        places.upper.mkdir(parents=True)
        root = lower.stat()
        os.chown(places.upper, root.st_uid, root.st_gid)
        places.upper.chmod(stat.S_IMODE(root.st_mode))
    return places.upper


class Roots:
    """Opens root directories."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @asynccontextmanager
    async def whole(self, life: Life) -> AsyncIterator[int]:
        """The root directory as the container's processes see it, with its volumes and binds.

        A container that does not run cannot be started while the block runs.
        """
        async with AsyncExitStack() as stack:
            if not life.running:
                await stack.enter_async_context(self._context.register.changing(life))
            if life.running:
                yield stack.enter_context(opened(_root_of(life)))
                return
            places = await stack.enter_async_context(self._mounted(life.container))
            for mount in life.container.wanted.mounts:
                if mount.kind is not MountKind.TMPFS:
                    source = await self._source(mount, stack)
                    target = await asyncio.to_thread(_mountpoint, places.rootfs, mount.target, source)
                    await self._context.host.mount_bind(source, target, read_only=mount.read_only)
            yield stack.enter_context(opened(os.open(places.rootfs, _ROOT)))

    async def _source(self, mount: Mount, stack: AsyncExitStack) -> Path:
        if mount.kind is not MountKind.VOLUME:
            return Path(mount.source)
        volume = await self._context.volumes.ready(mount.source)
        return stack.enter_context(opened_part(self._context.host, volume, mount.subpath)) if mount.subpath else volume

    @asynccontextmanager
    async def own(self, life: Life) -> AsyncIterator[int]:
        """The root directory without anything that is mounted below it."""
        async with AsyncExitStack() as stack:
            if not life.running:
                await stack.enter_async_context(self._context.register.changing(life))
            if life.running:
                places = self._context.layout.of(life.container.id)
            else:
                places = await stack.enter_async_context(self._mounted(life.container))
            yield stack.enter_context(opened(os.open(places.rootfs, _ROOT)))

    @asynccontextmanager
    async def _mounted(self, container: Container) -> AsyncIterator[Places]:
        """The root file system of a container that does not run."""
        try:
            yield await mount_root(self._context, container)
        finally:
            await self._context.host.unmount(self._context.layout.of(container.id).rootfs)
            await self._context.remove_bundle(container.id)


def _root_of(life: Life) -> int:
    """The root directory of a running container's first process."""
    try:
        fd = os.open(f"/proc/{life.container.state.pid}/root", _ROOT)
    except OSError as error:
        raise ConflictError(f"container {life.container.id} is just ending", field="container") from error
    if life.monitor is None or not life.monitor.alive():  # the number may be another process's by now
        os.close(fd)
        raise ConflictError(f"container {life.container.id} is just ending", field="container")
    return fd


def _mountpoint(rootfs: Path, target: str, source: Path) -> Path:
    """Where a volume or a bind is mounted, made when it is missing, as at a start."""
    place = inside(rootfs, target)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
    return place

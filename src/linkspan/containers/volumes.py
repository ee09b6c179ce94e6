"""Volumes of the local driver: directories under the data root, which outlive the containers that have them.

A volume is remembered before its directory exists, and its directory gets another name before it is forgotten: whatever
has no record is a leftover of a removal, or is none of ours and stays.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from linkspan.containers.layout import Layout
from linkspan.containers.ports import Host, VolumeStore
from linkspan.containers.register import Register
from linkspan.containers.trees import remove_tree, tree_size
from linkspan.containers.users import inside
from linkspan.engine.core import Engine
from linkspan.engine.ports import Surroundings
from linkspan.model.containers import Container, Mount, MountKind
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError, UnavailableError
from linkspan.model.events import Event
from linkspan.model.volumes import Volume

log = logging.getLogger(__name__)

LOCAL = "local"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = ("type", "o", "device")
_LEAVING = ".leaving-"
_MOUNT_ERRORS = (("does not exist", "no such file or directory"), ("unknown filesystem type", "no such device"))


class Volumes:
    """Every volume by name."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        store: VolumeStore,
        layout: Layout,
        surroundings: Surroundings,
        register: Register,
    ) -> None:
        self._engine = engine
        self._host = host
        self._store = store
        self._layout = layout
        self._surroundings = surroundings
        self._register = register
        self._volumes: dict[str, Volume] = {}
        self._changing = asyncio.Lock()
        self._mounting = asyncio.Lock()

    async def load(self) -> None:
        """Read what is remembered, and finish removals that were cut short."""
        self._volumes = {volume.name: volume for volume in await self._store.load_volumes()}
        await asyncio.to_thread(_sweep, self._layout.volumes)

    # ------------------------------------------------------------------------------------------------------- look up

    def all(self) -> Sequence[Volume]:
        """Every volume, the oldest first."""
        return list(self._volumes.values())

    def get(self, name: str) -> Volume:
        """A volume; `NotFoundError` in Docker's words."""
        found = self._volumes.get(name)
        if found is None:
            raise NotFoundError(f"get {name}: no such volume", field="volume", value=name)
        return found

    def locate(self, name: str) -> Path:
        """Where the content of a volume is on this machine."""
        return self._layout.volume(name)

    def users(self, name: str) -> Sequence[Container]:
        """The containers that have a volume."""
        return [life.container for life in self._register.all() if name in _names(life.container)]

    async def size(self, name: str) -> int:
        """Bytes in the files of a volume."""
        return await asyncio.to_thread(tree_size, self.locate(name))

    # ------------------------------------------------------------------------------------------------------- changes

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume:
        """A volume; the one of that name when it exists. Raises `InvalidError`, and `NotFoundError` for a driver."""
        name = name or self._surroundings.new_id()
        if driver not in ("", LOCAL):
            raise NotFoundError(
                f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found',
                field="driver",
                value=driver,
            )
        check_volume_name(name)
        _check_options(name, options or {})
        async with self._changing:
            if (found := self._volumes.get(name)) is not None:  # whatever else is asked for, as in Docker
                return found
            volume = Volume(name, self._surroundings.now(), dict(labels or {}), dict(options or {}), anonymous)
            await self._store.put_volume(volume)
            self._volumes[name] = volume
            await asyncio.to_thread(_make, self._layout.volumes, self.locate(name))
            self._announce("create", name)
            return volume

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume that no container has, with its content; with `force`, also one that does not exist."""
        async with self._changing:
            if name in self._volumes or not force:
                await self._remove(self.get(name).name)

    async def _remove(self, name: str) -> None:
        if users := self.users(name):
            ids = ", ".join(container.id for container in users)
            raise ConflictError(f"remove {name}: volume is in use - [{ids}]", field="volume", value=name)
        place = self.locate(name).parent
        leaving = place.with_name(_LEAVING + name)
        await self._host.unmount(self.locate(name))  # else what is mounted there would be deleted
        del self._volumes[name]
        with suppress(FileNotFoundError):
            place.rename(leaving)
        await self._store.delete_volume(name)
        await asyncio.to_thread(remove_tree, leaving)
        self._announce("destroy", name)

    def _announce(self, action: str, name: str, **attributes: str) -> None:
        described = {"driver": LOCAL, **attributes}
        self._engine.announce(Event("volume", action, name, self._surroundings.now(), tuple(sorted(described.items()))))

    # ---------------------------------------------------------------------------------------------------- containers

    async def claim(self, mounts: Sequence[Mount], volumes_from: Sequence[str]) -> tuple[Mount, ...]:
        """The mounts of a container to be: with those of other containers, and every volume existing and named."""
        asked = {mount.target: mount for mount in mounts}
        for text in volumes_from:
            for mount in self._of(text):
                asked.setdefault(mount.target, mount)
        for mount in asked.values():  # all is checked before anything is made
            if mount.kind is MountKind.VOLUME and mount.source:
                check_volume_name(mount.source)
        return tuple([await self._claimed(mount) for mount in asked.values()])

    def _of(self, text: str) -> Sequence[Mount]:
        """`--volumes-from NAME[:ro|rw]`."""
        reference, _, mode = text.partition(":")
        if not reference or mode not in ("", "ro", "rw", "z", "Z"):
            raise InvalidError(f"invalid mode: {mode}" if reference else "malformed volumes-from", field="volumes_from")
        try:
            found = self._register.get(reference).container.wanted.mounts
        except NotFoundError as error:  # not found would mean the image to the docker command, which would pull it
            raise InvalidError(error.message, field="volumes_from", value=text) from error
        return [
            replace(mount, read_only=mount.read_only or mode == "ro")
            for mount in found
            if mount.kind is not MountKind.TMPFS
        ]

    async def _claimed(self, mount: Mount) -> Mount:
        if mount.kind is not MountKind.VOLUME:
            return mount
        volume = await self.create(
            mount.source,
            driver=mount.driver,
            labels=mount.labels,
            options=mount.driver_options,
            anonymous=mount.anonymous,
        )
        return replace(mount, source=volume.name)

    async def enter(self, container: Container, rootfs: Path) -> None:
        """Make the volumes of a container that starts ready: mounted, and at its first start filled, when empty.

        Raises `UnavailableError`.
        """
        for mount in _volume_mounts(container):
            await self._mount(self.get(mount.source))
            if mount.copy and not mount.subpath and container.state.started is None:
                await self._fill(self.locate(mount.source), inside(rootfs, mount.target))
            self._announce(
                "mount",
                mount.source,
                container=container.id,
                destination=mount.target,
                propagation="",
                **{"read/write": str(not mount.read_only).lower()},
            )

    async def ready(self, name: str) -> Path:
        """The content of a volume, mounted if its options say so."""
        await self._mount(self.get(name))
        return self.locate(name)

    async def _mount(self, volume: Volume) -> None:
        """What the options of a volume say, unless it is mounted already."""
        place = self.locate(volume.name)
        if not volume.options:
            await asyncio.to_thread(_make, self._layout.volumes, place)
            return
        async with self._mounting:
            if place in await self._host.mounts(self._layout.volumes):
                return
            options = {key: volume.options.get(key, "") for key in _OPTIONS}
            kind = ("-t", options["type"]) if options["type"] not in ("", "none") else ()
            words = ("-o", options["o"]) if options["o"] else ()
            failure = f"error while mounting volume '{place}': failed to mount local volume"
            await self._run(failure, "mount", *kind, *words, options["device"], str(place))

    async def _fill(self, place: Path, source: Path) -> None:
        """What the root file system has there, with owners, times and links, when the volume is empty."""
        if await asyncio.to_thread(_is_to_fill, place, source):
            failure = f"cannot fill volume {place.parent.name}"
            await self._run(failure, "cp", "-a", "-T", "--", str(source), str(place))

    async def _run(self, failure: str, *argv: str) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await self._host.spawn(argv, sandbox=None, stdin=asyncio.subprocess.DEVNULL, stderr=pipe)
        said = (await process.communicate())[1].decode(errors="replace").strip()
        if process.returncode != 0:
            raise UnavailableError(f"{failure}: {_reason(said)}", field="volume")

    async def leave(self, container: Container) -> None:
        """A container has ended: what nobody else uses now is unmounted."""
        for mount in _volume_mounts(container):
            self._announce("unmount", mount.source, container=container.id)
            volume = self._volumes.get(mount.source)
            others = [each for each in self.users(mount.source) if each.id != container.id and each.state.running]
            if volume is not None and volume.options and not others:
                async with self._mounting:
                    await self._host.unmount(self.locate(volume.name))

    async def release(self, container: Container) -> None:
        """A container is gone: so are the volumes that were made for it alone."""
        for name in [mount.source for mount in _volume_mounts(container) if mount.anonymous]:
            try:
                await self.remove(name, force=True)
            except ConflictError:  # another has it by --volumes-from
                continue
            except (LinkspanError, OSError):
                log.exception("volume %s could not be removed", name)


def check_volume_name(name: str) -> None:
    """Docker's rule, and its words."""
    if len(name) == 1:
        raise InvalidError(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters",
            field="name",
            value=name,
        )
    if not _NAME.fullmatch(name) or len(name) > 255 - len(_LEAVING):
        raise InvalidError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
            field="name",
            value=name,
        )


def _check_options(name: str, options: Mapping[str, str]) -> None:
    for key, value in options.items():
        if key not in _OPTIONS:
            raise InvalidError(f'create {name}: invalid option: "{key}"', field="options", value=key)
        if "\0" in value or value.startswith("-"):
            raise InvalidError(f"create {name}: invalid value of option {key}: {value!r}", field="options", value=value)
    if options and not options.get("device"):
        raise InvalidError(f'create {name}: missing required option: "device"', field="options")
    if options and not options.get("type") and "bind" not in options.get("o", "").split(","):
        raise InvalidError(f'create {name}: missing required option: "type"', field="options")


def _reason(said: str) -> str:
    """What mount(8) complains about, with the error of the system where it tells what that means instead."""
    text = said.partition("\n")[0]
    meant = next((error for told, error in _MOUNT_ERRORS if told in text), "")
    return f"{text} ({meant})" if meant else text


def _names(container: Container) -> frozenset[str]:
    return frozenset(mount.source for mount in _volume_mounts(container))


def _volume_mounts(container: Container) -> Sequence[Mount]:
    return [mount for mount in container.wanted.mounts if mount.kind is MountKind.VOLUME]


def _make(volumes: Path, place: Path) -> None:
    volumes.mkdir(mode=0o701, parents=True, exist_ok=True)
    place.parent.mkdir(mode=0o701, exist_ok=True)
    place.mkdir(mode=0o755, exist_ok=True)


def _is_to_fill(place: Path, source: Path) -> bool:
    return source.is_dir() and not any(place.iterdir())


def _sweep(volumes: Path) -> None:
    for path in volumes.glob(f"{_LEAVING}*"):
        remove_tree(path)

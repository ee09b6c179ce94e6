"""Files into and out of containers: `docker cp`, `docker diff`, `docker export`."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from posixpath import normpath

from linkspan.containers.context import Context
from linkspan.containers.differing import differences, untouched
from linkspan.containers.packing import Manner, opened, pack, pack_layer, unpack
from linkspan.containers.piping import consumed, produced
from linkspan.containers.rootfs import Roots, make_upper
from linkspan.containers.users import find_user
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from linkspan.model.files import FileChange, PathStat

_LOOK = os.O_PATH | os.O_CLOEXEC
_LOOK_DIRECTORY = _LOOK | os.O_DIRECTORY
_MOST_LINKS = 40
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class Archives:
    """Packs and unpacks."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._roots = Roots(context)

    async def stat(self, reference: str, path: str) -> PathStat:
        """What is at a path of a container. Raises `NotFoundError` in Docker's words."""
        life = self._context.register.get(reference)
        async with self._roots.whole(life) as root:
            return await asyncio.to_thread(self._stat, reference, root, path)

    @asynccontextmanager
    async def pack(self, reference: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """What is at a path, and a tar stream of it, whose topmost name is the path's last part."""
        life = self._context.register.get(reference)
        async with self._roots.whole(life) as root:
            found = await asyncio.to_thread(self._stat, reference, root, path)
            above, name = _split(path)
            directory = self._context.host.open_inside(root, above, _LOOK_DIRECTORY)
            with opened(directory):
                self._context.announce(life.container, "archive-path")
                shown = _last(path) or "."
                stream = produced(partial(pack, directory, name, shown))
                try:
                    yield found, stream
                finally:
                    await stream.aclose()

    def _stat(self, reference: str, root: int, path: str) -> PathStat:
        above, name = _split(path)
        try:
            with opened(self._context.host.open_inside(root, above, _LOOK_DIRECTORY)) as directory:
                found = os.stat(name or ".", dir_fd=directory, follow_symlinks=False)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in (*_MISSING, errno.ELOOP, errno.ENAMETOOLONG):
                raise UnavailableError(f"cannot look at {path}: {error.strerror}", field="path") from error
            text = f"Could not find the file {path} in container {reference}"
            raise NotFoundError(text, field="path", value=path) from error
        target = self._target(root, path) if stat.S_ISLNK(found.st_mode) else ""
        return PathStat(_last(path) or "/", found.st_size, found.st_mode, found.st_mtime_ns, target)

    def _target(self, root: int, path: str) -> str:
        """Where a link leads in the end, as a path from the root; what is missing counts as what it is called."""
        done: list[str] = []
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
            elif part not in ("", "."):
                target = self._link(root, "/".join(done), part) if links < _MOST_LINKS else None
                if target is None:
                    done.append(part)
                    continue
                links += 1
                done = [] if target.startswith("/") else done
                todo += target.split("/")[::-1]
        return "/" + "/".join(done)

    def _link(self, root: int, above: str, name: str) -> str | None:
        try:
            with opened(self._context.host.open_inside(root, f"/{above}", _LOOK_DIRECTORY)) as directory:
                return os.readlink(name, dir_fd=directory)
        except OSError:
            return None

    async def unpack(
        self, reference: str, path: str, chunks: AsyncIterator[bytes], *, keep_kinds: bool = False, own: bool = False
    ) -> None:
        """Unpack a tar stream in a directory of a container.

        With `keep_kinds` no directory becomes another kind of file, nor the reverse; with `own` everything belongs to
        the container's user. Raises `InvalidError`, and `ForbiddenError` where nothing can be written.
        """
        life = self._context.register.get(reference)
        async with self._roots.whole(life) as root:
            await asyncio.to_thread(self._check_directory, reference, root, path)
            if reason := _read_only(life.container.wanted, path):
                raise ForbiddenError(reason, field="path", value=path)
            owner = None
            if own:
                user = find_user(life.container.wanted.user, Path(f"/proc/self/fd/{root}"))
                owner = (user.uid, user.gid)
            manner = Manner(normpath(f"/{path}"), keep_kinds, owner)
            work = partial(unpack, root, self._context.host.open_inside, manner)
            try:
                await consumed(chunks, work)
            except OSError as error:
                raise _refused(error, path) from error
        self._context.announce(life.container, "extract-to-dir")

    def _check_directory(self, reference: str, root: int, path: str) -> None:
        try:
            self._stat(reference, root, f"{path}/.")
        except NotFoundError as error:
            self._stat(reference, root, path)
            raise InvalidError("extraction point is not a directory", field="path", value=path) from error

    async def changes(self, reference: str) -> Sequence[FileChange]:
        """How the files of a container differ from those it was made from."""
        container = self._context.register.get(reference).container
        upper = self._context.layout.of(container.id).upper
        return await asyncio.to_thread(differences, upper, Path(container.wanted.rootfs))

    @asynccontextmanager
    async def layer(self, reference: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """A tar stream of what a container has written, as a layer of an image: see `packing.pack_layer`."""
        life = self._context.register.get(reference)
        upper, lower = self._context.layout.of(life.container.id).upper, Path(life.container.wanted.rootfs)
        async with life.lock:
            if not upper.exists():
                upper = await asyncio.to_thread(make_upper, self._context.layout.of(life.container.id), lower)
            skipped = await asyncio.to_thread(untouched, upper, lower)
        with opened(os.open(upper, _LOOK_DIRECTORY)) as directory:
            stream = produced(partial(pack_layer, directory, skipped))
            try:
                yield stream
            finally:
                await stream.aclose()

    @asynccontextmanager
    async def export(self, reference: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """A tar stream of all files of a container, without its volumes."""
        life = self._context.register.get(reference)
        async with self._roots.own(life) as root:
            self._context.announce(life.container, "export")
            stream = produced(partial(pack, root, "", ""))
            try:
                yield stream
            finally:
                await stream.aclose()


def _refused(error: OSError, path: str) -> ForbiddenError | UnavailableError | InvalidError:
    if error.errno == errno.EROFS:
        return ForbiddenError(f"{path} is on a file system that is mounted read-only", field="path", value=path)
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT):
        return InvalidError(f"cannot unpack in {path}: {error.strerror}: {error.filename}", field="path", value=path)
    return UnavailableError(f"cannot unpack in {path}: {error.strerror}", field="path")


def _read_only(wanted: CreateContainer, path: str) -> str:
    """Why nothing may be written there, in Docker's words; the deepest mount counts."""
    clean = _clean(path)
    above = [mount for mount in wanted.mounts if f"{clean}/".startswith(f"{_clean(mount.target)}/")]
    if above:
        deepest = max(above, key=lambda mount: len(mount.target))
        return "mounted volume is marked read-only" if deepest.read_only else ""
    return "container rootfs is marked read-only" if wanted.read_only else ""


def _clean(path: str) -> str:
    """Without `.`, `..` and empty parts; `normpath` keeps two slashes at the beginning."""
    return "/" + normpath(f"/{path}").lstrip("/")


def _split(path: str) -> tuple[str, str]:
    """The directory in which something is, and its name there; no name for the root, and for `directory/`.

    That is Docker's rule: a link that stands last is followed only with a slash behind it.
    """
    clean = normpath(f"/{path}")
    if path.endswith(("/", "/.")) or clean in ("/", "//"):
        return clean, ""
    above, _, name = clean.rpartition("/")
    return above or "/", name


def _last(path: str) -> str:
    """The last part of a path; a dot for `directory/.`, nothing for the root."""
    if path.endswith("/.") and normpath(f"/{path}").strip("/"):
        return "."
    return normpath(f"/{path}").rpartition("/")[2]

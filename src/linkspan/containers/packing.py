"""Directories as tar streams, and back, without ever leaving a root directory.

What is packed and unpacked belongs to a container that may run and change it meanwhile, so no path is trusted twice:
directories are opened one in the other, by descriptor, and symbolic links are followed only by the kernel and only
below the root (`openat2` with RESOLVE_IN_ROOT). Runs in a thread.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, dirname, normpath
from typing import BinaryIO, TypeAlias

from linkspan.model.errors import InvalidError

OpenInside: TypeAlias = Callable[[int, str, int], int]
"""Opens a path below the root directory of a descriptor, with flags of open(2)."""

_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # the pipe that it may have become never blocks
_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CAPABILITY = "security.capability"
_OPAQUE = "trusted.overlay.opaque"
_WHITEOUT, _HIDES_ALL = ".wh.", ".wh..wh..opq"
_XATTR = "SCHILY.xattr."


@contextmanager
def opened(fd: int) -> Iterator[int]:
    """A descriptor while the block runs."""
    try:
        yield fd
    finally:
        os.close(fd)


# ------------------------------------------------------------------------------------------------------------ packing


def pack(directory: int, name: str, shown: str, out: BinaryIO) -> None:
    """Write what has `name` in a directory (nothing: the directory itself), and all below it, as `shown`.

    An empty `shown` leaves the top directory itself out.
    """
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _Packer(tar).put(directory, name or ".", shown)


def pack_layer(directory: int, skipped: frozenset[str], out: BinaryIO) -> None:
    """Write the writable layer of overlayfs as a layer of an image, without the paths `skipped`.

    What is deleted, and what hides everything below, is told there by names (OCI image specification, "Whiteouts").
    """
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _Packer(tar, skipped, layer=True).put(directory, ".", "")


def is_opaque(path: int | Path) -> bool:
    """Whether a directory of a writable layer hides everything below it."""
    with suppress(OSError):
        return os.getxattr(path, _OPAQUE) == b"y"
    return False


class _Packer:
    def __init__(self, tar: tarfile.TarFile, skipped: frozenset[str] = frozenset(), *, layer: bool = False) -> None:
        self._tar = tar
        self._skipped = skipped
        self._layer = layer
        self._links: dict[tuple[int, int], str] = {}

    def put(self, directory: int, name: str, shown: str) -> None:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:  # it has just gone
            return
        if f"/{shown}" in self._skipped:
            return
        if stat.S_ISDIR(found.st_mode):
            self._directory(directory, name, shown, found)
        elif self._layer and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            self._tar.addfile(tarfile.TarInfo(str(Path(shown).with_name(_WHITEOUT + name))))
        elif stat.S_ISREG(found.st_mode):
            self._file(directory, name, shown)
        elif (info := _other(directory, name, shown, found)) is not None:
            self._tar.addfile(info)

    def _directory(self, directory: int, name: str, shown: str, found: os.stat_result) -> None:
        try:
            fd = os.open(name, _READ_DIRECTORY, dir_fd=directory)
        except OSError:  # it has become something else
            return
        with opened(fd):
            if shown:
                info = _info(shown, found)
                info.type = tarfile.DIRTYPE
                self._tar.addfile(info)
            if self._layer and shown and is_opaque(fd):
                self._tar.addfile(tarfile.TarInfo(f"{shown}/{_HIDES_ALL}"))
            for entry in sorted(os.listdir(fd)):  # noqa: PTH208 - of a descriptor
                self.put(fd, entry, f"{shown}/{entry}" if shown else entry)

    def _file(self, directory: int, name: str, shown: str) -> None:
        try:
            fd = os.open(name, _READ_FILE, dir_fd=directory)
        except OSError:
            return
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return
            info = _info(shown, found)
            key = (found.st_dev, found.st_ino)
            if found.st_nlink > 1 and key in self._links:
                info.type, info.linkname, info.size = tarfile.LNKTYPE, self._links[key], 0
                self._tar.addfile(info)
                return
            self._links[key] = shown
            info.size = found.st_size
            with suppress(OSError):  # most files have none
                value = os.getxattr(fd, _CAPABILITY)
                info.pax_headers = {_XATTR + _CAPABILITY: value.decode("utf-8", "surrogateescape")}
            self._tar.addfile(info, _Exactly(file, found.st_size))  # type: ignore[arg-type] # only read is called


class _Exactly:
    """A file of which so many bytes are read even when it has become shorter: an archive cannot take that back."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = self._file.read(size)
        self._left -= size
        return data.ljust(size, b"\0")


def _info(shown: str, found: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(shown)
    info.mode = stat.S_IMODE(found.st_mode)
    info.uid, info.gid = found.st_uid, found.st_gid
    info.mtime = int(found.st_mtime)
    return info


def _other(directory: int, name: str, shown: str, found: os.stat_result) -> tarfile.TarInfo | None:
    """A link, a pipe or a device; nothing stands for a socket."""
    info = _info(shown, found)
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFLNK:
        info.type = tarfile.SYMTYPE
        info.linkname = os.readlink(name, dir_fd=directory)
        return info
    kinds = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}
    if kind not in kinds:
        return None
    info.type = kinds[kind]
    info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    return info


# ---------------------------------------------------------------------------------------------------------- unpacking


@dataclass(frozen=True, slots=True)
class Manner:
    """How to unpack: below which directory of the root, whether a directory and another kind of file may take each
    other's place, and who owns everything (None: whom the archive says).
    """

    below: str
    keep_kinds: bool = False
    owner: tuple[int, int] | None = None


def unpack(root: int, open_inside: OpenInside, manner: Manner, source: BinaryIO) -> None:
    """Unpack a tar stream, compressed or not. Raises `InvalidError` for what is none, or leads out of its directory."""
    unpacker = _Unpacker(root, open_inside, manner)
    try:
        with tarfile.open(fileobj=source, mode="r|*") as tar:
            for member in tar:
                unpacker.put(tar, member)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise InvalidError(f"cannot read the archive: {error}", field="body") from error
    unpacker.finish()
    while source.read(1 << 16):  # whatever follows the end of the archive
        pass


class _Unpacker:
    def __init__(self, root: int, open_inside: OpenInside, manner: Manner) -> None:
        self._root = root
        self._open = open_inside
        self._manner = manner
        self._times: list[tuple[str, float]] = []

    def put(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = _inner(member.name)
        if path == ".":
            return
        with opened(self._parent(dirname(path))) as parent:
            name = basename(path)
            self._make_room(parent, name, member)
            self._create(tar, member, parent, name)
            if member.isdir():
                self._times.append((path, member.mtime))

    def _parent(self, path: str) -> int:
        """The directory, made with everything above it where it is missing."""
        place = f"{self._manner.below}/{path}"
        try:
            return self._open(self._root, place, _LOOK)
        except FileNotFoundError:
            if path in ("", "."):
                raise
        with opened(self._parent(dirname(path))) as above, suppress(FileExistsError):
            os.mkdir(basename(path), 0o755, dir_fd=above)
        return self._open(self._root, place, _LOOK)

    def _make_room(self, parent: int, name: str, member: tarfile.TarInfo) -> None:
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        there = stat.S_ISDIR(found.st_mode)
        if self._manner.keep_kinds and there and not member.isdir():
            raise InvalidError(f'cannot overwrite directory "{name}" with non-directory "{name}"', field="body")
        if self._manner.keep_kinds and member.isdir() and not there:
            raise InvalidError(f'cannot overwrite non-directory "{name}" with directory "{name}"', field="body")
        if there and not member.isdir():
            shutil.rmtree(name, dir_fd=parent)
        elif not there:
            os.unlink(name, dir_fd=parent)

    def _create(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        owner = self._manner.owner or (member.uid, member.gid)
        if member.isreg():
            self._file(tar, member, parent, name, owner)
            return
        if member.islnk():
            target = _inner(member.linkname)
            with opened(self._open(self._root, f"{self._manner.below}/{dirname(target)}", _LOOK)) as source:
                os.link(basename(target), name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            return
        if member.isdir():
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        else:
            _node(member, parent, name)
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
        if not member.issym():
            _set_mode(parent, name, member.mode)
        os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)

    def _file(
        self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str, owner: tuple[int, int]
    ) -> None:
        content = tar.extractfile(member)
        assert content is not None
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        with os.fdopen(fd, "wb") as file:
            shutil.copyfileobj(content, file, 1 << 16)
            file.flush()
            os.fchown(fd, *owner)
            os.fchmod(fd, member.mode & 0o7777)
            for key, value in member.pax_headers.items():
                if key == _XATTR + _CAPABILITY:
                    os.setxattr(fd, _CAPABILITY, value.encode("utf-8", "surrogateescape"))
            os.utime(fd, (member.mtime, member.mtime))

    def finish(self) -> None:
        """Give directories the times that making files in them has changed."""
        for path, time in reversed(self._times):
            with suppress(OSError), opened(self._open(self._root, f"{self._manner.below}/{path}", _LOOK)) as fd:
                os.utime(f"/proc/self/fd/{fd}", (time, time))


def _node(member: tarfile.TarInfo, parent: int, name: str) -> None:
    kinds = {tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
    kind = kinds.get(member.type)
    if kind is None:
        raise InvalidError(f"unhandled tar header type {member.type!r} of {member.name}", field="body")
    os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=parent)


def _set_mode(parent: int, name: str, mode: int) -> None:
    """Of what was just made: never of what a link in its place would lead to."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    with opened(fd):
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            Path(f"/proc/self/fd/{fd}").chmod(mode & 0o7777)


def _inner(text: str) -> str:
    """A path in an archive, without a slash in front and without dots."""
    path = normpath(text.lstrip("/") or ".")
    if path.startswith("../") or path == ".." or "\0" in path:
        raise InvalidError(f"invalid path in the archive: {text!r} is outside", field="body", value=text)
    return path

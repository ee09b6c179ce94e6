"""Pinned network namespaces: one per sandbox, a file under `exec_root/netns` with the namespace mounted on it.

A crash can leave the file without the mount, and a reboot takes all mounts and may leave the files. Both leave a plain
file, which is not a namespace: `create` mounts over it, `leftovers` lists it and `remove` deletes it.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from linkspan.kernel import files, native, rtnl
from linkspan.kernel.netlink import Socket
from linkspan.kernel.thread import enter, visit

_OWN = Path("/proc/thread-self/ns/net")
_BIRTH_SETTINGS = (
    ("ipv4/conf/default/arp_notify", "1"),  # interfaces announce their address when they come up
    ("ipv6/conf/default/ndisc_notify", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/disable_ipv6", "1"),  # the plan turns IPv6 on per interface
)
"""For the interfaces to come. `lo` exists already, so it keeps ::1."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What stands at a sandbox's path: a mounted namespace (its inode number), or a plain file (None)."""

    name: str
    inode: int | None


class Namespaces:
    """The namespaces pinned under one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # All namespaces live on one file system, nsfs: its device number tells them from plain files.
        self._nsfs = _OWN.stat().st_dev

    def path(self, sandbox: str) -> Path:
        """Where the namespace of `sandbox` is, or would be: Docker's spelling, 12 digits of the id."""
        return self.directory / sandbox[:12]

    def create(self, sandbox: str) -> Socket:
        """Make and pin a namespace with `lo` up; return a netlink socket in it. Raises FileExistsError."""
        path = self.path(sandbox)
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        pin = self.pin(sandbox)
        if pin is not None and pin.inode is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        path.touch(mode=0o444)
        try:
            return visit(lambda: _give_birth(path))
        except OSError:
            path.unlink()
            raise

    def open(self, sandboxes: Sequence[str]) -> list[Socket]:
        """A netlink socket inside each of the namespaces. Raises FileNotFoundError when one does not exist."""
        for sandbox in sandboxes:
            self.inode(sandbox)
        return visit(lambda: [_connect(self.path(sandbox)) for sandbox in sandboxes]) if sandboxes else []

    def inode(self, sandbox: str) -> int:
        """The identity of the pinned namespace. Raises FileNotFoundError when there is none, or a plain file."""
        pin = self.pin(sandbox)
        if pin is None or pin.inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path(sandbox)))
        return pin.inode

    def pin(self, sandbox: str) -> Pin | None:
        """What stands at the path of `sandbox`."""
        try:
            status = self.path(sandbox).stat()
        except FileNotFoundError:
            return None
        return Pin(sandbox[:12], status.st_ino if status.st_dev == self._nsfs else None)

    def pins(self) -> Iterator[Pin]:
        """Everything in the directory, leftovers included."""
        if self.directory.is_dir():
            for path in sorted(self.directory.iterdir()):
                if (pin := self.pin(path.name)) is not None:
                    yield pin

    def remove(self, sandbox: str) -> None:
        """Unpin; the kernel destroys the namespace when nothing else uses it. Nothing to do when it is gone."""
        path = self.path(sandbox)
        try:
            while True:  # mounts may be stacked
                native.detach_mount(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):  # EINVAL: a plain file, nothing mounted
                raise
        path.unlink(missing_ok=True)


def _connect(path: Path) -> Socket:
    enter(path)
    return Socket()


def _give_birth(path: Path) -> Socket:
    native.unshare()
    for name, value in _BIRTH_SETTINGS:
        with suppress(FileNotFoundError):  # a kernel without IPv6 does not have them all
            files.write(f"/proc/sys/net/{name}", value)
    socket = Socket()
    try:
        socket.call(rtnl.set_link("lo", up=True))
        native.bind_mount(_OWN, path)
    except OSError:
        socket.close()
        raise
    return socket

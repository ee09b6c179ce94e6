"""The netlink sockets of one engine: one in its own namespace, and one in each sandbox it deals with."""

from collections.abc import Iterable

from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.netlink import Socket

_KEPT = 1024
"""Opening one costs a thread and about 0.1 ms; keeping one costs a descriptor and 2 KiB of the kernel's memory."""


class Sockets:
    """Sockets by sandbox. To be made on the kernel thread, so that `host` is in the engine's namespace.

    An open socket keeps its namespace alive, so those of sandboxes that are gone or were replaced are closed.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._kept: dict[str, tuple[int, Socket]] = {}
        self.host = Socket()

    def inside(self, sandbox: str) -> Socket:
        """The socket inside a sandbox; the engine's own for `HOST`. Raises FileNotFoundError when there is none."""
        if not sandbox:
            return self.host
        inode = self.namespaces.inode(sandbox)
        kept = self._kept.get(sandbox[:12])
        if kept is not None and kept[0] == inode:
            return kept[1]
        return self._keep(sandbox, inode, self.namespaces.open([sandbox])[0])

    def open_all(self, sandboxes: Iterable[str]) -> None:
        """Have sockets ready inside many sandboxes, for the price of one thread."""
        missing = [sandbox for sandbox in sandboxes if self._is_missing(sandbox)][:_KEPT]
        for sandbox, socket in zip(missing, self.namespaces.open(missing), strict=True):
            self._keep(sandbox, self.namespaces.inode(sandbox), socket)

    def _is_missing(self, sandbox: str) -> bool:
        kept = self._kept.get(sandbox[:12])
        return kept is None or kept[0] != self.namespaces.inode(sandbox)

    def create(self, sandbox: str) -> None:
        """Make and pin the namespace of a sandbox, and keep the socket it was set up with."""
        socket = self.namespaces.create(sandbox)
        self._keep(sandbox, self.namespaces.inode(sandbox), socket)

    def remove(self, sandbox: str) -> None:
        """Unpin the namespace of a sandbox and let go of it."""
        self._forget(sandbox)
        self.namespaces.remove(sandbox)

    def _keep(self, sandbox: str, inode: int, socket: Socket) -> Socket:
        self._forget(sandbox)
        if len(self._kept) >= _KEPT:
            self._forget(next(iter(self._kept)))
        self._kept[sandbox[:12]] = (inode, socket)
        return socket

    def _forget(self, sandbox: str) -> None:
        if (kept := self._kept.pop(sandbox[:12], None)) is not None:
            kept[1].close()

    def retain(self, sandboxes: Iterable[str]) -> None:
        """Close the sockets of all other sandboxes."""
        for gone in self._kept.keys() - {sandbox[:12] for sandbox in sandboxes}:
            self._forget(gone)

    def close(self) -> None:
        """Close all."""
        self.retain(())
        self.host.close()

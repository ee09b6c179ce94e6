"""Where measurements are made: fresh network namespaces, seen by nobody else.

The bench has a mount namespace and a network namespace of its own. Every room in it is one more network namespace and
two empty directories. So nothing touches the network of the machine, and whatever way the bench ends, the kernel takes
all of it back with the bench's last process.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench import system
from bench.system import attribute, link, text, u32

_VETH_PEER, _IFNAME, _LINKINFO, _NET_NS_FD = 1, 3, 18, 28
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Room:
    """A network namespace, and the roots of an engine that may live in it."""

    namespace: Path
    data_root: Path
    exec_root: Path


class Rooms:
    """Makes rooms. One in a process, made while it has only one thread: that thread is moved for good."""

    def __init__(self) -> None:
        system.unshare(system.CLONE_NEWNS | system.CLONE_NEWNET)
        system.mount("none", Path("/"), flags=system.MS_REC | system.MS_PRIVATE)
        self._home = Path(tempfile.mkdtemp(prefix="linkspan-bench-"))
        self._numbers = count(1)

    @contextmanager
    def room(self) -> Iterator[Room]:
        """A fresh room; afterwards its namespace and all namespaces pinned under its roots are gone from the kernel."""
        place = self.directory()
        namespace, data_root, exec_root = place / "net", place / "data", place / "exec"
        with ExitStack() as stack:
            namespace.touch()
            system.on_a_thread(lambda: _new_namespace(namespace))
            stack.callback(settle)
            stack.callback(system.unmount, namespace)
            exec_root.mkdir()
            system.mount("tmpfs", exec_root, kind="tmpfs")
            stack.callback(system.unmount, exec_root)
            yield Room(namespace, data_root, exec_root)

    def directory(self) -> Path:
        """A fresh directory."""
        place = self._home / str(next(self._numbers))
        place.mkdir()
        return place

    def close(self) -> None:
        """Delete the directories."""
        shutil.rmtree(self._home, ignore_errors=True)


def _new_namespace(pin: Path) -> None:
    system.unshare(system.CLONE_NEWNET)
    connection = system.netlink()
    system.exchange(connection, system.batch((system.RTM_NEWLINK, 0, link(index=1, up=True))), 1)
    connection.close()
    system.mount(system.OWN_NAMESPACE, pin, flags=system.MS_BIND)


def settle() -> None:
    """Wait until the kernel has destroyed every namespace that was let go of.

    It destroys them in the order in which they lost their last user. So one more is made, with one end of a veth pair
    in it: when the other end is gone, so are all namespaces from before.
    """
    name = f"probe{time.monotonic_ns() % 10**8}"
    here = os.open(system.OWN_NAMESPACE, os.O_RDONLY)
    try:
        system.on_a_thread(lambda: _probe(name, here))
    finally:
        os.close(here)
    deadline = time.monotonic() + _PATIENCE
    while _exists(name):
        if time.monotonic() > deadline:
            raise TimeoutError("the kernel does not get its namespaces destroyed")
        time.sleep(0.002)


def _probe(name: str, other_end: int) -> None:
    system.unshare(system.CLONE_NEWNET)
    peer = attribute(_VETH_PEER, link() + text(_IFNAME, name) + u32(_NET_NS_FD, other_end))
    pair = link() + attribute(_LINKINFO, text(1, "veth") + attribute(2, peer))
    with system.netlink() as connection:
        system.exchange(connection, system.batch((system.RTM_NEWLINK, system.MAKE, pair)), 1)


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True

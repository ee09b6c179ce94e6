"""The kernel of this machine, in one network namespace, for an engine that runs on asyncio."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

from linkspan.kernel import cgroups, mounts, native
from linkspan.kernel.alarm import Alarm
from linkspan.kernel.firewall import FirewallFactory
from linkspan.kernel.machine import Machine
from linkspan.kernel.process import Process, Stream, spawn
from linkspan.kernel.services import Found, Held
from linkspan.kernel.serving import DataPlane, Serving, supervised
from linkspan.kernel.thread import KernelThread, enter, visit
from linkspan.kernel.usage import usage
from linkspan.kernel.visiting import socket_in
from linkspan.kernel.watching import Watch
from linkspan.model.addressing import IPNetwork
from linkspan.model.containers import Abilities
from linkspan.model.dataplane import Key, Load, Service, Trace
from linkspan.model.errors import LinkspanError, UnavailableError
from linkspan.model.usage import Usage
from linkspan.plan.objects import KernelObject
from linkspan.plan.observation import ForeignChain, HostFacts, Observation
from linkspan.plan.operations import Operation, released_first

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


class LinuxKernel:
    """One engine's part of the kernel: a `Machine`, reached only through its thread."""

    def __init__(self, thread: KernelThread, machine: Machine, alarm: Alarm, namespace: Path | None) -> None:
        self._thread = thread
        self._machine = machine
        self._alarm = alarm
        self._namespace = namespace
        self._serving: Serving | None = None

    @classmethod
    async def open(
        cls,
        *,
        namespace: Path | None,
        exec_root: Path,
        engine_id: str,
        firewall: FirewallFactory,
    ) -> Self:
        """Enter `namespace` (None: the process's own) and pin the namespaces of sandboxes under `exec_root/netns`.

        Raises `UnavailableError` when a privilege, a library or a kernel feature is missing.
        """
        _require_capabilities()
        thread = KernelThread(namespace)
        try:
            machine = await thread.run(lambda: Machine(exec_root, engine_id, firewall))
            alarm = await thread.run(lambda: Alarm(machine.tables))
        except (OSError, LinkspanError):
            thread.close()
            raise
        return cls(thread, machine, alarm, namespace)

    @asynccontextmanager
    async def served_by(self, data_plane: DataPlane, *, outlives: bool) -> AsyncIterator[None]:
        """Have host ports and names served by `data_plane` in the block; what it holds already is taken over.

        To be entered before anything else is done; without it such things are kept and nobody serves them. `outlives`
        says whether it holds ports beyond the life of this process.
        """
        taken = await data_plane.take()
        ours = await self._thread.run(lambda: self._machine.services.adopt(taken))
        if useless := [key for key in taken if key not in ours]:
            await data_plane.change((), useless)
        self._serving = Serving(data_plane, ours, outlives=outlives)
        try:
            async with supervised(self._serving):
                yield
        finally:
            self._serving = None

    def wanted(self) -> Held | None:
        """Everything that the data plane should hold, with descriptors of ours: for one that begins anew. None as long
        as what it holds was not taken over.
        """
        return self._serving.wanted if self._serving is not None else None

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        """Perform the operations in their order.

        Raises `OperationFailedError`, which says exactly what was applied, and `UnservedError` when all was, but the
        data plane refuses some of it.
        """
        first = released_first(operations)
        released, rest = operations[:first], operations[first:]
        if released:
            await self._perform(lambda: self._machine.release(released), released, tolerant=True)
        apply = partial(self._machine.apply, rest, tolerant=tolerant, released=released)
        await self._perform(apply, rest, tolerant=tolerant)

    async def _perform(self, perform: Callable[[], None], operations: Sequence[Operation], *, tolerant: bool) -> None:
        """Perform operations, and have the data plane serve what came of it."""
        keys = [operation.object.key for operation in operations if isinstance(operation.object, Service)]
        found: dict[Key, tuple[Service, tuple[int, ...]] | None] = {}

        def whole() -> None:
            try:
                with self._alarm.silenced():
                    perform()
            finally:
                found.update(self._machine.services.find(keys))

        try:
            await self._thread.run(whole)
        finally:
            await self._settle(found, tolerant=tolerant)

    async def _settle(self, found: Found, *, tolerant: bool) -> None:
        """Let the data plane know, and only then let go of what is no longer needed."""
        services = self._machine.services
        try:
            if self._serving is not None:
                await self._serving.settle(found, tolerant=tolerant)
        finally:
            if services.retired:
                await self._thread.run(services.dispose)

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How the name server of a sandbox would answer. Raises `NotFoundError`, `InvalidError`, `UnavailableError`."""
        if self._serving is None:
            raise UnavailableError("nobody answers names here: this kernel was opened without a data plane")
        return await self._serving.data_plane.trace(sandbox, name, type)

    async def load(self) -> Load:
        """Who serves host ports and names, and how many. Raises `UnavailableError`."""
        if self._serving is None:
            raise UnavailableError("nobody serves ports and names here: this kernel was opened without a data plane")
        return await self._serving.data_plane.load()

    async def observe(self, desired: Iterable[KernelObject]) -> Observation:
        """Read back everything that carries the engine's mark, and what stands in the way of `desired`."""
        wanted = tuple(desired)
        return await self._thread.run(lambda: self._machine.observe(wanted))

    async def damaged(self) -> None:
        """Wait until others have deleted rules where ours are, and have finished."""
        await self._alarm.rung()

    async def host_facts(self) -> HostFacts:
        """Routes, resolvers and port ranges of the host, as they are now."""
        return await self._thread.run(self._machine.host_facts)

    async def occupied(self) -> Sequence[IPNetwork]:
        """What a new network must not overlap, as it is now, the routes of our own bridges among it."""
        return await self._thread.run(self._machine.occupied)

    async def foreign_chains(self) -> tuple[ForeignChain, ...]:
        """Chains of others that may stop what is forwarded."""
        return await self._thread.run(self._machine.foreign_chains)

    def namespace_path(self, sandbox: str) -> Path:
        """Where the namespace of a sandbox is pinned."""
        return self._machine.namespaces.path(sandbox)

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start a program in the namespace of a sandbox, or in the engine's own. Raises `NotFoundError`."""
        namespace = self._namespace if sandbox is None else self.namespace_path(sandbox)
        return await spawn(
            argv, namespace, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
        )

    async def abilities(self) -> Abilities:
        """What containers can have on this machine."""
        return await self._thread.run(mounts.abilities)

    async def mount_overlay(self, target: Path, *, lower: Path, upper: Path, work: Path, mark: str) -> None:
        """Mount `lower` copy-on-write; the mark stands where /proc/mounts shows a device."""
        await self._thread.run(lambda: mounts.mount_overlay(target, lower, upper, work, mark))

    async def mount_tmpfs(self, target: Path, *, size: int) -> None:
        """Mount shared memory at a directory, which is made."""
        await self._thread.run(lambda: mounts.mount_tmpfs(target, size))

    async def mount_bind(self, source: Path, target: Path, *, read_only: bool) -> None:
        """Mount a directory or file at another place."""
        await self._thread.run(lambda: mounts.mount_bind(source, target, read_only=read_only))

    def open_inside(self, root: int, path: str, flags: int) -> int:
        """Open a path below the root directory of a descriptor."""
        return native.open_inside(root, path, flags)

    async def unmount(self, target: Path) -> None:
        """Take away whatever is mounted at `target`."""
        await self._thread.run(lambda: mounts.unmount(target))

    async def mounts(self, below: Path) -> Sequence[Path]:
        """Where something is mounted under a directory."""
        return await self._thread.run(lambda: mounts.mounts(below))

    async def remove_cgroup(self, path: str) -> Sequence[int] | None:
        """Remove a control group, in every hierarchy; None when it is gone, else the processes in it."""
        return await self._thread.run(lambda: cgroups.remove_cgroup(path))

    async def processes(self, path: str) -> Sequence[int]:
        """Every process in a control group."""
        return await asyncio.to_thread(cgroups.processes, path)

    async def frozen(self, path: str) -> bool:
        """Whether the processes of a control group are frozen."""
        return await asyncio.to_thread(cgroups.frozen, path)

    async def usage(self, path: str, pid: int, *, links: bool) -> Usage:
        """What a control group uses. Files are read beside the kernel thread, which changes things."""
        return await asyncio.to_thread(usage, path, pid, links=links)

    def watch(self) -> Watch:
        """Tells of directories in which files are written, made or replaced. The caller closes it."""
        return Watch()

    def make_socket(
        self, namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind
    ) -> socket.socket:
        """A socket in the namespace of a descriptor, or (None) in the engine's. To be called on any thread."""
        if namespace is not None or (own := self._namespace) is None:
            return socket_in(namespace, family, kind)

        def inside() -> socket.socket:
            enter(own)
            return socket.socket(family, kind)

        return visit(inside)

    async def close(self) -> None:
        """Release sockets and the kernel thread; what is in the kernel stays."""
        self._alarm.close()
        try:
            await self._thread.run(self._machine.close)
        finally:
            self._thread.close()


def _require_capabilities() -> None:
    status = Path("/proc/thread-self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
        raise UnavailableError(
            f"{who} lacks {' and '.join(missing)}, which changing interfaces and namespaces needs",
            hint="run as root, or give the process these capabilities",
        )

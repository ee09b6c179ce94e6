"""A machine whose engines are killed, or made to fail, at a chosen moment.

Theory of operation. An engine is put together here as `wiring.py` does it, except that a `Stepwise` kernel stands
between: it performs the operations of a request one at a time, and a `Watched` store reports the commit. Before each
operation, before the commit and after it, a moment passes; `Moments` counts them and strikes at the chosen one. So a
request of N operations has N + 2 moments, and "after operation k" is "before operation k + 1". The firewall's part is
one transaction in real life; taking it apart makes the test stricter, not weaker.

Killing is done in a forked child. Ids, hardware addresses and the time repeat from run to run, so the state after a
request is the same each time, to the last listed line.
"""

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from linkspan.dataplane.local import LocalDataPlane
from linkspan.engine.core import Engine
from linkspan.kernel import native
from linkspan.kernel.linux import LinuxKernel
from linkspan.kernel.namespaces import Namespaces
from linkspan.model.config import Config
from linkspan.model.requests import Request
from linkspan.model.state import Change
from linkspan.plan.objects import KernelObject
from linkspan.plan.observation import Observation
from linkspan.plan.operations import Operation, OperationFailedError, diff
from linkspan.store.sqlite import SqliteStore
from linkspan.wiring import open_kernel, planned_firewall
from tests.support.listing import Listing, listing
from tests.support.packets import Site
from tests.support.scenes import surroundings
from tests.support.world import NFTABLES, Variant

Result = TypeVar("Result")


class Moments:
    """Counts the moments of a request and calls `strike` at the chosen one. Before `arm`, time stands still."""

    def __init__(self, strike: Callable[[str], None]) -> None:
        self._strike = strike
        self._armed = False
        self._passed = self._chosen = 0

    def arm(self, chosen: int) -> None:
        """Strike at the moment of that number, counted from now."""
        self._armed, self._passed, self._chosen = True, 0, chosen

    def disarm(self) -> None:
        """Let everything pass."""
        self._armed = False

    @property
    def armed(self) -> bool:
        return self._armed

    def passes(self, description: str) -> None:
        """One more moment."""
        if not self._armed:
            return
        number, self._passed = self._passed, self._passed + 1
        if number == self._chosen:
            self._armed = False
            self._strike(description)


class Stepwise:
    """A kernel that performs one operation at a time while armed."""

    def __init__(self, inner: LinuxKernel, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        if not self._moments.armed:
            await self._inner.apply(operations, tolerant=tolerant)
            return
        for number, operation in enumerate(operations):
            try:
                self._moments.passes(f"before {operation.verb} {operation.object}")
                await self._inner.apply([operation], tolerant=tolerant)
            except InjectedError as error:
                failed = OperationFailedError(operation, operations[:number], errno=5, reason=str(error))
                raise failed from error

    async def observe(self, desired: Iterable[KernelObject]) -> Observation:
        return await self._inner.observe(desired)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Watched:
    """A store that reports its commits."""

    def __init__(self, inner: SqliteStore, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    async def commit(self, change: Change) -> None:
        self._moments.passes("before the commit")
        await self._inner.commit(change)
        self._moments.passes("after the commit")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class InjectedError(Exception):
    """The test's own failure, which a kernel would report in its way."""


class Rig:
    """The machine, a namespace; engines are opened on it one after the other."""

    def __init__(self, root: Path, variant: Variant) -> None:
        self._hosts = Namespaces(root / "hosts")
        self._hosts.create("machine").close()
        self.machine = Site("machine", self._hosts.path("machine"))
        self.machine.sysctl("net.ipv6.conf.default.disable_ipv6", "0")
        self.data_root, self.exec_root = root / "data", root / "exec"
        self.config = Config(firewall=variant.firewall, userland_proxy=variant.userland_proxy)
        self.iptables = variant is not NFTABLES

    def destroy(self) -> None:
        """Unpin everything; the kernel does the rest."""
        netns = self.exec_root / "netns"
        for pin in netns.iterdir() if netns.is_dir() else ():
            with suppress(OSError):  # a plain file
                native.detach_mount(pin)
        self._hosts.remove("machine")

    @asynccontextmanager
    async def opened(self, seed: str = "start", moments: Moments | None = None) -> AsyncIterator[Engine]:
        """An engine of the usual parts, with the moments let in between."""
        around = surroundings(seed)
        watch = moments or Moments(lambda _: None)
        async with AsyncExitStack() as stack:
            store = await SqliteStore.open(self.data_root, new_id=around.new_id)
            stack.push_async_callback(store.close)
            kernel = await open_kernel(
                namespace=self.machine.namespace,
                exec_root=self.exec_root,
                engine_id=store.engine_id,
                firewall=self.config.firewall,
            )
            stack.push_async_callback(kernel.close)
            local = await stack.enter_async_context(LocalDataPlane.open(kernel.make_socket))
            await stack.enter_async_context(kernel.served_by(local, outlives=False))
            engine = Engine(
                kernel=Stepwise(kernel, watch),
                store=Watched(store, watch),
                firewall=planned_firewall(self.config),
                config=self.config,
                surroundings=around,
            )
            await stack.enter_async_context(engine.running())
            yield engine

    def with_engine(self, work: Callable[[Engine], Awaitable[Result]], seed: str = "start") -> Result:
        """Open an engine, do some work with it, and close it."""

        async def whole() -> Result:
            async with self.opened(seed) as engine:
                return await work(engine)

        return asyncio.run(whole())

    def apply(self, *requests: Request[Any], seed: str = "start") -> None:
        """Make requests so, undisturbed."""

        async def work(engine: Engine) -> None:
            for request in requests:
                await engine.apply(request)

        self.with_engine(work, seed)

    def killed_at(self, moment: int, request: Request[Any], seed: str) -> str | None:
        """Kill an engine at that moment of a request; which it was, or None when the request ended before it."""

        async def life(moments: Moments) -> None:
            async with self.opened(seed, moments) as engine:
                moments.arm(moment)
                await engine.apply(request)

        return self._killed(life)

    def _killed(self, life: Callable[[Moments], Awaitable[None]]) -> str | None:
        reader, writer = os.pipe()

        def strike(description: str) -> None:
            os.write(writer, description.encode())
            os.kill(os.getpid(), signal.SIGKILL)

        async def whole() -> None:
            await life(Moments(strike))

        try:
            status = in_child(lambda: asyncio.run(whole()))
        finally:
            os.close(writer)
        with open(reader) as told:  # noqa: PTH123 - a descriptor
            description = told.read()
        assert status in (0, -signal.SIGKILL), status
        return description if status else None

    def killed_while_opening(self, moment: int, seed: str) -> str | None:
        """Kill an engine at that moment of opening; which it was, or None when it opened before it."""

        async def life(moments: Moments) -> None:
            moments.arm(moment)
            async with self.opened(seed, moments):
                moments.disarm()

        return self._killed(life)

    def killed_after(self, seconds: float, request: Request[Any], seed: str) -> None:
        """Kill an engine of the usual parts so long after it was given a request."""
        ready, tell = os.pipe()

        async def life() -> None:
            async with self.opened(seed) as engine:
                os.write(tell, b".")
                await engine.apply(request)
                await asyncio.Event().wait()

        pid = fork(lambda: asyncio.run(life()))
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def listing(self) -> Listing:
        """The machine as its programs list it."""
        return listing(self.machine.namespace, self.exec_root, iptables=self.iptables)


async def disagreement(engine: Engine) -> list[Operation]:
    """What the kernel holds against what the remembered state wants."""
    state = await engine._store.load()
    assert dict(state.networks) == dict(engine.networks)
    assert dict(state.sandboxes) == dict(engine.sandboxes)
    desired = tuple(engine._planner.whole(state))
    seen = await engine._kernel.observe(desired)
    assert not seen.foreign
    return list(diff(seen.objects, desired))


def in_child(life: Callable[[], None]) -> int:
    """Live in a child to its end; the exit status, negative for a signal."""
    _, status = os.waitpid(fork(life), 0)
    return os.waitstatus_to_exitcode(status)


def fork(life: Callable[[], None]) -> int:
    """A child that lives and dies without returning to the test."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            life()
            status = 0
        except BaseException:  # noqa: BLE001 - the child's last words
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)
    return pid


@contextmanager
def rig(root: Path, variant: Variant) -> Iterator[Rig]:
    """A machine for one test."""
    made = Rig(root, variant)
    try:
        yield made
    finally:
        made.destroy()

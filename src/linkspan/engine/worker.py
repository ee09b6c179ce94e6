"""The one task through which every change goes.

Theory of operation. Callers leave requests and wait; the worker takes what has gathered and handles it as one batch.
Each request is decided against the draft: the desired state plus the batch so far. The changes together become one list
of operations; the kernel applies it, the store remembers it, and only then the state moves and events go out. So
requests that arrive together share one firewall transaction and, when they delete links, one grace period of the
kernel; a caller who is cancelled does not leave a change half made; nothing is awaited while state is half changed.

When a batch fails, what was applied is undone from its own inverses. A batch of several is then tried again one by
one, those included that were refused for what others of it had wanted, so that each caller gets its own error. A host
port that the engine picked itself and that turns out to be taken by another process is picked again.

When somebody has flushed the firewall, everything is repaired as at an opening: a guard waits for the kernel to say so.
Where it cannot, what a change builds on may be gone; then it is repaired first.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from errno import EADDRINUSE, ENODEV, ENOENT
from typing import Any

from linkspan.engine import networks, records, sandboxes
from linkspan.engine.decisions import Context, Decision
from linkspan.engine.events import Announcer
from linkspan.engine.failures import explain
from linkspan.engine.healing import heal
from linkspan.engine.ports import Kernel, Store
from linkspan.engine.preview import Preview
from linkspan.model.errors import InvalidError, LinkspanError, UnavailableError
from linkspan.model.ports import Protocol
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    Publish,
    RemoveNetwork,
    RemoveSandbox,
    RenameSandbox,
    Request,
    SetRecords,
    Unpublish,
)
from linkspan.model.state import Change, State
from linkspan.plan.objects import HostPort
from linkspan.plan.operations import Operation, OperationFailedError, undo
from linkspan.plan.topology import Planner

log = logging.getLogger(__name__)

DECISIONS: dict[type[Request[Any]], Callable[[Context, Any], Decision[Any]]] = {
    CreateNetwork: networks.create_network,
    RemoveNetwork: networks.remove_network,
    CreateSandbox: sandboxes.create_sandbox,
    RemoveSandbox: sandboxes.remove_sandbox,
    RenameSandbox: sandboxes.rename_sandbox,
    SetRecords: records.set_records,
    Connect: sandboxes.connect,
    Disconnect: sandboxes.disconnect,
    Publish: sandboxes.publish_ports,
    Unpublish: sandboxes.unpublish_ports,
}

LOST = frozenset({ENOENT, ENODEV})
"""How the kernel says that what an object belongs to is not there."""

REST = 1.0
"""Seconds between repairs: whoever deletes our rules whenever they are there must not keep everything busy."""

PORT_ATTEMPTS = 10
"""How many picked ports may turn out to be taken before a request fails (Docker's number)."""


@dataclass(eq=False, slots=True)
class Job:
    """A request, its caller's future, and the picked ports that proved to be taken."""

    request: Request[Any]
    done: "asyncio.Future[Any]"
    dry: bool
    avoid: set[tuple[Protocol, int]] = field(default_factory=set)
    attempts: int = 0

    @property
    def is_planned(self) -> bool:
        """Whether it was to be planned only, and was."""
        return self.dry and self.done.done()

    def succeed(self, result: object) -> None:
        """Answer the caller, if it still waits."""
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: Exception) -> None:
        """Give the caller its error, if it still waits."""
        if not self.done.done():
            self.done.set_exception(error)


class Worker:
    """Decides, applies and remembers requests, batch by batch."""

    def __init__(self, kernel: Kernel, store: Store, announcer: Announcer, planner: Planner, context: Context) -> None:
        self._kernel = kernel
        self._store = store
        self._announcer = announcer
        self._waiting: list[Job] = []
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._damaged = False
        self.begin(planner, context)

    def begin(self, planner: Planner, context: Context) -> None:
        """Start from a state that the kernel and the store have."""
        self._planner = planner
        self.state = context.state
        self._context = context.of(State(self.state.networks.values(), self.state.sandboxes.values()))

    def submit(self, request: Request[Any], *, dry: bool = False) -> "asyncio.Future[Any]":
        """Queue a request; the future gives its result, or for a dry one its `Preview`."""
        if type(request) not in DECISIONS:
            known = ", ".join(sorted(kind.__name__ for kind in DECISIONS))
            raise InvalidError(f"unknown request {request!r}", field="request", value=request, hint=f"known: {known}")
        if self._stopping:
            raise UnavailableError("the engine is closed", hint="open it again")
        job = Job(request, asyncio.get_running_loop().create_future(), dry)
        self._waiting.append(job)
        self._wakeup.set()
        return job.done

    def stop(self) -> None:
        """Finish what has been submitted, then end."""
        self._stopping = True
        self._wakeup.set()

    async def run(self) -> None:
        """Serve until stopped. The supervisor: an unexpected error fails its requests, is logged, and work goes on."""
        while not self._stopping or self._waiting:
            await self._wakeup.wait()
            self._wakeup.clear()
            batch, self._waiting = self._waiting, []
            try:
                if self._damaged:
                    self._damaged = False
                    await self._mend()
                await self._handle([job for job in batch if not job.done.done()])
            except Exception as error:
                log.exception("a request failed in an unexpected way")
                self.begin(self._planner, self._context.of(self.state))
                for job in batch:
                    job.fail(error)

    async def guard(self) -> None:
        """Have repaired what others delete, for as long as it is not cancelled."""
        try:
            while True:
                await self._kernel.damaged()
                self._damaged = True
                self._wakeup.set()
                await asyncio.sleep(REST)
        except OSError as error:
            log.error("what others delete is noticed no more until something fails for it: %s", error)

    async def _handle(self, batch: list[Job], *, repaired: bool = False) -> None:
        """Decide and carry out several requests together."""
        if any(isinstance(job.request, CreateNetwork) for job in batch):
            await self._look_for_room()
        accepted: list[tuple[Job, Decision[Any]]] = []
        refused: list[tuple[Job, LinkspanError]] = []
        change = Change()
        for job in batch:
            try:
                decision = self._decide(job)
            except LinkspanError as error:
                refused.append((job, error))
                continue
            if decision is not None:
                accepted.append((job, decision))
                change = change.then(decision.change)
                self._context.state.apply(decision.change)
        try:
            if accepted:
                await self._carry_out(change)
        except LinkspanError as error:
            self._context.state.apply(self.state.inverse(change))
            await self._recover([job for job in batch if not job.is_planned], accepted, error, repaired=repaired)
            return
        self._conclude(accepted)
        for job, reason in refused:
            job.fail(reason)

    async def _look_for_room(self) -> None:
        """What a new network must not overlap. Our own bridges are told from others by their prefixes: to read their
        marks takes the longer the more there are.
        """
        own = {subnet.prefix for network in self.state.networks.values() for subnet in network.subnets}
        others = tuple(prefix for prefix in await self._kernel.occupied() if prefix not in own)
        self._context = self._context.on(replace(self._context.facts, occupied=others))

    def _decide(self, job: Job) -> Decision[Any] | None:
        """The decision on one request; None when it is only planned, and answered with that."""
        context = replace(self._context, avoid=frozenset(job.avoid))
        decision = DECISIONS[type(job.request)](context, job.request)
        if job.dry:
            job.succeed(Preview(self._planner.operations(self._context.state, decision.change)))
            return None
        return decision

    async def _repair(self, error: LinkspanError) -> bool:
        """Put back what others took away, if that may be why a change was refused; whether there was anything."""
        return isinstance(error, OperationFailedError) and error.errno in LOST and await self._mend()

    async def _mend(self) -> bool:
        """Put back what others took away; whether there was anything."""
        try:
            done, problems = await heal(self._kernel, self._planner, self.state, strict=False)
        except LinkspanError as failure:
            log.error("what others have changed cannot be repaired: %s", failure.message)
            return False
        for problem in problems:
            log.error("not repaired: %s: %s", problem.subject, problem.message)
        if done:
            log.warning("repaired what others have changed, in %d operations", len(done))
        return bool(done)

    async def _carry_out(self, change: Change) -> None:
        """Kernel, store, state, in this order; whole or not at all."""
        operations = self._planner.operations(self.state, change)
        try:
            await self._kernel.apply(operations)
            await self._store.commit(change)
        except Exception as error:
            # Only a refused operation says how far the kernel came; undo tolerates what was never done.
            await self._take_back(error.applied if isinstance(error, OperationFailedError) else operations, error)
            raise
        self.state.apply(change)

    async def _take_back(self, applied: Iterable[Operation], cause: Exception) -> None:
        try:
            await self._kernel.apply(undo(tuple(applied)), tolerant=True)
        except OperationFailedError as error:
            # The caller's error stays the cause; what is left over is repaired when the engine opens next.
            log.error("undo is incomplete: %s", error.message)
            cause.add_note(f"undo is incomplete: {error.message}")

    async def _recover(
        self, batch: list[Job], accepted: list[tuple[Job, Decision[Any]]], error: LinkspanError, *, repaired: bool
    ) -> None:
        """After a failed batch: all of it once more, if something was repaired; each request on its own; another port
        where one was picked; or the error.
        """
        if not repaired and await self._repair(error):
            await self._handle(batch, repaired=True)
            return
        if len(batch) > 1:
            for job in batch:
                await self._handle([job])
            return
        job, decision = accepted[0]
        picked = _picked_ports(error, decision)
        if picked and job.attempts < PORT_ATTEMPTS:
            job.attempts += 1
            job.avoid |= picked
            await self._handle([job])
        else:
            job.fail(explain(error, decision.result))

    def _conclude(self, accepted: list[tuple[Job, Decision[Any]]]) -> None:
        for job, decision in accepted:
            if decision.chosen:
                self._context = replace(self._context, last_port=max(port for _, port in decision.chosen))
            for event in decision.events:
                self._announcer.announce(event)
            job.succeed(decision.result)


def _picked_ports(error: LinkspanError, decision: Decision[Any]) -> set[tuple[Protocol, int]]:
    """The ports that were picked for this decision and among which someone else turned out to hold one."""
    if not isinstance(error, OperationFailedError) or error.errno != EADDRINUSE:
        return set()
    item = error.operation.object
    if not isinstance(item, HostPort):
        return set()
    return {(item.protocol, port) for port in range(item.ports.first, item.ports.last + 1)} & decision.chosen


@asynccontextmanager
async def supervised(worker: Worker) -> AsyncIterator[None]:
    """Run a worker beside the block; it finishes what was submitted before the block is left.

    Not a TaskGroup: that would wrap every error of the block in an ExceptionGroup, and cancel a change half made.
    """
    task = asyncio.create_task(worker.run(), name="linkspan engine worker")  # noqa: TID251
    guard = asyncio.create_task(worker.guard(), name="linkspan engine guard")  # noqa: TID251
    try:
        yield
    finally:
        guard.cancel()
        worker.stop()
        await asyncio.wait([task, guard])

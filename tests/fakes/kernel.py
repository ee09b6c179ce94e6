"""A kernel in memory, with the real one's semantics: the engine's `Kernel` protocol without root.

The tests in tests/kernel/conformance run against it and against Linux.
"""

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from linkspan.engine.ports import Process, Stream
from linkspan.model.addressing import IPAddress, IPNetwork
from linkspan.model.dataplane import Load, NameEntry, Resolver, Service, Step, Trace
from linkspan.model.errors import NotFoundError, UnavailableError, UnservedError
from linkspan.model.ports import Protocol
from linkspan.plan.objects import (
    Address,
    Bridge,
    IptablesChain,
    IptablesRule,
    KernelObject,
    Key,
    NftChain,
    NftElement,
    NftSet,
    NftTable,
    Sysctl,
    Veth,
)
from linkspan.plan.observation import Foreign, ForeignChain, HostFacts, Observation
from linkspan.plan.operations import Operation, OperationFailedError, Verb
from tests.fakes.machine import Machine, RefusedError

_FIREWALL = (NftTable, NftSet, NftChain, NftElement, IptablesChain, IptablesRule)


class FakeKernel:
    """What a machine holds, and a handle on what goes wrong.

    `log` is everything that was performed, in order; `calls` counts calls of `apply`; `facts` is what the host is like.
    """

    def __init__(self, *, exec_root: Path = Path("/run/fake"), facts: HostFacts | None = None) -> None:
        self.chains: Sequence[ForeignChain] = ()
        self.facts = facts or HostFacts()
        self.log: list[Operation] = []
        self.calls = 0
        self._exec_root = exec_root
        self._machine = Machine()
        self._failure: tuple[int, int] | None = None
        self._damaged = asyncio.Event()
        self.deaf = False
        """Whether nobody serves what should be served."""

    @property
    def objects(self) -> Mapping[Key, KernelObject]:
        """What is held, by key."""
        return self._machine.objects

    @property
    def taken(self) -> set[tuple[Protocol, IPAddress, int]]:
        """The ports of other processes: add to it."""
        return self._machine.taken

    @property
    def strangers(self) -> dict[str, str]:
        """The interfaces that are not ours, with their alias: add to it."""
        return self._machine.strangers

    def fail(self, *, after: int, number: int = errno.EIO) -> None:
        """Refuse, once, the operation that follows `after` more successful ones."""
        self._failure = (after, number)

    def lose(self, item: KernelObject) -> None:
        """Somebody takes an object away, with all that the kernel lets go of together with it."""
        self._machine.lose(item)
        if isinstance(item, _FIREWALL):
            self._damaged.set()

    def dump(self) -> str:
        """Everything held, one line each, in a stable order."""
        return "".join(f"{self.objects[key]}\n" for key in sorted(self.objects))

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        """Perform the operations in their order, as the engine's protocol says."""
        self.calls += 1
        await asyncio.sleep(0)
        applied: list[Operation] = []
        failed: list[tuple[Operation, int]] = []
        for run in _transactions(operations):
            errors = self._perform(run, applied, tolerant=tolerant)
            failed += errors
            if errors and not tolerant:
                break
        self.log += applied
        if failed:
            operation, number = failed[0]
            raise OperationFailedError(operation, applied, errno=number, reason=os.strerror(number))
        wanted = any(isinstance(op.object, Service) and op.verb is not Verb.REMOVE for op in operations)
        if self.deaf and wanted and not tolerant:
            raise UnservedError("nobody serves that", hint="make somebody")

    def _perform(
        self, run: Sequence[Operation], applied: list[Operation], *, tolerant: bool
    ) -> list[tuple[Operation, int]]:
        """One transaction: all of it or, after the first refusal, nothing."""
        before = dict(self._machine.objects) if len(run) > 1 else None
        for operation in run:
            try:
                self._perform_one(operation, tolerant=tolerant)
            except RefusedError as refusal:
                if before is not None:  # only firewall objects are changed together, and they have no indexes
                    self._machine.objects = before
                return [(operation, refusal.errno)]
        applied += run
        return []

    def _perform_one(self, operation: Operation, *, tolerant: bool) -> None:
        if operation.implied:
            return
        if self._failure is not None:
            after, number = self._failure
            self._failure = (after - 1, number) if after else None
            if not after:
                raise RefusedError(number)
        try:
            self._machine.perform(operation)
        except RefusedError as refusal:
            if not (tolerant and operation.verb is Verb.ADD and refusal.errno == errno.EEXIST):
                raise

    async def observe(self, desired: Iterable[KernelObject]) -> Observation:
        """Everything of ours; settings only where `desired` asks for them, since they carry no mark."""
        await asyncio.sleep(0)
        wanted = {item.key: item for item in desired}
        seen = [item for item in self.objects.values() if not isinstance(item, Sysctl) or item.key in wanted]
        names = [item.name for item in wanted.values() if isinstance(item, Bridge | Veth)]
        foreign = [Foreign("interface", name, self.strangers[name]) for name in names if name in self.strangers]
        return Observation(tuple(seen), tuple(foreign))

    async def damaged(self) -> None:
        """Wait until a firewall object is lost."""
        await self._damaged.wait()
        self._damaged.clear()

    async def host_facts(self) -> HostFacts:
        """The `facts` field."""
        await asyncio.sleep(0)
        return self.facts

    async def occupied(self) -> Sequence[IPNetwork]:
        """Those of the `facts` field, and the routes of the bridges that there are."""
        await asyncio.sleep(0)
        own = [item.interface.network for item in self.objects.values() if isinstance(item, Address) and not item.where]
        return (*own, *self.facts.occupied)

    async def foreign_chains(self) -> Sequence[ForeignChain]:
        """The `chains` field."""
        await asyncio.sleep(0)
        return self.chains

    def namespace_path(self, sandbox: str) -> Path:
        """Where the namespace would be pinned."""
        return self._exec_root / "netns" / sandbox[:12]

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
    ) -> Process:
        """No program runs here."""
        raise UnavailableError(f"a fake kernel runs no programs: {argv[0]}")

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """From the names that it holds, of the networks that the sandbox's name server searches."""
        resolver = self.objects.get(("resolver", sandbox))
        if not isinstance(resolver, Resolver):
            raise NotFoundError(f"sandbox {sandbox} has no name server", field="sandbox", value=sandbox)
        entries = [each for each in self.objects.values() if isinstance(each, NameEntry)]
        known = [each for each in entries if each.network in resolver.networks and name in each.names]
        answers = tuple(str(address) for each in known for address in each.addresses)
        return Trace("NOERROR" if known else "NXDOMAIN", answers, (Step("zones", f"{len(known)} found", 0.0),))

    async def load(self) -> Load:
        """This process, and what it holds of services."""
        services = Counter(key[0] for key, item in self.objects.items() if isinstance(item, Service))
        return Load(os.getpid(), services, 0, remote=False)

    async def close(self) -> None:
        """What lives in the process goes: host ports, and what is served. The rest stays for the next engine."""
        for item in tuple(self.objects.values()):
            if isinstance(item, Service):
                self._machine.lose(item)


def _transactions(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Neighbouring operations on the firewall together, all others one by one."""
    cut: list[list[Operation]] = []
    for operation in operations:
        together = isinstance(operation.object, _FIREWALL)
        if together and cut and isinstance(cut[-1][0].object, _FIREWALL):
            cut[-1].append(operation)
        else:
            cut.append([operation])
    return cut

"""What the engine needs from the rest of the world, as narrow protocols that it owns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from linkspan.model.addressing import IPNetwork
from linkspan.model.dataplane import Load, Trace
from linkspan.model.state import Change, State
from linkspan.plan.objects import KernelObject
from linkspan.plan.observation import ForeignChain, HostFacts, Observation
from linkspan.plan.operations import Operation

Stream: TypeAlias = int | IO[bytes] | None


class Kernel(Protocol):
    """The machine: one network namespace with everything in it that is ours."""

    async def apply(self, operations: Sequence[Operation], *, tolerant: bool = False) -> None:
        """Perform the operations in their order.

        Removing what is already gone succeeds. `tolerant` is for undo: adding what is already there succeeds too, and a
        failure does not stop the rest (all failures are reported together at the end).
        Raises `OperationFailedError`, which says exactly what was applied, and `UnservedError` when all was, but not
        all of it is served.
        """
        ...

    async def observe(self, desired: Iterable[KernelObject]) -> Observation:
        """Read back everything that carries our mark, and what stands in the way of `desired`."""
        ...

    async def damaged(self) -> None:
        """Wait until others have deleted firewall rules where ours are, and have finished. Not told are deletions by
        `apply`, and others' at the very time of one.
        """
        ...

    async def host_facts(self) -> HostFacts:
        """Routes, resolvers and port ranges of the host, as they are now."""
        ...

    async def occupied(self) -> Sequence[IPNetwork]:
        """What a new network must not overlap, as it is now: `HostFacts.occupied`, and our own bridges' routes."""
        ...

    async def foreign_chains(self) -> Sequence[ForeignChain]:
        """Chains of others that stop forwarded packets unless their rules let them pass."""
        ...

    def namespace_path(self, sandbox: str) -> Path:
        """Where the namespace of a sandbox is pinned."""
        ...

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
    ) -> "Process":
        """Start a program in the namespace of a sandbox, or in the engine's own (`sandbox` None).

        Streams are as `asyncio.create_subprocess_exec` takes them. Raises `NotFoundError` when there is no such
        program.
        """
        ...

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        """How the name server of a sandbox (id) would answer.

        Raises `NotFoundError`, `InvalidError`, `UnavailableError`.
        """
        ...

    async def load(self) -> Load:
        """Who serves host ports and names, and how many of them. Raises `UnavailableError` when nobody answers."""
        ...

    async def close(self) -> None:
        """Release sockets and the kernel thread; what is in the kernel stays."""
        ...


class Process(Protocol):
    """The part of `asyncio.subprocess.Process` that callers use."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    async def communicate(self, input: bytes | None = None) -> tuple[bytes, bytes]: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Store(Protocol):
    """Remembers desired state."""

    @property
    def engine_id(self) -> str:
        """The id of this engine: 64 hex digits, chosen once for a data root."""
        ...

    async def load(self) -> State:
        """Everything remembered."""
        ...

    async def commit(self, change: Change) -> None:
        """Remember a change, whole or not at all."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time and randomness, as arguments. `new_id` gives 64 hex digits, `new_mac` a local unicast address."""

    now: Callable[[], datetime]
    new_id: Callable[[], str]
    new_mac: Callable[[], str]

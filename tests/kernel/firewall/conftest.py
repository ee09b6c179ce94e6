"""A network namespace of one thread, in which a firewall of the kernel room works."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from linkspan.kernel import native
from linkspan.kernel.firewall import Firewall
from linkspan.kernel.process import run_tool
from linkspan.kernel.thread import KernelThread
from linkspan.plan.objects import FirewallObject, KernelObject
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation, Verb, diff

Value = TypeVar("Value")


class Bench:
    """A firewall on a thread in a namespace of its own."""

    def __init__(self, make: Callable[[str], Firewall], engine: str) -> None:
        self._thread = KernelThread(None)
        self._thread.call(native.unshare)
        self.firewall = self.call(lambda: make(engine))

    def call(self, function: Callable[[], Value]) -> Value:
        """Call a function on the thread."""
        return self._thread.call(function)

    def tool(self, *argv: str, input: str = "") -> str:
        """Run a program in the namespace."""
        return self.call(lambda: run_tool(argv, input))

    def apply(self, operations: Sequence[Operation]) -> None:
        self.call(lambda: self.firewall.apply(operations))

    def add(self, *items: KernelObject) -> None:
        self.apply([Operation(Verb.ADD, item) for item in items])

    def remove(self, *items: KernelObject) -> None:
        self.apply([Operation(Verb.REMOVE, item) for item in items])

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        return self.call(lambda: self.firewall.observe(desired))

    def difference(self, desired: Sequence[KernelObject]) -> tuple[Operation, ...]:
        """What is missing for `desired`, or too much."""
        return diff(self.observe(desired)[0], desired)

    def heal(self, desired: Sequence[KernelObject]) -> None:
        self.apply(self.difference(desired))

    def close(self) -> None:
        self.call(self.firewall.close)
        self._thread.close()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """`bench(NftablesFirewall)` for the engine of the tests; `bench(NftablesFirewall, id)` for another."""
    made: list[Bench] = []

    def make(backend: Callable[[str], Firewall], engine: str = "e" * 64) -> Bench:
        made.append(Bench(backend, engine))
        return made[-1]

    yield make
    for one in made:
        one.close()

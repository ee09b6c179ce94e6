"""What the kernel room needs from a firewall backend: `nftables.py` and `iptables.py` implement it.

All calls are made on the kernel thread, so sockets and child processes belong to the engine's namespace.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

from linkspan.model.errors import UnavailableError
from linkspan.plan.objects import FirewallObject, KernelObject, Key
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation


class Firewall(Protocol):
    """A backend that performs operations on firewall objects."""

    @property
    def tables(self) -> Collection[str]:
        """The names of the tables in which its objects are."""
        ...

    def apply(self, operations: Sequence[Operation]) -> None:
        """Perform a run of operations as one transaction: all or none.

        Removing what is gone succeeds. Raises OSError (an `NftablesError`, for one), or an `OperationFailedError` with
        nothing applied where the backend knows which operation was refused.
        """
        ...

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        """What carries our mark, and what stands in the way of `desired`."""
        ...

    def close(self) -> None:
        """Release what the backend holds in this process; rules stay."""
        ...


FirewallFactory: TypeAlias = Callable[[str], Firewall]
"""Makes a backend for the engine with that id. Called on the kernel thread; usually the backend's class itself."""


class Succession:
    """A backend that follows another one: what the earlier left behind is observed, so that healing removes it.

    Nobody else would: rules of a backend that is no longer looked at outlive their sandboxes, and lead to whoever gets
    the address next.
    """

    def __init__(self, current: Firewall, retired: Firewall) -> None:
        self._current = current
        self._retired = retired
        self._left: set[Key] = set()

    @property
    def tables(self) -> Collection[str]:
        """The current backend's."""
        return self._current.tables

    def apply(self, operations: Sequence[Operation]) -> None:
        """Removals of what was left behind first: they succeed again if the rest has to be tried again."""
        left = [operation for operation in operations if operation.object.key in self._left]
        if left:
            self._retired.apply(left)
        if rest := [operation for operation in operations if operation.object.key not in self._left]:
            self._current.apply(rest)

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        """Both backends' objects; what stands in nobody's way any more is not foreign."""
        found, foreign = self._current.observe(desired)
        left, strangers = self._retired.observe(())
        if strangers:
            left = ()
        self._left = {item.key for item in left}
        return (*found, *left), foreign

    def close(self) -> None:
        """Release both."""
        self._current.close()
        self._retired.close()


def succeeding(current: FirewallFactory, retired: FirewallFactory) -> FirewallFactory:
    """A factory of `current` that also clears away what `retired` left, if that still works on this machine."""

    def make(engine_id: str) -> Firewall:
        firewall = current(engine_id)
        try:
            return Succession(firewall, retired(engine_id))
        except UnavailableError:
            return firewall

    return make

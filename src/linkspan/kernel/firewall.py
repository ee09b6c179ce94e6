"""What the kernel room needs from a firewall backend: `nftables.py` and `iptables.py` implement it.

All calls are made on the kernel thread, so sockets and child processes belong to the engine's namespace.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from linkspan.plan.objects import FirewallObject, KernelObject
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation


class Firewall(Protocol):
    """A backend that performs operations on firewall objects."""

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

"""Operations: the difference between two plans, as values that are applied, undone, printed and compared.

Theory of operation. `diff` matches two sets of objects by key. What only the new set has is added, what only the old
one has is removed, what both have with other fields is replaced. The order follows from three rules:

* Host ports are reserved first (the step that most often fails) and released last; so is the port of the host's
  resolver. Only what stands in the way of a new one is released before anything: a range whose sockets are of both
  families, when one family goes, and the reverse.
* The firewall is one transaction. It comes before the links when anything is added to it, so that no link is ever up
  without its rules, and after them when it only loses something.
* Links: add before remove, parents before children, the host's end before the sandbox's, and the reverse for removal.
* Names come after the links of who is called by them, and go before them.

A removal that the kernel performs by itself, because the link or namespace goes, is kept in the list and marked
`implied`: nothing is sent for it, but undoing the change brings the object back. Settings of the host that have no
link (`net.ipv4.ip_forward`) are never taken back, since others may rely on them by then: no removal is made for them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from linkspan.model.errors import KernelError
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    IptablesChain,
    IptablesRule,
    KernelObject,
    Key,
    NameEntry,
    Namespace,
    NameZone,
    NftChain,
    NftElement,
    NftSet,
    NftTable,
    Redirect,
    Resolver,
    Route,
    Sysctl,
    Up,
    Veth,
)


class Verb(StrEnum):
    """What happens to an object."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. `previous` is what a replacement replaces; `implied` means that the kernel does it by itself."""

    verb: Verb
    object: KernelObject
    previous: KernelObject | None = None
    implied: bool = False

    @property
    def inverse(self) -> "Operation":
        """The step that takes this one back."""
        if self.verb is Verb.REPLACE:
            assert self.previous is not None
            return Operation(Verb.REPLACE, self.previous, self.object)
        return Operation(Verb.REMOVE if self.verb is Verb.ADD else Verb.ADD, self.object)


_RANK: dict[type, int] = {
    HostPort: 0,
    HostResolver: 1,
    NftTable: 10,
    NftSet: 11,
    NftChain: 12,
    NftElement: 13,
    IptablesChain: 14,
    IptablesRule: 15,
    Namespace: 20,
    Bridge: 30,
    Veth: 31,
    Sysctl: 32,
    Address: 33,
    Up: 34,
    Route: 35,
    Redirect: 36,
    NameZone: 40,
    NameEntry: 41,
    Resolver: 42,
}
_FIREWALL = (NftTable, NftSet, NftChain, NftElement, IptablesChain, IptablesRule)


def _order(item: KernelObject) -> tuple[int, bool, str, int]:
    """Sort key of an addition; a removal runs backwards."""
    rank = _RANK[type(item)]
    if rank < 30 or rank >= 40:
        return (rank, False, "", 0)
    where = item.where if isinstance(item, Address | Up | Route | Sysctl | Redirect) else HOST
    return (30, where != HOST, where, rank)


def diff(before: Iterable[KernelObject], after: Iterable[KernelObject]) -> tuple[Operation, ...]:
    """The operations that turn `before` into `after`, in the order to apply them."""
    old = {item.key: item for item in before}
    new = {item.key: item for item in after}
    additions = [Operation(Verb.ADD, item) for key, item in new.items() if key not in old]
    changes = [Operation(Verb.REPLACE, item, old[key]) for key, item in new.items() if key in old and item != old[key]]
    removals = [Operation(Verb.REMOVE, item) for key, item in old.items() if key not in new]
    return arrange(additions + changes + _settle(removals))


def undo(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations that take `operations` back, in the order to apply them."""
    return arrange(_settle([operation.inverse for operation in reversed(operations)]))


def _settle(operations: list[Operation]) -> list[Operation]:
    """Mark removals that follow from the removal of a link or namespace; drop those that are never made."""
    gone: set[Key] = {op.object.key for op in operations if op.verb is Verb.REMOVE}
    for op in operations:
        if op.verb is Verb.REMOVE and isinstance(op.object, Veth):
            gone.add(("link", op.object.where, op.object.peer))
    return [
        replace(op, implied=_implied(op.object, gone)) if op.verb is Verb.REMOVE else op
        for op in operations
        if not (op.verb is Verb.REMOVE and isinstance(op.object, Sysctl) and not op.object.link)
    ]


def _implied(item: KernelObject, gone: set[Key]) -> bool:
    match item:
        case Address(where=where, link=link) | Up(where=where, link=link) | Route(where=where, link=link):
            return ("link", where, link) in gone or ("namespace", where) in gone
        case Redirect(where=where):
            return ("namespace", where) in gone
        case Sysctl():
            return True
        case _:
            return False


def arrange(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Sort operations by the rules at the top of this file; stable among equals."""
    ports: list[Operation] = []
    firewall: list[Operation] = []
    links: list[Operation] = []
    for operation in operations:
        match operation.object:
            case HostPort() | HostResolver():
                ports.append(operation)
            case item if is_firewall(item):
                firewall.append(operation)
            case _:
                links.append(operation)
    reserve, release = _split(ports)
    hindering = _hindering(release, reserve)
    if hindering:
        release = [operation for operation in release if operation not in hindering]
    filled, emptied = _split(firewall)
    build, dismantle = _split(links)
    rules = filled + emptied
    middle = rules + build + dismantle if filled else build + dismantle + rules
    return tuple(hindering + reserve + middle + release)


def _hindering(release: Sequence[Operation], reserve: Sequence[Operation]) -> list[Operation]:
    """The ports to be released that collide with one to be reserved."""
    added = [op.object for op in reserve if op.verb is Verb.ADD and isinstance(op.object, HostPort)]
    return [
        op for op in release if isinstance(op.object, HostPort) and any(_collide(op.object, item) for item in added)
    ]


def _collide(one: HostPort, other: HostPort) -> bool:
    """Whether the kernel keeps the two from being bound at the same time."""
    return (
        one.ports.first <= other.ports.last
        and other.ports.first <= one.ports.last
        and one.protocol is other.protocol
        and any(
            ours.version == theirs.version and (ours == theirs or ours.is_unspecified or theirs.is_unspecified)
            for ours in one.addresses
            for theirs in other.addresses
        )
    )


def released_first(operations: Sequence[Operation]) -> int:
    """How many operations at the beginning release ports that others of them reserve: their sockets have to be closed,
    by all who have them, before the rest can be done.
    """
    count = 0
    while count < len(operations) and _releases(operations[count]):
        count += 1
    return count if any(isinstance(op.object, HostPort) for op in operations[count:]) else 0


def _releases(operation: Operation) -> bool:
    return operation.verb is Verb.REMOVE and isinstance(operation.object, HostPort)


def _split(operations: list[Operation]) -> tuple[list[Operation], list[Operation]]:
    """Additions and replacements in order, and removals in reverse order."""
    build = [op for op in operations if op.verb is not Verb.REMOVE]
    dismantle = [op for op in operations if op.verb is Verb.REMOVE]
    build.sort(key=lambda op: _order(op.object))
    dismantle.sort(key=lambda op: _order(op.object), reverse=True)
    return build, dismantle


def apply(objects: Iterable[KernelObject], operations: Iterable[Operation]) -> dict[Key, KernelObject]:
    """What holds after `operations`: the meaning that the real kernel and the fake one are tested against."""
    held = {item.key: item for item in objects}
    for operation in operations:
        if operation.verb is Verb.REMOVE:
            held.pop(operation.object.key, None)
        else:
            held[operation.object.key] = operation.object
    return held


def is_firewall(item: KernelObject) -> bool:
    """Whether the object belongs to the firewall transaction."""
    return isinstance(item, _FIREWALL)


class OperationFailedError(KernelError):
    """The kernel refused `operation`. `applied` is exactly what was done before, or beside, it and must be undone."""

    def __init__(self, operation: Operation, applied: Sequence[Operation], *, errno: int, reason: str) -> None:
        super().__init__(f"cannot {operation.verb} {operation.object}: {reason}", errno=errno)
        self.operation = operation
        self.applied = tuple(applied)
        self.reason = reason

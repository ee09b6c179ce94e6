"""Performing operations: runs of neighbours, each by the part of the room that knows how. All on the kernel thread."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from linkspan.kernel import facts, foreign, rtnl, sysctls
from linkspan.kernel.conntrack import Conntrack
from linkspan.kernel.firewall import FirewallFactory
from linkspan.kernel.forwarding import Forwarding
from linkspan.kernel.links import Run, in_namespace, remove_links
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.observe import observe_links
from linkspan.kernel.outcome import Outcome, tolerated
from linkspan.kernel.readiness import attached, make_ready
from linkspan.kernel.redirects import Redirects
from linkspan.kernel.services import Services
from linkspan.kernel.sockets import Sockets
from linkspan.model.addressing import IPAddress, IPNetwork
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    KernelObject,
    NameEntry,
    Namespace,
    NameZone,
    Redirect,
    Resolver,
    Route,
    Sysctl,
    Up,
    Veth,
)
from linkspan.plan.observation import ForeignChain, HostFacts, Observation
from linkspan.plan.operations import Operation, OperationFailedError, Verb

RunKey = tuple[str, str]
"""What neighbours must have in common to be performed together: which part performs them, and in which namespace."""


def run_key(operation: Operation) -> RunKey:
    """Which run an operation belongs to."""
    match operation.object:
        case HostPort():
            return ("ports", HOST)
        case HostResolver() | Resolver():
            return ("resolvers", HOST)
        case NameZone() | NameEntry():
            return ("names", HOST)
        case Redirect():
            return ("redirects", HOST)
        case Namespace():
            return ("namespaces", HOST)
        case Sysctl(where=where):
            return ("settings", where)
        case Bridge() | Veth() if operation.verb is Verb.REMOVE:
            return ("removals", HOST)
        case Bridge() | Veth() | Address() | Up() | Route() as item:
            return ("links", in_namespace(item))
        case _:
            return ("firewall", HOST)


def runs(operations: Iterable[Operation]) -> Iterator[tuple[RunKey, list[Operation]]]:
    """Cut `operations` into runs, in order. Implied ones need nothing done and stay with their neighbours."""
    key: RunKey | None = None
    run: list[Operation] = []
    for operation in operations:
        own = key if operation.implied else run_key(operation)
        if own != key and key is not None and run:
            yield key, run
            run = []
        key = own
        run.append(operation)
    if run:
        yield key or ("firewall", HOST), run


class Machine:
    """The parts of the room, open for one engine. To be made and used on the kernel thread."""

    def __init__(self, exec_root: Path, engine_id: str, firewall: FirewallFactory) -> None:
        self._firewall = firewall(engine_id)  # first: it may refuse, and the rest holds descriptors
        self._engine = engine_id[:12]
        self.namespaces = Namespaces(exec_root / "netns")
        self._sockets = Sockets(self.namespaces)
        self.services = Services(self.namespaces)
        self._redirects = Redirects(self.namespaces, engine_id)
        self._forwarding = Forwarding(exec_root / "forwarding")
        self._conntrack = Conntrack(self._local_addresses)
        self._performers: Mapping[str, Callable[[str, Sequence[Operation], bool], list[Outcome]]] = {
            "ports": lambda _, operations, tolerant: self.services.reserve(operations, tolerant=tolerant),
            "resolvers": lambda _, operations, tolerant: self.services.resolve(operations, tolerant=tolerant),
            "names": lambda _, operations, __: self.services.name(operations),
            "redirects": lambda _, operations, tolerant: self._redirects.perform(operations, tolerant=tolerant),
            "firewall": lambda _, operations, __: self._change_firewall(operations),
            "namespaces": lambda _, operations, tolerant: self._change_namespaces(operations, tolerant=tolerant),
            "settings": lambda where, operations, _: self._set(where, operations),
            "links": lambda where, operations, tolerant: Run(self._sockets, where).perform(
                operations, tolerant=tolerant
            ),
            "removals": lambda _, operations, __: remove_links(self._sockets.host, operations),
        }

    @property
    def tables(self) -> Collection[str]:
        """The names of the tables in which rules of ours are."""
        return self._firewall.tables

    def apply(self, operations: Sequence[Operation], *, tolerant: bool, released: Sequence[Operation] = ()) -> None:
        """Perform `operations`; see the engine's `Kernel.apply`. `released` are those of the same change that
        `release` has done already.
        """
        applied = list(released)
        failed: list[tuple[Operation, OSError]] = []
        for (part, where), run in runs(operations):
            for operation, error in self._perform(part, where, run, tolerant=tolerant):
                if error is None or (part != "firewall" and tolerated(operation, error, tolerant=tolerant)):
                    applied.append(operation)
                else:
                    failed.append((operation, error))
            if failed and not tolerant:
                break
        self._conntrack.forget(applied)
        make_ready(self._sockets, attached(applied))
        if failed:
            raise _report(failed, applied)

    def release(self, operations: Sequence[Operation]) -> None:
        """Release ports, which cannot fail. That they are free takes that their sockets are disposed of."""
        self.services.reserve(operations, tolerant=True)

    def _perform(self, part: str, where: str, run: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        implied = [Outcome(operation) for operation in run if operation.implied]
        needed = [operation for operation in run if not operation.implied]
        if not needed:
            return implied
        try:
            return self._performers[part](where, needed, tolerant) + implied
        except OSError as error:  # not one operation but the run: its namespace is gone, or memory is short
            return [Outcome(operation, error) for operation in needed]

    def _change_firewall(self, operations: Sequence[Operation]) -> list[Outcome]:
        """One transaction: a refusal concerns one operation, and none is applied."""
        try:
            self._firewall.apply(operations)
        except OperationFailedError as error:
            return [Outcome(error.operation, OSError(error.errno, error.reason))]
        except OSError as error:
            return [Outcome(operations[0], error)]
        return [Outcome(operation) for operation in operations]

    def _change_namespaces(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for operation in operations:
            assert isinstance(operation.object, Namespace)
            change = self._sockets.remove if operation.verb is Verb.REMOVE else self._sockets.create
            try:
                change(operation.object.id)
            except OSError as error:
                outcomes.append(Outcome(operation, error))
                if not tolerant:
                    break
            else:
                outcomes.append(Outcome(operation))
        return outcomes

    def _set(self, where: str, operations: Sequence[Operation]) -> list[Outcome]:
        self._forwarding.note(operation.object for operation in operations)
        return sysctls.write_all(self.namespaces, where, operations)

    def _local_addresses(self) -> set[IPAddress]:
        listed = self._sockets.host.dump(rtnl.list_addresses())
        return {rtnl.parse_address(body).interface.ip for body in listed}

    def observe(self, desired: Sequence[KernelObject]) -> Observation:
        """Read back; see the engine's `Kernel.observe`."""
        links, foreign_links = observe_links(self._sockets, self._engine, desired)
        rules, foreign_rules = self._firewall.observe(desired)
        pinned = [item.id for item in links if isinstance(item, Namespace)]
        redirects = self._redirects.observe(pinned)
        return Observation((*self.services.held, *rules, *links, *redirects), (*foreign_links, *foreign_rules))

    def host_facts(self) -> HostFacts:
        """Routes, resolvers and port ranges as they are now."""
        return facts.host_facts(self._sockets.host, self._engine, self._forwarding)

    def occupied(self) -> tuple[IPNetwork, ...]:
        """What a new network must not overlap, our own routes among it."""
        return facts.occupied(self._sockets.host)

    def foreign_chains(self) -> tuple[ForeignChain, ...]:
        """Chains of others that may stop what is forwarded."""
        return tuple(foreign.foreign_chains())

    def close(self) -> None:
        """Let go of everything that lives in this process."""
        self._firewall.close()
        self._conntrack.close()
        self.services.close()
        self._sockets.close()


def _report(failed: Sequence[tuple[Operation, OSError]], applied: Sequence[Operation]) -> OperationFailedError:
    (operation, error), *others = failed
    report = OperationFailedError(operation, applied, errno=error.errno or 0, reason=error.strerror or str(error))
    for other, reason in others:
        report.add_note(f"also: cannot {other.verb} {other.object}: {reason.strerror or reason}")
    return report

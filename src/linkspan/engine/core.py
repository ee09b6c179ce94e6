"""The engine's facade: what every front door calls."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from linkspan.engine.decisions import Context
from linkspan.engine.events import Announcer
from linkspan.engine.healing import heal
from linkspan.engine.live import LiveSandbox
from linkspan.engine.networks import settle_predefined
from linkspan.engine.obstacles import obstacles
from linkspan.engine.ports import Kernel, Store, Surroundings
from linkspan.engine.preview import Preview
from linkspan.engine.wishes import check_wish
from linkspan.engine.worker import Worker, supervised
from linkspan.model.addressing import VERSIONS
from linkspan.model.config import AddressPool, Config
from linkspan.model.dataplane import Load, Trace
from linkspan.model.errors import InvalidError
from linkspan.model.events import Event
from linkspan.model.networks import Network
from linkspan.model.problems import Problem
from linkspan.model.requests import EndpointRequest, Request
from linkspan.model.sandboxes import Sandbox
from linkspan.model.state import State
from linkspan.plan.addresses import ula_pool
from linkspan.plan.firewall import Firewall
from linkspan.plan.operations import Operation
from linkspan.plan.topology import Planner

Result = TypeVar("Result")


class Engine:
    """Networks, sandboxes and published ports of one machine. Opened with `linkspan.Engine.open`."""

    def __init__(
        self, *, kernel: Kernel, store: Store, firewall: Firewall, config: Config, surroundings: Surroundings
    ) -> None:
        self.id = store.engine_id
        self.config = config
        self.healed: tuple[Operation, ...] = ()
        """What had to be repaired at open."""
        self.problems: tuple[Problem, ...] = ()
        """What could not be repaired at open, and why."""
        self._kernel = kernel
        self._store = store
        self._surroundings = surroundings
        self._planner = Planner(self.id, config, firewall)
        self._announcer = Announcer()
        self._worker = Worker(kernel, store, self._announcer, self._planner, self._context(State()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        """Load, repair what changed while nobody looked, then serve requests until the block ends.

        A request that has begun is finished before the block is left, also when it is left by an error.
        """
        await self._start()
        try:
            async with supervised(self._worker):
                yield self
        finally:
            self._announcer.close()  # only now: what was finished last is announced too

    async def _start(self) -> None:
        state = await self._store.load()
        first = not state.networks
        facts = await self._kernel.host_facts()
        context = self._context(state).on(facts)
        self._planner = self._planner.on(facts)
        change, conflicts = settle_predefined(context)
        state.apply(change)
        healed, problems = await heal(self._kernel, self._planner, state, strict=first)
        if change:
            await self._store.commit(change)
        self.healed = () if first else healed
        self.problems = (*conflicts, *problems)
        self._worker.begin(self._planner, context)

    def _context(self, state: State) -> Context:
        return Context(state, self.config, _pools(self.config, self.id), self._surroundings)

    async def apply(self, request: Request[Result]) -> Result:
        """Make a request so; returns its result once the kernel and the store have it.

        Raises one `LinkspanError`, and then nothing has changed. A caller who is cancelled while waiting does not stop
        a change that has begun.
        """
        result: Result = await self._worker.submit(request)
        return result

    async def plan(self, request: Request[Any]) -> Preview:
        """What `apply` would do: the same validation and the same operations, printable, and nothing touched."""
        preview: Preview = await self._worker.submit(request, dry=True)
        return preview

    @property
    def networks(self) -> Mapping[str, Network]:
        """Every network by id."""
        return self._worker.state.networks

    @property
    def sandboxes(self) -> Mapping[str, Sandbox]:
        """Every sandbox by id."""
        return self._worker.state.sandboxes

    def network(self, reference: str) -> Network:
        """A network by id, name or unique prefix of an id; `NotFoundError` otherwise."""
        return self._worker.state.network(reference)

    def check_endpoint(self, request: EndpointRequest) -> None:
        """`InvalidError` for a wish that no network could fulfil, or not the one it names, whoever else is there."""
        check_wish(self._worker.state, request)

    def members(self, reference: str) -> Sequence[Sandbox]:
        """The sandboxes connected to a network."""
        return self._worker.state.members(self.network(reference).id)

    def sandbox(self, reference: str) -> LiveSandbox:
        """A sandbox by id, name or unique prefix of an id, with what can be done in it; `NotFoundError` otherwise."""
        state = self._worker.state
        return LiveSandbox(state, self._kernel, state.sandbox(reference).id)

    async def obstacles(self) -> Sequence[Problem]:
        """Chains of others that drop what the bridges forward, as they are now."""
        return obstacles(self.networks.values(), await self._kernel.foreign_chains())

    async def trace(self, sandbox: str, name: str, type: str = "A") -> Trace:
        """How the name server of a sandbox would answer a question, and where it looked.

        Raises `NotFoundError` for a sandbox that is not there or has no name server, `InvalidError` for what cannot be
        asked, `UnavailableError` when nobody answers.
        """
        value = self._worker.state.sandbox(sandbox)
        return await self._kernel.trace(value.shares or value.id, name, type)

    async def load(self) -> Load:
        """Who serves host ports and names, and how many of them. Raises `UnavailableError` when nobody answers."""
        return await self._kernel.load()

    def announce(self, event: Event) -> None:
        """Give an event of someone who builds on the engine to everyone who listens to it, in order with its own."""
        self._announcer.announce(event)

    def events(self, *, past: bool = False) -> AsyncIterator[Event]:
        """Everything that happens from now on, in order; with `past`, the latest events so far come first.

        Ends when the engine closes.
        """
        return self._announcer.subscribe(past=past)


def _pools(config: Config, engine: str) -> tuple[AddressPool, ...]:
    """The configured pools; IPv6 without any gets this engine's own unique local addresses."""
    for pool in config.pools:
        if not pool.base.prefixlen <= pool.size <= pool.base.max_prefixlen:
            raise InvalidError(
                f"invalid address pool {pool.base}: a size of {pool.size} is not within "
                f"{pool.base.prefixlen} to {pool.base.max_prefixlen}",
                field="pools",
                value=pool.size,
            )
    missing = [version for version in VERSIONS if all(pool.base.version != version for pool in config.pools)]
    return config.pools + ((ula_pool(engine),) if 6 in missing else ())

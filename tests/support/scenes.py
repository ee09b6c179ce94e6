"""Desired state without a machine: requests are decided as the engine decides them, and taken over at once."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any, TypeVar

import pytest

from linkspan.engine.decisions import Context, Decision
from linkspan.engine.networks import settle_predefined
from linkspan.engine.ports import Surroundings
from linkspan.engine.worker import DECISIONS
from linkspan.model.config import Config
from linkspan.model.errors import LinkspanError
from linkspan.model.networks import Network
from linkspan.model.requests import Request
from linkspan.model.sandboxes import Sandbox
from linkspan.model.state import State
from linkspan.plan.addresses import ula_pool
from linkspan.plan.observation import HostFacts

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=LinkspanError)

ENGINE_ID = sha256(b"engine").hexdigest()
START = datetime(2026, 1, 1, tzinfo=UTC)


def surroundings(seed: str = "") -> Surroundings:
    """Time that stands still, ids and hardware addresses that repeat from run to run."""
    ids, macs = count(), count(1)
    return Surroundings(
        now=lambda: START,
        new_id=lambda: sha256(f"{seed}{next(ids)}".encode()).hexdigest(),
        new_mac=lambda: f"02:42:00:00:{(number := next(macs)) >> 8:02x}:{number & 255:02x}",
    )


def content(state: State) -> Mapping[str, object]:
    """Everything a state holds, indexes included, in a form that two equal states share."""
    return {
        "networks": dict(state.networks),
        "sandboxes": dict(state.sandboxes),
        "network names": dict(state._network_names),
        "sandbox names": dict(state._sandbox_names),
        "leases": deepcopy(state._leases),
        "members": {id: set(members) for id, members in state._members.items()},
        "sharers": {id: set(sharers) for id, sharers in state._sharers.items()},
        "host links": set(state._host_links),
        "ports": deepcopy(state._ports),
    }


class Scene:
    """Desired state that starts with the predefined networks and grows by requests."""

    def __init__(
        self,
        config: Config | None = None,
        facts: HostFacts | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        config = config or Config()
        around = surroundings()
        self.state = State()
        self.context = Context(
            self.state,
            config,
            (*config.pools, ula_pool(ENGINE_ID)),
            replace(around, new_id=new_id) if new_id else around,
            facts or HostFacts(),
        )
        change, _ = settle_predefined(self.context)
        self.state.apply(change)

    def decide(self, request: Request[Result]) -> Decision[Result]:
        """What a request comes to, with nothing taken over."""
        decision: Decision[Result] = DECISIONS[type(request)](self.context, request)
        return decision

    def do(self, request: Request[Result]) -> Result:
        """Take a request over, and remember the last picked port as the engine does."""
        decision = self.decide(request)
        self.state.apply(decision.change)
        if decision.chosen:
            self.context = replace(self.context, last_port=max(port for _, port in decision.chosen))
        return decision.result

    def refuse(
        self, request: Request[Any], kind: type[Failure], text: str = "", *, field: str, value: object
    ) -> Failure:
        """Check that a request gives one error of exactly this kind with these fields, and changes nothing."""
        before = content(self.state)
        with pytest.raises(LinkspanError) as caught:
            self.decide(request)
        error = caught.value
        assert type(error) is kind, f"{type(error).__name__}: {error.message}"
        assert text in error.message, error.message
        assert (error.field, error.value) == (field, value)
        assert content(self.state) == before
        return error

    def network(self, name: str) -> Network:
        return self.state.network(name)

    def sandbox(self, name: str) -> Sandbox:
        return self.state.sandbox(name)

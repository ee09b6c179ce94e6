"""What a decision is made from, and what it comes to.

A decision is a pure function of the request, the desired state, the settings and the facts passed in: it validates
everything, changes nothing, and returns the change it wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import msgspec

from linkspan.engine.ports import Surroundings
from linkspan.model.config import AddressPool, Config
from linkspan.model.errors import InvalidError
from linkspan.model.events import Event
from linkspan.model.networks import Network
from linkspan.model.ports import Protocol
from linkspan.model.sandboxes import Sandbox
from linkspan.model.state import Change, State
from linkspan.plan.observation import HostFacts

Result = TypeVar("Result")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a decision may look at.

    `avoid` holds host ports that turned out to be taken by other processes; `last_port` is the last ephemeral port
    given out, so that the next search starts behind it.
    """

    state: State
    config: Config
    pools: tuple[AddressPool, ...]
    surroundings: Surroundings
    facts: HostFacts = HostFacts()
    avoid: frozenset[tuple[Protocol, int]] = frozenset()
    last_port: int | None = None

    def of(self, state: State) -> "Context":
        """The same surroundings, another state."""
        return replace(self, state=state)

    def on(self, facts: HostFacts) -> "Context":
        """The same state, the host as it is now."""
        return replace(self, facts=facts)

    def event(self, type: str, action: str, actor: str, /, **attributes: str) -> Event:
        """An event that happens now."""
        return Event(type, action, actor, self.surroundings.now(), tuple(attributes.items()))


@dataclass(frozen=True, slots=True)
class Decision(Generic[Result]):
    """The change a request comes to, what its caller gets, and what is announced.

    `chosen` are the host ports the decision picked itself: when one proves to be taken, another is picked.
    """

    change: Change
    result: Result
    events: tuple[Event, ...] = ()
    chosen: frozenset[tuple[Protocol, int]] = field(default_factory=frozenset)


def well_typed(value: Value) -> Value:
    """A copy of a request value whose fields have the declared types; `InvalidError` naming the field otherwise."""
    try:
        checked: Value = msgspec.convert(vars(value), type(value), strict=True)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        # The path reads "`$.labels[...]`", or "`key` in `$.labels`" for what is wrong with a key.
        name = path.rpartition("$.")[2].strip("`") or type(value).__name__
        found = getattr(value, name.partition("[")[0].partition(".")[0], None)
        raise InvalidError(f"invalid {name}: {reason}", field=name, value=found) from error
    return checked


def pairs(labels: Mapping[str, str], *, name: str) -> tuple[tuple[str, str], ...]:
    """A mapping as sorted pairs; text that is not valid Unicode is refused, since it could not be stored."""
    for text in (*labels.keys(), *labels.values()):
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise InvalidError(f"invalid {name}: {text!a} is not valid Unicode text", field=name, value=text)
    return tuple(sorted(labels.items()))


def describe(noun: Network | Sandbox) -> dict[str, str]:
    """The attributes of an event about `noun`."""
    kind = noun.driver if isinstance(noun, Network) else noun.mode
    return {"name": noun.name, "type": str(kind)}

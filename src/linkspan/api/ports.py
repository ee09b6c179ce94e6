"""What the API needs from the rest of the program, as narrow protocols that it owns."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from linkspan.engine.live import LiveSandbox
from linkspan.engine.preview import Preview
from linkspan.model.config import Config
from linkspan.model.events import Event
from linkspan.model.networks import Network
from linkspan.model.problems import Problem
from linkspan.model.requests import Request
from linkspan.model.sandboxes import Sandbox

Result = TypeVar("Result")


class Engine(Protocol):
    """Networks and sandboxes: `linkspan.Engine`."""

    id: str
    config: Config
    problems: tuple[Problem, ...]

    async def apply(self, request: Request[Result]) -> Result: ...

    async def plan(self, request: Request[Any]) -> Preview: ...

    @property
    def networks(self) -> Mapping[str, Network]: ...

    @property
    def sandboxes(self) -> Mapping[str, Sandbox]: ...

    def network(self, reference: str) -> Network: ...

    def members(self, reference: str) -> Sequence[Sandbox]: ...

    def sandbox(self, reference: str) -> LiveSandbox: ...

    def events(self) -> AsyncIterator[Event]: ...

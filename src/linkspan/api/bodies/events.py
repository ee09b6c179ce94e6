"""One event of the stream."""

from msgspec import Struct, field


class ActorBody(Struct, kw_only=True):
    """What an event is about."""

    id: str = field(name="ID")
    attributes: dict[str, str] = field(name="Attributes")


class EventBody(Struct, kw_only=True, omit_defaults=True):
    """`status`, `id` and `from` repeat what the rest says, for containers: clients up to API 1.51 need them."""

    status: str = ""
    id: str = ""
    source: str = field(name="from", default="")
    type: str = field(name="Type")
    action: str = field(name="Action")
    actor: ActorBody = field(name="Actor")
    scope: str
    time: int
    time_nano: int = field(name="timeNano")

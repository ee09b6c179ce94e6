"""Events as Docker's stream shows them."""

from linkspan.api.bodies.events import ActorBody, EventBody
from linkspan.api.filters import Filters
from linkspan.api.render.times import nanoseconds
from linkspan.model.events import Event

FILTERS = frozenset(
    {"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret"}
    | {"service", "type", "volume"}
)
"""Docker's keys; those of swarm match nothing here."""

_BY_NAME = ("container", "daemon", "image", "network", "plugin", "volume")
_NEVER = ("config", "node", "secret", "service")
_LEGACY = ("container", "image")


def event_body(event: Event) -> EventBody:
    """One event."""
    attributes = dict(event.attributes)
    nano = nanoseconds(event.time)
    legacy = event.type in _LEGACY
    return EventBody(
        status=event.action if legacy else "",
        id=event.actor if legacy else "",
        source=attributes.get("image", "") if legacy else "",
        type=event.type,
        action=event.action,
        actor=ActorBody(id=event.actor, attributes=attributes),
        scope="local",
        time=nano // 1_000_000_000,
        time_nano=nano,
    )


def included(event: Event, filters: Filters) -> bool:
    """Whether an event passes. A name or id matches from its beginning, as in Docker."""
    attributes = dict(event.attributes)
    return (
        filters.exact("event", event.action, event.action.partition(":")[0])
        and filters.exact("type", event.type)
        and filters.exact("scope", "local")
        and filters.labels(attributes)
        and not any(key in filters for key in _NEVER)
        and all(_named(event, attributes, key, filters) for key in _BY_NAME)
    )


def _named(event: Event, attributes: dict[str, str], key: str, filters: Filters) -> bool:
    if key not in filters:
        return True
    found = [event.actor, attributes.get("name", "")] if event.type == key else []
    if key == "image" and event.type == "container":
        found = [attributes.get("image", "")]
    return any(text.startswith(value) for text in found for value in filters.get(key))

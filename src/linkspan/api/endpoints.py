"""What inspecting a container shows of its networks depends on others: the names of linked containers, the client."""

from linkspan.api.bodies.inspect import ContainerBody
from linkspan.api.calls import Call
from linkspan.model.containers import Container
from linkspan.model.errors import NotFoundError

_NAMES_APART = (1, 45)
"""From this version on `Aliases` holds what was asked for, and `DNSNames` everything (moby's container_routes.go)."""


def completed(body: ContainerBody, container: Container, call: Call) -> ContainerBody:
    """A container's body with `HostConfig.Links`, and with the aliases that an older client expects."""
    body.host_config.links = [f"/{name}:/{container.name}/{alias}" for name, alias in _links(container, call)] or None
    if call.version < _NAMES_APART:
        for name, endpoint in body.network_settings.networks.items():
            if name not in ("bridge", "host", "none"):
                more = (container.id[:12], body.config.hostname)
                endpoint.aliases = list(dict.fromkeys((*(endpoint.aliases or ()), *more)))
    return body


def _links(container: Container, call: Call) -> list[tuple[str, str]]:
    """Names and aliases of the containers on the default bridge that it links to, as far as they exist."""
    found = []
    for text in container.wanted.links:
        id, _, alias = text.partition(":")
        try:
            found.append((call.rooms.containers.get(id).name, alias))
        except NotFoundError:
            continue
    return found

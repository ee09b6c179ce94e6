"""Swarm and plugins, which are not here: what Docker answers on a machine in no swarm and without plugins.

Clients ask for them by the way (`docker stack ls`, Portainer, Compose), and take Docker's answers for what they mean:
this machine is in no swarm. Only what would make it a part of one, or install a plugin, is refused as not supported.
"""

from collections.abc import Callable

from aiohttp import web

from linkspan.api.calls import Call, Handler, Route
from linkspan.api.openapi import plain_path
from linkspan.model.errors import LinkspanError, NotFoundError, SwarmError, UnimplementedError

NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_NOUNS = ("services", "tasks", "nodes", "secrets", "configs")
_NAME = str.maketrans("/", "_", "{}")
_Refusal = Callable[[Call], LinkspanError]


def _not_a_manager(call: Call) -> LinkspanError:
    return SwarmError(NOT_A_MANAGER)


def _not_in_a_swarm(call: Call) -> LinkspanError:
    return SwarmError("This node is not part of a swarm")


def _no_swarm(call: Call) -> LinkspanError:
    return UnimplementedError(
        "swarm mode is not supported", hint="run the services of each machine with docker compose"
    )


def _no_such_plugin(call: Call) -> LinkspanError:
    return NotFoundError(f'plugin "{call.name()}" not found', field="plugin", value=call.name())


def _no_plugins(call: Call) -> LinkspanError:
    return UnimplementedError("plugins are not supported")


def _refused(method: str, path: str, refusal: _Refusal) -> Route:
    """A route that always answers the same; its handler has a name of its own, as operations need one."""

    async def handler(call: Call) -> web.StreamResponse:
        raise refusal(call)

    handler.__name__ = plain_path(path).translate(_NAME)
    found: Handler = handler
    return Route(method, path, found, "Not supported", {})


ROUTES = (
    *(_refused("GET", f"/{noun}", _not_a_manager) for noun in _NOUNS),
    *(
        _refused(method, f"/{noun}/{{id:.+}}", _not_a_manager)
        for noun in _NOUNS
        for method in ("GET", "POST", "DELETE")
    ),
    _refused("GET", "/swarm", _not_a_manager),
    _refused("GET", "/swarm/unlockkey", _not_a_manager),
    _refused("POST", "/swarm/unlock", _not_a_manager),
    _refused("POST", "/swarm/update", _not_a_manager),
    _refused("POST", "/swarm/leave", _not_in_a_swarm),
    _refused("POST", "/swarm/init", _no_swarm),
    _refused("POST", "/swarm/join", _no_swarm),
    _refused("GET", "/plugins/privileges", _no_plugins),
    _refused("POST", "/plugins/pull", _no_plugins),
    _refused("POST", "/plugins/create", _no_plugins),
    _refused("GET", "/plugins/{id:.+}/json", _no_such_plugin),
    *(
        _refused("POST", f"/plugins/{{id:.+}}/{action}", _no_such_plugin)
        for action in ("enable", "disable", "push", "set", "upgrade")
    ),
    _refused("DELETE", "/plugins/{id:.+}", _no_such_plugin),
)

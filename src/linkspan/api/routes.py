"""Every operation of the API: the one table that the server, the OpenAPI document and the tests read.

Order matters: a path with a fixed end comes before one that takes anything there.
"""

from linkspan.api import events, networks, system
from linkspan.api.calls import Route

ROUTES: tuple[Route, ...] = (*system.ROUTES, *events.ROUTES, *networks.ROUTES)

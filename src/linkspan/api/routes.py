"""Every operation of the API: the one table that the server, the OpenAPI document and the tests read.

Order matters: a path with a fixed end comes before one that takes anything there.
"""

from linkspan.api import (
    archives,
    attaching,
    building,
    committing,
    containers,
    control,
    events,
    execs,
    images,
    measuring,
    names,
    networks,
    plans,
    status,
    swarm,
    system,
    transfers,
    usage,
    volumes,
)
from linkspan.api.calls import Route
from linkspan.api.openapi import with_description

ROUTES: tuple[Route, ...] = with_description(
    (
        *system.ROUTES,
        *events.ROUTES,
        *names.ROUTES,
        *networks.ROUTES,
        *attaching.ROUTES,
        *execs.ROUTES,
        *control.ROUTES,
        *measuring.ROUTES,
        *archives.ROUTES,
        *committing.ROUTES,
        *containers.ROUTES,
        *transfers.ROUTES,
        *images.ROUTES,
        *volumes.ROUTES,
        *building.ROUTES,
        *usage.ROUTES,
        *plans.ROUTES,
        *status.ROUTES,
        *swarm.ROUTES,
    )
)

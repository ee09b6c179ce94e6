"""/linkspan/v1/status: bridges, sandboxes, addresses, published ports, and whatever is wrong."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from linkspan.api.bodies.linkspan import StatusBody
from linkspan.api.calls import Call, Route, answer
from linkspan.api.ports import Engine
from linkspan.api.render.status import bridge_status, data_plane_status, host_problems, problem_body, sandbox_status
from linkspan.model.dataplane import Load
from linkspan.model.errors import UnavailableError
from linkspan.model.problems import Problem

PATIENCE = 2.0
"""Seconds that the data plane has to answer: whoever looks at the status waits."""


async def status(call: Call) -> web.StreamResponse:
    """GET /linkspan/v1/status."""
    engine, host = call.rooms.engine, call.rooms.host
    bridges = [bridge_status(network, len(engine.members(network.id))) for network in engine.networks.values()]
    ipv6 = any(network.subnet(6) is not None for network in engine.networks.values())
    load, silence = await _load(engine)
    problems = (*engine.problems, *silence, *host_problems(host, engine.config, ipv6=ipv6), *await engine.obstacles())
    return answer(
        StatusBody(
            version=host.version,
            engine_id=engine.id,
            firewall=str(engine.config.firewall),
            bridges=[bridge for bridge in bridges if bridge is not None],
            sandboxes=[
                sandbox_status(sandbox, engine.networks, str(engine.sandbox(sandbox.id).namespace or ""))
                for sandbox in engine.sandboxes.values()
            ],
            data_plane=data_plane_status(load),
            problems=[problem_body(problem) for problem in problems],
        )
    )


async def _load(engine: Engine) -> tuple[Load | None, Sequence[Problem]]:
    """Who serves ports and names, or why nobody does."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await engine.load(), ()
    except TimeoutError:
        message, hint = "it does not answer", "the daemon starts it again; see dataplane.log in the exec root"
    except UnavailableError as error:
        message, hint = error.message, error.hint or ""
    return None, (Problem("data plane", message, hint),)


ROUTES = (Route("GET", "/linkspan/v1/status", status, "Everything in one view", {200: StatusBody}),)

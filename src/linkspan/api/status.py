"""/linkspan/v1/status: bridges, sandboxes, addresses, published ports, and whatever is wrong."""

from aiohttp import web

from linkspan.api.bodies.linkspan import StatusBody
from linkspan.api.calls import Call, Route, answer
from linkspan.api.render.status import bridge_status, host_problems, problem_body, sandbox_status


async def status(call: Call) -> web.StreamResponse:
    """GET /linkspan/v1/status."""
    engine, host = call.rooms.engine, call.rooms.host
    bridges = [bridge_status(network, len(engine.members(network.id))) for network in engine.networks.values()]
    ipv6 = any(network.subnet(6) is not None for network in engine.networks.values())
    problems = (*engine.problems, *host_problems(host, engine.config, ipv6=ipv6), *await engine.obstacles())
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
            problems=[problem_body(problem) for problem in problems],
        )
    )


ROUTES = (Route("GET", "/linkspan/v1/status", status, "Everything in one view", {200: StatusBody}),)

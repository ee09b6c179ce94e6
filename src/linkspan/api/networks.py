"""/networks: create, list, inspect, remove, connect, disconnect, prune."""

from collections.abc import Mapping

from aiohttp import web

from linkspan.api.bodies.networks import (
    EndpointBody,
    EndpointIpam,
    NetworkBody,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworkMember,
    NetworksPruned,
)
from linkspan.api.calls import Call, Route, answer, done
from linkspan.api.filters import Filters, parse_filters
from linkspan.api.render.networks import member_body, network_body
from linkspan.api.rooms import Rooms
from linkspan.api.swarm import NOT_A_MANAGER
from linkspan.engine.options import ENABLE_IPV4, ENABLE_IPV6, read_flag
from linkspan.model.errors import ForbiddenError, InvalidError, LinkspanError, NotFoundError
from linkspan.model.networks import Network
from linkspan.model.requests import Connect, CreateNetwork, Disconnect, EndpointRequest, RemoveNetwork, SubnetRequest

LIST_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
PRUNE_FILTERS = frozenset({"label", "label!", "until"})
IFNAME = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"


async def create(call: Call) -> web.StreamResponse:
    """POST /networks/create."""
    request = creation(await call.body(NetworkCreate), call)
    network = await call.rooms.engine.apply(request)
    return answer(NetworkCreated(id=network.id, warning=_warning(request)), 201)


def _warning(request: CreateNetwork) -> str:
    """What was asked for and has no effect, as in Docker, which says nothing of it."""
    idle = [
        str(asked.subnet)
        for asked in request.subnets
        if isinstance(asked, SubnetRequest)
        and asked.subnet
        and not (request.ipv6 if ":" in asked.subnet else request.ipv4)
    ]
    return f"{', '.join(idle)}: no effect, since its family is not enabled for this network" if idle else ""


def creation(body: NetworkCreate, call: Call) -> CreateNetwork:
    """The request that a body describes; what this engine has no notion of is refused."""
    if body.scope == "swarm":
        text = "cannot create a swarm scoped network when swarm is not active"
        raise ForbiddenError(text, field="Scope", value=body.scope)
    if body.driver == "overlay" or body.scope not in ("", "local"):
        raise ForbiddenError(NOT_A_MANAGER, field="Driver", value=body.driver)
    if body.ingress or body.config_only or (body.config_from is not None and body.config_from.network):
        raise InvalidError(
            "ingress and configuration-only networks are not supported",
            field="ConfigOnly",
            hint="create the network with its settings",
        )
    if body.ipam.driver == "null":
        raise InvalidError("ipv4 pool is empty", field="IPAM.Driver", value=body.ipam.driver)
    if body.ipam.driver not in ("", "default"):
        raise NotFoundError(f'plugin "{body.ipam.driver}" not found', field="IPAM.Driver", value=body.ipam.driver)
    asked_ipv4 = body.enable_ipv4 if call.version >= (1, 48) else None  # older clients know no networks without IPv4
    options = {**call.rooms.preferences.network_options.get(body.driver or "bridge", {}), **body.options}
    return CreateNetwork(
        name=body.name,
        driver=body.driver or "bridge",
        attachable=body.attachable,
        ipam_options=body.ipam.options or {},
        subnets=[SubnetRequest(s.subnet, s.ip_range, s.gateway, s.auxiliary_addresses) for s in body.ipam.config],
        ipv4=_enabled(asked_ipv4, options, ENABLE_IPV4, default=True),
        ipv6=_enabled(body.enable_ipv6, options, ENABLE_IPV6, default=False),
        internal=body.internal,
        options=options,
        labels=body.labels,
    )


def _enabled(asked: bool | None, options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Whether a family is enabled: the request's own word counts, then that of its driver options."""
    if asked is not None:
        return asked
    return read_flag(name, options[name]) if name in options else default


async def list_networks(call: Call) -> web.StreamResponse:
    """GET /networks."""
    filters = parse_filters(call.text("filters"), LIST_FILTERS)
    found = [network for network in call.rooms.engine.networks.values() if selected(network, filters, call.rooms)]
    return answer([network_body(network) for network in found])


def selected(network: Network, filters: Filters, rooms: Rooms) -> bool:
    """Whether a network passes; names and ids match when a part does, as in Docker."""
    kind = "builtin" if network.predefined else "custom"
    if bad := [value for value in filters.get("type") if value not in ("builtin", "custom")]:
        raise InvalidError(f"invalid filter: 'type'='{bad[0]}'", field="filters", value=bad[0])
    dangling = filters.flag("dangling")
    return (
        filters.match("name", network.name)
        and filters.match("id", network.id)
        and filters.exact("driver", str(network.driver))
        and filters.exact("scope", "local")
        and filters.exact("type", kind)
        and filters.labels(dict(network.labels))
        and dangling in (None, not network.predefined and not rooms.engine.members(network.id))
    )


async def inspect(call: Call) -> web.StreamResponse:
    """GET /networks/{id}."""
    if call.text("scope") not in ("", "local"):
        raise NotFoundError(f"network {call.name()} not found", field="network", value=call.name())
    network = call.rooms.engine.network(call.name())
    return answer(network_body(network, members(call.rooms, network)))


def members(rooms: Rooms, network: Network) -> dict[str, NetworkMember]:
    """Who is connected, by the id of the container, which is that of its sandbox.

    Who lives in the host's namespace, or alone in one of its own, is a member of `host` or `none`.
    """
    found = {
        sandbox.id: NetworkMember(name=rooms.member_name(sandbox), endpoint_id=sandbox.id, mac_address="")
        for sandbox in rooms.engine.sandboxes.values()
        if network.bridge is None and sandbox.mode == network.name
    }
    for sandbox in rooms.engine.members(network.id):
        endpoint = sandbox.endpoint(network.id)
        if endpoint is not None:
            found[sandbox.id] = member_body(rooms.member_name(sandbox), endpoint)
    return found


async def remove(call: Call) -> web.StreamResponse:
    """DELETE /networks/{id}."""
    await call.rooms.engine.apply(RemoveNetwork(call.name()))
    return done()


async def connect(call: Call) -> web.StreamResponse:
    """POST /networks/{id}/connect."""
    body = await call.body(NetworkConnect)
    endpoint = wished_endpoint(body, call)
    if call.rooms.is_container(body.container):
        await call.rooms.containers.connect(body.container, endpoint)
    else:
        await call.rooms.engine.apply(Connect(body.container, endpoint))
    return done(200)


def wished_endpoint(body: NetworkConnect, call: Call) -> EndpointRequest:
    """The endpoint that a body describes, on a network that exists."""
    network = call.rooms.engine.network(call.name())
    return endpoint_request(network.id, body.endpoint_config or EndpointBody())


async def disconnect(call: Call) -> web.StreamResponse:
    """POST /networks/{id}/disconnect."""
    body = await call.body(NetworkDisconnect)
    if call.rooms.is_container(body.container):
        await call.rooms.containers.disconnect(body.container, call.name(), force=body.force)
    else:
        await call.rooms.engine.apply(Disconnect(body.container, call.name()))
    return done(200)


def endpoint_request(network: str, body: EndpointBody) -> EndpointRequest:
    """A wish for an endpoint; what only reports how things are is ignored."""
    ipam, options = body.ipam_config or EndpointIpam(), body.driver_opts or {}
    if SYSCTLS in options:
        raise InvalidError(
            f"driver option {SYSCTLS} is not supported",
            field="DriverOpts",
            value=options[SYSCTLS],
            hint="set it from within the container, or for all interfaces by --sysctl net.ipv4.conf.all.…",
        )
    return EndpointRequest(
        network,
        ipv4_address=ipam.ipv4_address,
        ipv6_address=ipam.ipv6_address,
        mac_address=body.mac_address,
        ifname=options.get(IFNAME, ""),
        gw_priority=body.gw_priority,
        aliases=tuple(filter(None, body.aliases or ())),
        links=tuple(body.links or ()),
        link_local=tuple(ipam.link_local_ips),
        driver_opts=tuple(options.items()),
    )


async def prune(call: Call) -> web.StreamResponse:
    """POST /networks/prune: every network that nobody is connected to."""
    removed = []
    for network in unused(call):
        try:
            await call.rooms.engine.apply(RemoveNetwork(network.id))
        except LinkspanError:  # somebody connected to it, or removed it, in the meantime
            continue
        removed.append(network.name)
    call.rooms.announce("network", "prune", "", call.now, reclaimed="0")
    return answer(NetworksPruned(networks_deleted=removed or None))


def unused(call: Call) -> list[Network]:
    """What a prune request means: networks without members that its filters let through."""
    filters = parse_filters(call.text("filters"), PRUNE_FILTERS)
    before = filters.until(call.now)
    return [
        network
        for network in call.rooms.engine.networks.values()
        if not network.predefined
        and not call.rooms.engine.members(network.id)
        and (before is None or network.created <= before)
        and filters.labels(labels := dict(network.labels))
        and not ("label!" in filters and filters.labels(labels, "label!"))
    ]


_FILTERS = {"filters": "JSON: keys with the values of which one has to match"}
ROUTES = (
    Route("GET", "/networks", list_networks, "List networks", {200: list[NetworkBody]}, query=_FILTERS),
    Route(
        "POST", "/networks/create", create, "Create a network", {201: NetworkCreated}, body=NetworkCreate, changes=True
    ),
    Route(
        "POST", "/networks/prune", prune, "Remove unused networks", {200: NetworksPruned}, query=_FILTERS, changes=True
    ),
    Route(
        "POST",
        "/networks/{id:.+}/connect",
        connect,
        "Connect a container to a network",
        body=NetworkConnect,
        changes=True,
    ),
    Route(
        "POST",
        "/networks/{id:.+}/disconnect",
        disconnect,
        "Disconnect a container from a network",
        body=NetworkDisconnect,
        changes=True,
    ),
    Route(
        "GET",
        "/networks/{id:.+}",
        inspect,
        "Inspect a network",
        {200: NetworkBody},
        query={"verbose": "accepted, and without effect", "scope": "only local networks exist"},
    ),
    Route("DELETE", "/networks/{id:.+}", remove, "Remove a network", {204: None}, changes=True),
)

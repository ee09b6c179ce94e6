"""Decisions about sandboxes: create, remove, connect, disconnect, publish, unpublish."""

import re
from dataclasses import replace

from linkspan.engine.decisions import Context, Decision, describe, pairs, well_typed
from linkspan.engine.endpoints import endpoint_request, join
from linkspan.engine.naming import check_hostname, renamed, servers
from linkspan.engine.publishing import publish, unpublish
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from linkspan.model.events import Event
from linkspan.model.names import check_name
from linkspan.model.networks import Driver, Network
from linkspan.model.requests import (
    Connect,
    CreateSandbox,
    Disconnect,
    Publish,
    RemoveSandbox,
    RenameSandbox,
    Unpublish,
)
from linkspan.model.sandboxes import Endpoint, Mode, Sandbox
from linkspan.model.state import Change

_ID = re.compile("[0-9a-f]{64}")


def create_sandbox(context: Context, request: CreateSandbox) -> Decision[Sandbox]:
    """A namespace with all its endpoints and published ports."""
    request = well_typed(request)
    check_name(request.name, kind="sandbox")
    context.state.check_names(sandbox=request.name)
    mode, shares = _mode(context, request.mode)
    if request.networks and mode is not Mode.BRIDGE:
        raise InvalidError(
            f"conflicting options: networks and the {request.mode} network mode", field="networks", value=request.mode
        )
    if request.unconnected and (request.networks or mode is not Mode.BRIDGE):
        raise InvalidError(
            "conflicting options: a sandbox without connections, and networks or a network mode",
            field="unconnected",
            value=True,
        )
    sandbox = Sandbox(
        id=_id(context, request.id),
        name=request.name,
        mode=mode,
        created=context.surroundings.now(),
        shares=shares,
        labels=pairs(request.labels, name="labels"),
        hostname=check_hostname(request.hostname),
        servers=servers(request.dns),
        ndots=request.ndots,
    )
    if mode is Mode.BRIDGE and not request.unconnected:
        for item in request.networks or ("bridge",):
            endpoint = join(context, sandbox, endpoint_request(item))
            sandbox = replace(sandbox, endpoints=(*sandbox.endpoints, endpoint))
    sandbox, chosen = publish(context, sandbox, request.publish, request.proxy_protocol)
    events = [context.event("sandbox", "create", sandbox.id, **describe(sandbox))]
    events += [_endpoint_event(context, "connect", sandbox, endpoint) for endpoint in sandbox.endpoints]
    return Decision(Change(sandboxes={sandbox.id: sandbox}), sandbox, tuple(events), chosen)


def _id(context: Context, wanted: str) -> str:
    if not wanted:
        return context.surroundings.new_id()
    if not _ID.fullmatch(wanted):
        raise InvalidError(f"invalid id {wanted!r}: expected 64 hex digits", field="id", value=wanted)
    if wanted in context.state.sandboxes:
        raise ConflictError(f"there is already a sandbox with the id {wanted[:12]}", field="id", value=wanted)
    return wanted


def _mode(context: Context, text: str) -> tuple[Mode, str | None]:
    """Docker's network mode, and whose namespace is shared."""
    if text in ("", "bridge", "default"):
        return Mode.BRIDGE, None
    if text in ("host", "none"):
        return Mode(text), None
    kind, colon, reference = text.partition(":")
    if kind != "container" or not colon:
        raise InvalidError(
            f"invalid mode {text!r}: expected bridge, host, none or container:<name|id>", field="mode", value=text
        )
    owner = context.state.sandbox(reference)
    # Joining a sandbox that itself shares another's namespace means that namespace, as in Docker.
    return Mode.SHARED, owner.shares or owner.id


def remove_sandbox(context: Context, request: RemoveSandbox) -> Decision[Sandbox]:
    """Everything of a sandbox released; refused while others live in its namespace."""
    sandbox = context.state.sandbox(well_typed(request).sandbox)
    if sharers := context.state.sharers(sandbox.id):
        names = ", ".join(other.name for other in sharers)
        raise ConflictError(
            f"cannot remove sandbox {sandbox.name}: its namespace is used by {names}",
            field="sandbox",
            value=sandbox.name,
            hint=f"remove {names} first",
        )
    events = [_endpoint_event(context, "disconnect", sandbox, endpoint) for endpoint in sandbox.endpoints]
    events.append(context.event("sandbox", "destroy", sandbox.id, **describe(sandbox)))
    return Decision(Change(sandboxes={sandbox.id: None}), sandbox, tuple(events))


def rename_sandbox(context: Context, request: RenameSandbox) -> Decision[Sandbox]:
    """Another name, which its networks answer from then on in place of the old one."""
    request = well_typed(request)
    sandbox = context.state.sandbox(request.sandbox)
    check_name(request.name, kind="sandbox")
    context.state.check_names(sandbox=request.name)
    endpoints = tuple(replace(e, names=renamed(e.names, request.name)) for e in sandbox.endpoints)
    changed = replace(sandbox, name=request.name, endpoints=endpoints)
    event = context.event("sandbox", "rename", sandbox.id, **describe(changed), oldName=sandbox.name)
    return Decision(Change(sandboxes={sandbox.id: changed}), changed, (event,))


def connect(context: Context, request: Connect) -> Decision[Sandbox]:
    """One more endpoint for a live sandbox."""
    request = well_typed(request)
    sandbox = context.state.sandbox(request.sandbox)
    wanted = endpoint_request(request.endpoint)
    _check_connectable(sandbox, context.state.network(wanted.network).name)
    endpoint = join(context, sandbox, wanted)
    changed = replace(sandbox, endpoints=(*sandbox.endpoints, endpoint))
    return Decision(
        Change(sandboxes={sandbox.id: changed}), changed, (_endpoint_event(context, "connect", changed, endpoint),)
    )


def _check_connectable(sandbox: Sandbox, network: str) -> None:
    if sandbox.mode in (Mode.HOST, Mode.SHARED):
        raise InvalidError(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network",
            field="sandbox",
            value=sandbox.name,
        )
    if sandbox.mode is Mode.NONE:
        raise InvalidError(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            field="network",
            value=network,
        )


def disconnect(context: Context, request: Disconnect) -> Decision[Sandbox]:
    """One endpoint less; published ports move to the endpoint that is the way out from then on."""
    request = well_typed(request)
    sandbox = context.state.sandbox(request.sandbox)
    network = context.state.network(request.network)
    if sandbox.mode is Mode.HOST and network.name == "host":
        raise InvalidError(
            "cannot disconnect container from host network - container was created in host network mode",
            field="network",
            value=network.name,
        )
    if sandbox.mode is Mode.NONE and network.driver is Driver.NULL:
        return _leave_none(context, sandbox, network)
    endpoint = sandbox.endpoint(network.id)
    if endpoint is None:
        raise NotFoundError(
            f"container {sandbox.id} is not connected to network {network.name}", field="network", value=network.name
        )
    changed = replace(sandbox, endpoints=tuple(other for other in sandbox.endpoints if other is not endpoint))
    return Decision(
        Change(sandboxes={sandbox.id: changed}), changed, (_endpoint_event(context, "disconnect", sandbox, endpoint),)
    )


def _leave_none(context: Context, sandbox: Sandbox, network: Network) -> Decision[Sandbox]:
    """Out of the network `none`, after which a sandbox can join others, as in Docker."""
    changed = replace(sandbox, mode=Mode.BRIDGE)
    attributes = {"name": network.name, "type": str(network.driver), "container": sandbox.id}
    event = context.event("network", "disconnect", network.id, **attributes)
    return Decision(Change(sandboxes={sandbox.id: changed}), changed, (event,))


def publish_ports(context: Context, request: Publish) -> Decision[Sandbox]:
    """More published ports for a live sandbox."""
    request = well_typed(request)
    sandbox = context.state.sandbox(request.sandbox)
    changed, chosen = publish(context, sandbox, request.publish)
    return Decision(
        Change(sandboxes={sandbox.id: changed}), changed, (_ports_event(context, "publish", changed),), chosen
    )


def unpublish_ports(context: Context, request: Unpublish) -> Decision[Sandbox]:
    """Published ports taken back."""
    request = well_typed(request)
    changed = unpublish(context.state.sandbox(request.sandbox), request.ports)
    return Decision(Change(sandboxes={changed.id: changed}), changed, (_ports_event(context, "unpublish", changed),))


def _endpoint_event(context: Context, action: str, sandbox: Sandbox, endpoint: Endpoint) -> Event:
    network = context.state.networks[endpoint.network]
    return context.event(
        "network", action, network.id, name=network.name, type=str(network.driver), container=sandbox.id
    )


def _ports_event(context: Context, action: str, sandbox: Sandbox) -> Event:
    shown = ", ".join(str(binding) for binding in sandbox.ports)
    return context.event("sandbox", action, sandbox.id, name=sandbox.name, ports=shown)

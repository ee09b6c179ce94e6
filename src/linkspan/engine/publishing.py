"""Decisions about published ports: from `-p` texts to bindings that collide with nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from linkspan.engine.decisions import Context
from linkspan.model.addressing import LOOPBACK_6, UNSPECIFIED, VERSIONS, IPAddress, Version, bracketed
from linkspan.model.errors import ConflictError, ExhaustedError, InvalidError, UnavailableError
from linkspan.model.ports import PortBinding, PortRange, PortRequest, Protocol
from linkspan.model.portspec import parse_publish, parse_published, parse_target
from linkspan.model.porttable import PortTable
from linkspan.model.sandboxes import Mode, Sandbox
from linkspan.plan.topology import gateway_endpoint

_MODE_NAMES = {Mode.HOST: "host", Mode.NONE: "none", Mode.SHARED: "container"}


@dataclass
class Bound:
    """Bindings as they come together in one request; `chosen` are the ports picked here."""

    bindings: list[PortBinding] = field(default_factory=list)
    chosen: set[tuple[Protocol, int]] = field(default_factory=set)
    _taken: PortTable = field(default_factory=PortTable)

    def add(self, binding: PortBinding) -> None:
        """Take a binding that collides with none of the others."""
        self.bindings.append(binding)
        self._taken.add(binding, "")

    def holder(self, protocol: Protocol, address: IPAddress, ports: PortRange) -> tuple[int, str] | None:
        """The lowest port of `ports` that a binding of the same request has already."""
        return self._taken.holder(protocol, address, ports)


def publish(
    context: Context, sandbox: Sandbox, texts: Sequence[str], proxied: Sequence[str] = ()
) -> tuple[Sandbox, frozenset[tuple[Protocol, int]]]:
    """`sandbox` with more bindings, and the ports that were picked rather than asked for.

    As Docker sorts them: exact ports are settled before those that can move. `proxied` are ports of the sandbox that
    are told the client's address.
    """
    requests = [parse_publish(text) for text in texts]
    if requests and sandbox.mode is not Mode.BRIDGE:
        raise InvalidError(
            f"conflicting options: port publishing and the {_MODE_NAMES[sandbox.mode]} type network mode",
            field="publish",
            value=texts[0],
        )
    bound = Bound()
    for request in sorted(requests, key=_is_movable):
        _bind(context, sandbox, request, bound)
    bindings = proxy_protocol(context, bound.bindings, proxied) if proxied else bound.bindings
    return replace(sandbox, ports=(*sandbox.ports, *bindings)), frozenset(bound.chosen)


def proxy_protocol(context: Context, bindings: Sequence[PortBinding], texts: Sequence[str]) -> list[PortBinding]:
    """The bindings, with those that lead to the ports of `texts` carried by the relay alone."""
    wanted = [(text, *parse_target(text, field="proxy_protocol")) for text in texts]
    for text, ports, protocol in wanted:
        if protocol is not Protocol.TCP or not context.config.userland_proxy:
            reason = "the userland proxy is turned off" if protocol is Protocol.TCP else "it is for TCP only"
            raise InvalidError(
                f"cannot use the PROXY protocol for {text}: {reason}", field="proxy_protocol", value=text
            )
        if not any(binding.protocol is protocol and _within(binding.target, ports) for binding in bindings):
            raise InvalidError(
                f"cannot use the PROXY protocol for {text}: no published range lies within it",
                field="proxy_protocol",
                value=text,
                hint="publish the port, and name the whole of a published range",
            )
    return [
        replace(binding, proxy_protocol=True)
        if any(binding.protocol is protocol and _within(binding.target, ports) for _, ports, protocol in wanted)
        else binding
        for binding in bindings
    ]


def _within(ports: PortRange, others: PortRange) -> bool:
    return others.first <= ports.first and ports.last <= others.last


def unpublish(sandbox: Sandbox, texts: Sequence[str]) -> Sandbox:
    """`sandbox` without the bindings named by their host side."""
    ports = list(sandbox.ports)
    for text in texts:
        wanted, protocol, address = parse_published(text)
        gone = [b for b in ports if b.protocol is protocol and b.host == wanted and address in (None, b.address)]
        if not gone:
            published = ", ".join(str(binding) for binding in sandbox.ports) or "nothing"
            raise InvalidError(
                f"sandbox {sandbox.name} does not publish {text}",
                field="ports",
                value=text,
                hint=f"it publishes {published}",
            )
        ports = [binding for binding in ports if binding not in gone]
    return replace(sandbox, ports=tuple(ports))


def _is_movable(request: PortRequest) -> bool:
    return request.host is None or len(request.host) != len(request.target)


def _bind(context: Context, sandbox: Sandbox, request: PortRequest, bound: Bound) -> None:
    addresses = _host_addresses(context, sandbox, request)
    if _is_movable(request):
        host = _pick(context, request, addresses, bound)
        bound.chosen.update((request.protocol, port) for port in range(host.first, host.last + 1))
    else:
        assert request.host is not None
        host = request.host
        for address in addresses:
            _check_free(context, sandbox, request, address, bound)
    for address in addresses:
        bound.add(PortBinding(request.protocol, address, host, request.target))


def _host_addresses(context: Context, sandbox: Sandbox, request: PortRequest) -> list[IPAddress]:
    """The host addresses of a request: the one it names, the configured one, or every address of each family in use.

    What arrives at an IPv6 address of the host is carried to a sandbox with IPv4 only as well, as in Docker.
    """
    address = request.address or _default_binding(context, sandbox)
    if request.address is None and address.is_unspecified:
        families = [version for version in VERSIONS if any(e.address(version) for e in sandbox.endpoints)]
        if families == [4] and context.facts.ipv6 and _refusal(context, request.protocol) is None:
            families.append(6)
        return [UNSPECIFIED[version] for version in families] or [address]
    _check_servable(context, sandbox, request.protocol, address)
    return [address]


def _default_binding(context: Context, sandbox: Sandbox) -> IPAddress:
    """The network's `host_binding_ipv4`, else the engine's setting (dockerd's `--ip`)."""
    endpoint = gateway_endpoint(sandbox, context.state.networks, 4) or gateway_endpoint(
        sandbox, context.state.networks, 6
    )
    bridge = context.state.networks[endpoint.network].bridge if endpoint is not None else None
    return bridge.host_binding[0] if bridge is not None and bridge.host_binding else context.config.host_binding


def _check_servable(context: Context, sandbox: Sandbox, protocol: Protocol, address: IPAddress) -> None:
    """Refuse what only the relay can carry, when it cannot."""
    families = {own.version for endpoint in sandbox.endpoints for own in endpoint.addresses}
    if address == LOOPBACK_6:
        reason = "the kernel does not route ::1 off the host"
    elif families and address.version not in families:
        other: Version = 4 if address.version == 6 else 6
        reason = f"sandbox {sandbox.name} has only IPv{other}"
    else:
        return
    refusal = _refusal(context, protocol)
    if refusal is not None:
        shown, hint = bracketed(address), "publish on another address of the host"
        text = f"cannot publish on {shown}: {reason}, and {refusal.message}"
        raise type(refusal)(text, field="publish", value=str(address), hint=hint)


def _refusal(context: Context, protocol: Protocol) -> InvalidError | UnavailableError | None:
    """Why the relay does not carry a protocol; None when it does."""
    if not context.config.userland_proxy:
        return InvalidError("the userland proxy, which could carry it, is turned off")
    if protocol is Protocol.SCTP and not context.facts.sctp:
        return UnavailableError("this kernel has no SCTP sockets (CONFIG_IP_SCTP) for the relay to carry it")
    return None


def _check_free(context: Context, sandbox: Sandbox, request: PortRequest, address: IPAddress, bound: Bound) -> None:
    assert request.host is not None
    wanted = (request.protocol, address, request.host)
    taken = context.state.port_holder(*wanted) or bound.holder(*wanted)
    if taken is not None:
        port, holder = taken
        name = context.state.sandboxes[holder].name if holder else "the same request"
        raise ConflictError(
            programming_failed(sandbox, f"Bind for {bracketed(address)}:{port} failed: port is already allocated"),
            field="publish",
            value=f"{address}:{port}/{request.protocol}",
            hint=f"{name} has it; choose another host port",
        )


def _pick(context: Context, request: PortRequest, addresses: Sequence[IPAddress], bound: Bound) -> PortRange:
    """The first run of free ports that fits, on all addresses at once."""
    size = len(request.target)
    for first in _candidates(context, request, size):
        ports = PortRange(first, first + size - 1)
        if all(_is_free(context, request.protocol, address, ports, bound) for address in addresses):
            return ports
    raise ExhaustedError(
        "all ports are allocated",
        field="publish",
        value=str(request.host or context.facts.ephemeral),
        hint="remove published ports, or name another range",
    )


def _candidates(context: Context, request: PortRequest, size: int) -> Iterator[int]:
    """First ports to try: a named range from its start, ephemeral ports round robin from the last one given out."""
    if request.host is not None:
        yield from range(request.host.first, request.host.last + 2 - size)
        return
    ephemeral = context.facts.ephemeral
    end = ephemeral.last + 2 - size
    # The last port may have been picked from a named range, which lies anywhere.
    last = context.last_port if context.last_port is not None else 0
    start = last + 1 if ephemeral.first <= last < end else ephemeral.first
    for port in chain(range(start, end), range(ephemeral.first, start)):
        if not any(low.first <= port + size - 1 and port <= low.last for low in context.facts.reserved):
            yield port


def _is_free(context: Context, protocol: Protocol, address: IPAddress, ports: PortRange, bound: Bound) -> bool:
    return (
        not any((protocol, port) in context.avoid for port in range(ports.first, ports.last + 1))
        and context.state.port_holder(protocol, address, ports) is None
        and bound.holder(protocol, address, ports) is None
    )


def programming_failed(sandbox: Sandbox, reason: str) -> str:
    """Docker's wrapping of an error about published ports."""
    endpoint = sandbox.endpoints[0].id if sandbox.endpoints else ""
    return f"driver failed programming external connectivity on endpoint {sandbox.name} ({endpoint}): {reason}"

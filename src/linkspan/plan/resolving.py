"""From nouns to what the name servers hold: zones, names, and a resolver for each sandbox that has any.

Sandboxes find each other by name on user-defined networks only, as in Docker.
"""

from collections.abc import Iterator, Mapping, Sequence

from linkspan.model.addressing import IPAddress, Version
from linkspan.model.dataplane import HostResolver, NameEntry, NameZone, Record, RecordType, Resolver
from linkspan.model.networks import Network
from linkspan.model.sandboxes import Endpoint, Sandbox
from linkspan.plan.objects import Redirect, mark

HOST_NAME = "host.docker.internal"
"""The name of the host on every network."""

_TYPES: dict[Version, RecordType] = {4: RecordType.A, 6: RecordType.AAAA}


def host_resolver(engine: str, address: IPAddress) -> HostResolver:
    """The name server of the host itself."""
    return HostResolver(address, mark(engine, "engine", engine))


def zone(network: Network, host_gateway: Sequence[IPAddress], owner: str) -> NameZone:
    """The zone of a network. A record of the user's for the host's name takes the place of ours."""
    records = network.records
    if all(record.name.lower() != HOST_NAME for record in records):
        addresses = host_gateway or [subnet.gateway for subnet in network.subnets]
        records += tuple(Record(HOST_NAME, _TYPES[address.version], str(address)) for address in addresses)
    return NameZone(network.id, network.name, owner, records)


def names(sandbox: Sandbox, networks: Mapping[str, Network], owner: str) -> Iterator[NameEntry]:
    """What the sandbox is called, on each of its networks that answers names."""
    for endpoint in sandbox.endpoints:
        if networks[endpoint.network].answers_names and (known := endpoint.names or _given(sandbox)):
            addresses = tuple(address.ip for address in endpoint.addresses)
            yield NameEntry(endpoint.network, sandbox.id, known, addresses, owner)


def _given(sandbox: Sandbox) -> tuple[str, ...]:
    """The names of an endpoint that was remembered before endpoints had any."""
    return (sandbox.name, sandbox.id[:12])


def resolver(sandbox: Sandbox, networks: Mapping[str, Network], owner: str) -> Iterator[Redirect | Resolver]:
    """The name server of a sandbox that is on a network with names, and what leads to it."""
    searched = [e for e in _in_gateway_order(sandbox, networks) if networks[e.network].answers_names]
    if searched:
        yield Redirect(sandbox.id, owner)
        yield Resolver(
            sandbox.id,
            networks=tuple(endpoint.network for endpoint in searched),
            owner=owner,
            links=tuple(link for endpoint in searched for link in endpoint.links),
            servers=sandbox.servers,
            forward=any(not networks[endpoint.network].internal for endpoint in sandbox.endpoints),
            ndots=sandbox.ndots,
        )


def _in_gateway_order(sandbox: Sandbox, networks: Mapping[str, Network]) -> list[Endpoint]:
    """As endpoints are preferred as the way out (see `topology.gateway_endpoint`), the internal ones last."""

    def rank(endpoint: Endpoint) -> tuple[bool, int, int, str]:
        network = networks[endpoint.network]
        return (network.internal, -endpoint.priority, -len(endpoint.addresses), network.name)

    return sorted(sandbox.endpoints, key=rank)

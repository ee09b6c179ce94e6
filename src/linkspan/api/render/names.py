"""Names, as /linkspan/v1 shows them."""

from collections.abc import Mapping

from linkspan.api.bodies.names import RecordBody, RecordsBody, ResolverStatus, StepBody, TraceBody, ZoneStatus
from linkspan.model.dataplane import Trace
from linkspan.model.networks import Network
from linkspan.model.sandboxes import Sandbox


def records_body(network: Network) -> RecordsBody:
    """The extra records of a network."""
    return RecordsBody(
        records=[
            RecordBody(name=record.name, type=str(record.type), value=record.value, ttl=record.ttl)
            for record in network.records
        ]
    )


def trace_body(container: str, name: str, type: str, trace: Trace) -> TraceBody:
    """How a question was answered."""
    steps = [StepBody(where=step.where, outcome=step.outcome, seconds=step.seconds) for step in trace.steps]
    return TraceBody(
        container=container, name=name, type=type, status=trace.status, answers=list(trace.answers), steps=steps
    )


def zone_status(network: Network, members: int) -> ZoneStatus:
    """A network with names."""
    return ZoneStatus(network=network.name, network_id=network.id, containers=members, records=len(network.records))


def resolver_status(name: str, sandbox: Sandbox, networks: Mapping[str, Network]) -> ResolverStatus | None:
    """The name server in a sandbox; None when it has none."""
    known = {networks[each.network].name: each for each in sandbox.endpoints if networks[each.network].answers_names}
    if not known:
        return None
    return ResolverStatus(
        container=name,
        networks=list(known),
        names={network: list(endpoint.names) for network, endpoint in known.items()},
        servers=[str(server) for server in sandbox.servers],
        forwards=any(not networks[each.network].internal for each in sandbox.endpoints),
    )

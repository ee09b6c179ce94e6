"""/linkspan/v1/dns and the records of networks: what Docker's API has no words for about names."""

from aiohttp import web

from linkspan.api.bodies.names import DnsStatus, RecordsBody, TraceBody
from linkspan.api.calls import Call, Route, answer
from linkspan.api.render.names import records_body, resolver_status, trace_body, zone_status
from linkspan.model.errors import ConflictError, InvalidError
from linkspan.model.requests import RecordRequest, SetRecords

DOMAIN = "linkspan"
"""Under it the host's own name server answers."""


async def records(call: Call) -> web.StreamResponse:
    """GET …/networks/{id}/records."""
    return answer(records_body(call.rooms.engine.network(call.name())))


async def put_records(call: Call) -> web.StreamResponse:
    """PUT …/networks/{id}/records."""
    return answer(records_body(await call.rooms.engine.apply(await records_request(call))))


async def records_request(call: Call) -> SetRecords:
    """The change that a body describes."""
    body = await call.body(RecordsBody)
    return SetRecords(
        call.rooms.engine.network(call.name()).id,
        [RecordRequest(each.name, each.type, each.value, each.ttl) for each in body.records],
    )


async def trace(call: Call) -> web.StreamResponse:
    """GET …/dns/trace: the question is asked as the container would ask it."""
    reference, name, type = call.text("container"), call.text("name"), call.text("type").upper() or "A"
    for field in ("container", "name"):
        if not call.text(field):
            raise InvalidError(f"{field} is missing", field=field)
    sandbox = call.rooms.sandbox_of(reference)
    if sandbox is None:
        raise ConflictError(f"container {reference} is not running", field="container", value=reference)
    found = call.rooms.engine.sandboxes[sandbox]
    owner = call.rooms.engine.sandboxes.get(found.shares or "", found)
    if not call.rooms.engine.config.names or resolver_status("", owner, call.rooms.engine.networks) is None:
        raise ConflictError(
            f"container {reference} has no name server of its own",
            field="container",
            value=reference,
            hint="only containers on user-defined networks have one: linkspan network connect NETWORK CONTAINER",
        )
    return answer(trace_body(reference, name, type, await call.rooms.engine.trace(owner.id, name, type)))


async def status(call: Call) -> web.StreamResponse:
    """GET …/dns."""
    engine = call.rooms.engine
    found = [
        resolver_status(call.rooms.member_name(sandbox), sandbox, engine.networks)
        for sandbox in engine.sandboxes.values()
    ]
    return answer(
        DnsStatus(
            enabled=engine.config.names,
            host_resolver=str(engine.config.host_resolver or ""),
            domain=DOMAIN,
            zones=[
                zone_status(network, len(engine.members(network.id)))
                for network in engine.networks.values()
                if network.answers_names
            ],
            resolvers=[each for each in found if each is not None],
        )
    )


_RECORDS = "/linkspan/v1/networks/{id:.+}/records"
_QUESTION = {
    "container": "who asks",
    "name": "what for",
    "type": "the type of record: A (default), AAAA, PTR, TXT, …",
}
ROUTES = (
    Route("GET", _RECORDS, records, "The extra records of a network", {200: RecordsBody}),
    Route(
        "PUT",
        _RECORDS,
        put_records,
        "Give a network these extra records in place of all it has",
        {200: RecordsBody},
        body=RecordsBody,
        changes=True,
    ),
    Route("GET", "/linkspan/v1/dns", status, "Who answers names, and which", {200: DnsStatus}),
    Route(
        "GET",
        "/linkspan/v1/dns/trace",
        trace,
        "How a question of a container is answered",
        {200: TraceBody},
        query=_QUESTION,
    ),
)

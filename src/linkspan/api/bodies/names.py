"""Bodies of /linkspan/v1 about names, in Docker's style of field names."""

from msgspec import Struct, field

from linkspan.api.bodies.spelling import docker_name

DEFAULT_TTL = 600


class RecordBody(Struct, rename=docker_name, kw_only=True):
    """One more record of a network: `Value` as a zone file has it, `TTL` in seconds."""

    name: str
    type: str
    value: str
    ttl: int = field(name="TTL", default=DEFAULT_TTL)


class RecordsBody(Struct, rename=docker_name, kw_only=True):
    """GET and PUT /linkspan/v1/networks/{id}/records: all of a network's extra records."""

    records: list[RecordBody]


class StepBody(Struct, rename=docker_name, kw_only=True):
    """Where an answer was looked for, what came of it, and after how many seconds from the start."""

    where: str
    outcome: str
    seconds: float


class TraceBody(Struct, rename=docker_name, kw_only=True):
    """GET /linkspan/v1/dns/trace: how a question of a container was answered."""

    container: str
    name: str
    type: str
    status: str
    answers: list[str]
    steps: list[StepBody]


class ZoneStatus(Struct, rename=docker_name, kw_only=True):
    """A network with names: how many containers it knows, and how many extra records."""

    network: str
    network_id: str
    containers: int
    records: int


class ResolverStatus(Struct, rename=docker_name, kw_only=True):
    """The name server of a container. `Servers` are asked from inside; without any, the host's are, if `Forwards`."""

    container: str
    networks: list[str]
    names: dict[str, list[str]]
    servers: list[str]
    forwards: bool


class DnsStatus(Struct, rename=docker_name, kw_only=True):
    """GET /linkspan/v1/dns. `HostResolver` is the address of the host's own name server, empty when there is none."""

    enabled: bool
    host_resolver: str
    domain: str
    zones: list[ZoneStatus]
    resolvers: list[ResolverStatus]

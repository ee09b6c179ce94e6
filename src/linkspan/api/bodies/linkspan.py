"""Bodies of /linkspan/v1, in Docker's style of names."""

from msgspec import Struct

from linkspan.api.bodies.spelling import docker_name


class OperationBody(Struct, rename=docker_name, kw_only=True):
    """One step: what happens to which kernel object. `implied` steps the kernel makes by itself."""

    verb: str
    object: str
    implied: bool = False


class PlanBody(Struct, rename=docker_name, kw_only=True):
    """What a request would do: the steps, and the lines a person would type for them."""

    operations: list[OperationBody]
    lines: list[str]


class BridgeStatus(Struct, rename=docker_name, kw_only=True):
    """A bridge network."""

    name: str
    network: str
    network_id: str
    subnets: list[str]
    gateways: list[str]
    internal: bool
    members: int


class InterfaceStatus(Struct, rename=docker_name, kw_only=True):
    """An interface of a sandbox."""

    network: str
    name: str
    host_name: str
    mac_address: str
    addresses: list[str]


class SandboxStatus(Struct, rename=docker_name, kw_only=True):
    """A namespace with what lives in it."""

    id: str
    name: str
    mode: str
    namespace: str
    interfaces: list[InterfaceStatus]
    ports: list[str]


class ProblemBody(Struct, rename=docker_name, kw_only=True):
    """What is wrong, why, and what to do."""

    subject: str
    message: str
    hint: str = ""


class DataPlaneStatus(Struct, rename=docker_name, kw_only=True):
    """The process that answers names and carries what NAT does not: how many of what it holds. `Pid` 0: there is none.

    `Helper` tells the process that outlives the daemon from the daemon itself.
    """

    pid: int = 0
    helper: bool = True
    ports: int = 0
    resolvers: int = 0
    networks: int = 0
    names: int = 0
    sockets: int = 0


class StatusBody(Struct, rename=docker_name, kw_only=True):
    """GET /linkspan/v1/status."""

    version: str
    engine_id: str
    firewall: str
    bridges: list[BridgeStatus]
    sandboxes: list[SandboxStatus]
    data_plane: DataPlaneStatus
    problems: list[ProblemBody]

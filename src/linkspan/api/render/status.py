"""The state of everything in one value: bridges, sandboxes, addresses, ports, problems."""

from collections.abc import Iterator, Mapping

from linkspan.api.bodies.linkspan import (
    BridgeStatus,
    DataPlaneStatus,
    InterfaceStatus,
    OperationBody,
    PlanBody,
    ProblemBody,
    SandboxStatus,
)
from linkspan.api.host import Host
from linkspan.engine.preview import Preview
from linkspan.model.config import Config
from linkspan.model.dataplane import Load
from linkspan.model.networks import Network
from linkspan.model.problems import Problem
from linkspan.model.sandboxes import Sandbox


def plan_body(*previews: Preview) -> PlanBody:
    """The steps of one or several requests."""
    return PlanBody(
        operations=[
            OperationBody(verb=str(step.verb), object=" ".join(step.object.key), implied=step.implied)
            for preview in previews
            for step in preview
        ],
        lines=[line for preview in previews for line in preview.lines()],
    )


def bridge_status(network: Network, members: int) -> BridgeStatus | None:
    """A network as a bridge; None when it has none."""
    if network.bridge is None:
        return None
    return BridgeStatus(
        name=network.bridge.name,
        network=network.name,
        network_id=network.id,
        subnets=[str(subnet.prefix) for subnet in network.subnets],
        gateways=[str(subnet.gateway) for subnet in network.subnets],
        internal=network.internal,
        members=members,
    )


def sandbox_status(sandbox: Sandbox, networks: Mapping[str, Network], namespace: str) -> SandboxStatus:
    """A sandbox with its interfaces and published ports."""
    return SandboxStatus(
        id=sandbox.id,
        name=sandbox.name,
        mode=str(sandbox.mode),
        namespace=namespace,
        interfaces=[
            InterfaceStatus(
                network=networks[endpoint.network].name,
                name=endpoint.ifname,
                host_name=endpoint.host_ifname,
                mac_address=endpoint.mac,
                addresses=[str(address) for address in endpoint.addresses],
            )
            for endpoint in sandbox.endpoints
        ],
        ports=[str(binding) for binding in sandbox.ports],
    )


def data_plane_status(load: Load | None) -> DataPlaneStatus:
    """Who serves ports and names; None when nobody answers."""
    if load is None:
        return DataPlaneStatus()
    count = load.services.get
    return DataPlaneStatus(
        pid=load.pid,
        helper=load.remote,
        ports=count("port", 0),
        resolvers=count("resolver", 0) + count("host resolver", 0),
        networks=count("zone", 0),
        names=count("name", 0),
        sockets=load.sockets,
    )


def problem_body(problem: Problem) -> ProblemBody:
    """A problem."""
    return ProblemBody(subject=problem.subject, message=problem.message, hint=problem.hint or "")


def host_problems(host: Host, config: Config, *, ipv6: bool) -> Iterator[Problem]:
    """What the machine lacks for containers to be reachable; `ipv6` tells whether a network has it."""
    for version, name in ((4, "net.ipv4.ip_forward"), *(((6, "net.ipv6.conf.all.forwarding"),) if ipv6 else ())):
        if not host.forwards(version):
            hint = "set it to 1" if not config.ip_forward else "something turned it off: set it to 1"
            yield Problem(name, f"IPv{version} packets are not forwarded: containers reach only this machine", hint)
    for package in host.missing_packages():
        yield Problem(f"package {package}", "it is not installed", f"apt install {package}")

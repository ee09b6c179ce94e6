"""The scenarios of docs/rules: what is asked for, and what to look at in the answer.

Everything is decided by the engine's own pure functions, with ids, hardware addresses and time that repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any

from linkspan.engine.decisions import Context
from linkspan.engine.networks import settle_predefined
from linkspan.engine.ports import Surroundings
from linkspan.engine.worker import DECISIONS
from linkspan.model.config import Config
from linkspan.model.requests import CreateNetwork, CreateSandbox, EndpointRequest, Request, SubnetRequest
from linkspan.model.state import State
from linkspan.plan.addresses import ula_pool
from linkspan.plan.firewall import Firewall
from linkspan.plan.objects import KernelObject
from linkspan.plan.observation import HostFacts
from linkspan.plan.topology import Planner

ENGINE = sha256(b"engine").hexdigest()


@dataclass(frozen=True)
class Scenario:
    """One page: `requests` in order, with a sentence on what to see, the engine's settings, and what the host has."""

    slug: str
    title: str
    look: str
    requests: Sequence[Request[Any]]
    config: Config = field(default_factory=Config)
    facts: HostFacts = field(default_factory=HostFacts)


def surroundings() -> Surroundings:
    """Ids and hardware addresses that count up, and a clock that stands."""
    ids, macs = count(1), count(1)
    return Surroundings(
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        new_id=lambda: sha256(str(next(ids)).encode()).hexdigest(),
        new_mac=lambda: f"02:00:00:00:00:{next(macs):02x}",
    )


def objects(scenario: Scenario, firewall: Firewall) -> tuple[KernelObject, ...]:
    """Everything the kernel holds once the requests of a scenario are carried out."""
    planner = Planner(ENGINE, scenario.config, firewall).on(scenario.facts)
    state = State()
    pools = (*scenario.config.pools, ula_pool(ENGINE))
    context = Context(state, scenario.config, pools, surroundings(), scenario.facts)
    state.apply(settle_predefined(context)[0])
    for request in scenario.requests:
        state.apply(DECISIONS[type(request)](context, request).change)
    return tuple(planner.whole(state))


SCENARIOS = [
    Scenario(
        "default-bridge",
        "The default bridge with one published port",
        "One element says everything about the port: `tcp . 8080` leads to 172.17.0.2 port 80. The rules around it are "
        "the same with ten thousand ports. With iptables the same port is three rules.",
        [CreateSandbox("web", publish=["8080:80"])],
    ),
    Scenario(
        "two-networks",
        "Two networks, isolated from each other",
        "A sandbox on each. Both bridges are in the set `bridges`; what leaves one for the other is dropped unless it "
        "came through a published port, since only `br . br` pairs are in `icc`.",
        [
            CreateNetwork("front"),
            CreateNetwork("back"),
            CreateSandbox("a", networks=["front"]),
            CreateSandbox("b", networks=["back"]),
        ],
    ),
    Scenario(
        "internal",
        "An internal network",
        "The bridge is in the set `internal` and in no `masquerade` set, and the sandbox has no default route: nothing "
        "leaves, nothing comes in.",
        [CreateNetwork("db", internal=True), CreateSandbox("store", networks=["db"])],
    ),
    Scenario(
        "dual-stack",
        "Dual stack",
        "IPv4 and IPv6 side by side: the same objects twice, made by the same code. The published port has one element "
        "in each family's map and the same number in both.",
        [CreateNetwork("both", ipv6=True), CreateSandbox("web", networks=["both"], publish=["8080:80"])],
    ),
    Scenario(
        "ipv6-only",
        "IPv6 only",
        "No IPv4 address anywhere; the subnet comes from the engine's own unique local addresses.",
        [CreateNetwork("six", ipv4=False, ipv6=True), CreateSandbox("web", networks=["six"], publish=["8080:80"])],
    ),
    Scenario(
        "transit",
        "A host that did not forward before",
        "Forwarding is switched on for our networks, and must not make the host a router between its other interfaces: "
        "what touches no bridge is dropped at the end of our chain (nftables), what touches none of ours below "
        "everybody's rules (iptables). Where forwarding was on already these rules are not there. Frames that a bridge "
        "of somebody else passes between its own ports are let be.",
        [CreateNetwork("six", ipv6=True), CreateSandbox("web", networks=["six"], publish=["8080:80"])],
        facts=HostFacts(forwards=(), br_netfilter=True, ipv6=True),
    ),
    Scenario(
        "host-ip",
        "A port on one address of the host",
        "The host's address is part of the key. A port on 127.0.0.1 cannot be reached from elsewhere: 127.0.0.0/8 is "
        "dropped when it comes in by any interface but `lo`.",
        [CreateSandbox("admin", publish=["127.0.0.1:9000:9000", "192.0.2.10:443:8443"])],
    ),
    Scenario(
        "range",
        "A thousand ports",
        "One interval element for the whole range when the numbers are the same on both sides; one element a port when "
        "they are shifted. One socket a port holds it in both families.",
        [CreateSandbox("media", publish=["20000-20999:20000-20999/udp", "8000-8002:9000-9002"])],
        facts=HostFacts(ipv6=True),
    ),
    Scenario(
        "shared",
        "A shared sandbox",
        "`container:web` adds nothing to the kernel: its processes use the namespace that is already there.",
        [CreateSandbox("web", publish=["8080:80"]), CreateSandbox("sidecar", mode="container:web")],
    ),
    Scenario(
        "several-networks",
        "One sandbox on three networks",
        "eth0, eth1, eth2 in the order asked for. The default route goes by priority, and published ports follow it.",
        [
            CreateNetwork("front"),
            CreateNetwork(
                "back", subnets=[SubnetRequest("10.9.0.0/24", ip_range="10.9.0.128/25", gateway="10.9.0.254")]
            ),
            CreateNetwork("db", internal=True),
            CreateSandbox(
                "app",
                networks=["front", EndpointRequest("back", ipv4_address="10.9.0.7", gw_priority=10), "db"],
                publish=["8080:80"],
            ),
        ],
    ),
    Scenario(
        "no-icc",
        "A network whose sandboxes do not reach each other",
        "The ports of the bridge are isolated, which needs no bridge netfilter, and the pair is not in `icc`, so the "
        "way around through the gateway is closed too.",
        [
            CreateNetwork("guests", options={"com.docker.network.bridge.enable_icc": "false"}),
            CreateSandbox("a", networks=["guests"]),
            CreateSandbox("b", networks=["guests"]),
        ],
    ),
    Scenario(
        "names",
        "Names on a network",
        "Each sandbox has a name server at 127.0.0.11. Its sockets are on another port, so a server inside may have "
        "port 53; a table in the namespace leads there and back without tracking connections. The network has the name "
        "of the host and the records of its labels besides those of sandboxes.",
        [
            CreateNetwork("shop", labels={"linkspan.dns/mail": "300 A 10.9.9.9\nTXT v=1"}),
            CreateSandbox("web", networks=[EndpointRequest("shop", aliases=["www", "*.web"])]),
            CreateSandbox(
                "db", networks=[EndpointRequest("shop", links=["web:front"])], dns=["192.0.2.53"], hostname="store"
            ),
        ],
        Config(names=True),
    ),
    Scenario(
        "relay",
        "What NAT cannot carry",
        "On a host with IPv6, `8080:80` is published on both families as Docker does it, though the sandbox has IPv4 "
        "only: the relay leads from one to the other. It alone serves [::1], which is never routed, and the port whose "
        "server is told the client's address.",
        [
            CreateSandbox("web", publish=["8080:80"]),
            CreateSandbox("local", publish=["[::1]:9000:90", "25:25"], proxy_protocol=["25"]),
        ],
        facts=HostFacts(ipv6=True),
    ),
]

"""Ranges that are published on every address of the host: one set of sockets for both families."""

from collections.abc import Sequence

import pytest

from linkspan.model.config import Config, FirewallBackend
from linkspan.model.requests import CreateNetwork, CreateSandbox, Disconnect, Publish, Unpublish
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import HostPort, NftElement
from linkspan.plan.observation import HostFacts
from linkspan.plan.operations import Operation, Verb, undo
from linkspan.plan.topology import Planner
from tests.support.scenes import ENGINE_ID, Scene

FACTS = HostFacts(ipv6=True)
NFT = Config()
CLASSIC = Config(firewall=FirewallBackend.IPTABLES)
RANGE = "8000-8009:8000-8009"


def scene_of(network: str, *texts: str, config: Config = NFT, proxied: Sequence[str] = ()) -> Scene:
    scene = Scene(config, FACTS)
    scene.do(CreateNetwork("four", subnets=["10.4.0.0/24"]))
    scene.do(CreateNetwork("six", ipv4=False, ipv6=True, subnets=["fd00:6::/64"]))
    scene.do(CreateNetwork("dual", ipv6=True, subnets=["10.5.0.0/24", "fd00:5::/64"]))
    scene.do(CreateSandbox("x", networks=[network], publish=texts, proxy_protocol=list(proxied)))
    return scene


def planner(config: Config = NFT) -> Planner:
    firewall = Nftables() if config.firewall is FirewallBackend.NFTABLES else Iptables(config.userland_proxy)
    return Planner(ENGINE_ID, config, firewall).on(FACTS)


def held(network: str, *texts: str, config: Config = NFT, proxied: Sequence[str] = ()) -> list[str]:
    """`<what ss shows>:<ports> → <where the relay leads>` for each host port."""
    scene = scene_of(network, *texts, config=config, proxied=proxied)
    ports = [item for item in planner(config).whole(scene.state) if isinstance(item, HostPort)]
    return [
        f"{port.key[2]}:{port.ports} → {'nowhere' if port.relay is None else f'{port.relay[0]} {port.relay[1]}'}"
        for port in ports
    ]


@pytest.mark.parametrize("config", [NFT, CLASSIC], ids=["nftables", "iptables"])
@pytest.mark.parametrize(("network", "target"), [("four", "10.4.0.2"), ("dual", "10.5.0.2")])
def test_a_range_has_one_set_of_sockets_for_both_families(network: str, target: str, config: Config) -> None:
    assert held(network, RANGE, config=config) == [f"*:8000-8009 → {target} 8000-8009"]


def test_a_sandbox_with_ipv6_only_is_reached_there() -> None:
    texts = "0.0.0.0:8000-8009:8000-8009", "[::]:8000-8009:8000-8009"
    assert held("six", *texts) == ["*:8000-8009 → fd00:6::2 8000-8009"]


def test_udp_has_it_too_and_ports_may_be_shifted() -> None:
    assert held("four", "8000-8009:9000-9009/udp") == ["*:8000-8009 → 10.4.0.2 9000-9009"]


def test_one_port_keeps_the_two_sockets_that_docker_shows() -> None:
    assert held("four", "8080:80") == ["0.0.0.0:8080 → nowhere", ":::8080 → 10.4.0.2 80"]


@pytest.mark.parametrize(
    ("network", "texts", "config"),
    [
        ("dual", [f"{RANGE}/sctp"], NFT),
        ("dual", [RANGE], Config(userland_proxy=False)),
        ("dual", ["0.0.0.0:8000-8009:8000-8009"], NFT),
        ("dual", ["[::]:8000-8009:8000-8009"], NFT),
        ("dual", ["0.0.0.0:8000-8009:8000-8009", "[::]:8000-8009:9000-9009"], NFT),
        ("dual", ["0.0.0.0:8000-8009:8000-8009", "[::]:8000-8008:8000-8008"], NFT),
        ("dual", ["0.0.0.0:8000-8009:8000-8009", "[::]:8000-8009:8000-8009/udp"], NFT),
        ("dual", ["127.0.0.1:8000-8009:8000-8009", "[::1]:8000-8009:8000-8009"], NFT),
    ],
    ids=["sctp", "only held", "IPv4", "IPv6", "other targets", "other ports", "other protocol", "loopback"],
)
def test_what_is_not_alike_or_not_relayed_stays_apart(network: str, texts: list[str], config: Config) -> None:
    assert not [line for line in held(network, *texts, config=config) if line.startswith("*")]


def test_bindings_of_different_sandboxes_stay_apart() -> None:
    scene = scene_of("four", "0.0.0.0:8000-8009:8000-8009")
    scene.do(CreateSandbox("y", networks=["four"], publish=["[::]:8000-8009:8000-8009"]))
    ports = [item for item in planner().whole(scene.state) if isinstance(item, HostPort)]
    assert [port.both for port in ports] == [False, False]


def test_servers_that_are_told_the_client_share_sockets_when_both_families_lead_to_one_address() -> None:
    assert held("four", RANGE, proxied=["8000-8009"]) == ["*:8000-8009 → 10.4.0.2 8000-8009"]
    apart = ["0.0.0.0:8000-8009 → 10.5.0.2 8000-8009", ":::8000-8009 → fd00:5::2 8000-8009"]
    assert held("dual", RANGE, proxied=["8000-8009"]) == apart


def test_nat_leads_to_either_family_as_ever() -> None:
    scene = scene_of("dual", RANGE)
    elements = [item for item in planner().whole(scene.state) if isinstance(item, NftElement) and "range" in item.set]
    assert {item.value for item in elements} == {"10.5.0.2", "fd00:5::2"}


def moves(operations: Sequence[Operation]) -> list[str]:
    """What happens to host ports, in order."""
    return [f"{op.verb} {op.object.key[2]}" for op in operations if isinstance(op.object, HostPort)]


@pytest.mark.parametrize(("gone", "left"), [("0.0.0.0", "::"), ("[::]", "0.0.0.0")])
def test_when_one_family_goes_the_sockets_of_both_go_before_the_others_come(gone: str, left: str) -> None:
    scene = scene_of("dual", RANGE)
    decision = scene.decide(Unpublish("x", [f"{gone}:8000-8009"]))
    operations = planner().operations(scene.state, decision.change)
    assert moves(operations) == ["remove *", f"add {left}"]
    assert [op.verb for op in operations[:2]] == [Verb.REMOVE, Verb.ADD]
    assert moves(undo(operations)) == [f"remove {left}", "add *"]


def test_when_the_other_family_comes_the_sockets_of_one_go_first() -> None:
    scene = scene_of("dual", "0.0.0.0:8000-8009:8000-8009")
    decision = scene.decide(Publish("x", ["[::]:8000-8009:8000-8009"]))
    assert moves(planner().operations(scene.state, decision.change)) == ["remove 0.0.0.0", "add *"]


def test_what_is_in_nobodys_way_is_released_last() -> None:
    scene = scene_of("dual", RANGE)
    change = scene.decide(Unpublish("x", ["8000-8009"])).change
    operations = planner().operations(scene.state, change)
    assert moves(operations) == ["remove *"]
    assert isinstance(operations[-1].object, HostPort)


def test_a_sandbox_that_leaves_a_network_keeps_its_sockets() -> None:
    scene = scene_of("four", RANGE)
    scene.do(CreateSandbox("y", networks=["four", "six"], publish=["9000-9009:9000-9009"]))
    change = scene.decide(Disconnect("y", "four")).change
    (operation,) = (op for op in planner().operations(scene.state, change) if isinstance(op.object, HostPort))
    assert operation.verb is Verb.REPLACE
    assert isinstance(operation.object, HostPort)
    assert operation.object.relay is not None
    assert str(operation.object.relay[0]).startswith("fd00:6::")

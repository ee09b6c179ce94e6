"""Who carries what to a published port: NAT, the relay, or both."""

import pytest

from linkspan.model.config import Config, FirewallBackend
from linkspan.model.requests import CreateNetwork, CreateSandbox
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import HostPort, IptablesRule, NftElement
from linkspan.plan.observation import HostFacts
from linkspan.plan.topology import Planner
from tests.support.scenes import ENGINE_ID, Scene

NFT = Config()
CLASSIC = Config(firewall=FirewallBackend.IPTABLES)
ALL_NAT = Config(userland_proxy=False)
FACTS = HostFacts(ipv6=True)


def firewall(config: Config) -> Firewall:
    return Iptables(config.userland_proxy) if config.firewall is FirewallBackend.IPTABLES else Nftables()


def carried(text: str, network: str, config: Config, facts: HostFacts = FACTS, *, proxied: bool = False) -> set[str]:
    """`<host address> nat`, `<host address> relay` for each binding of one text."""
    scene = Scene(config, facts)
    scene.do(CreateNetwork("four", subnets=["10.4.0.0/24"]))
    scene.do(CreateNetwork("six", ipv4=False, ipv6=True, subnets=["fd00:6::/64"]))
    scene.do(CreateNetwork("dual", ipv6=True, subnets=["10.5.0.0/24", "fd00:5::/64"]))
    tell = ["80"] if proxied else []
    sandbox = scene.do(CreateSandbox("x", networks=[network], publish=[text], proxy_protocol=tell))
    planner = Planner(ENGINE_ID, config, firewall(config)).on(facts)
    found = set()
    objects = list(planner.sandbox(sandbox, scene.state.networks))
    ports = [item for item in objects if isinstance(item, HostPort)]
    found |= {f"{port.address} relay to {port.relay[0]}" for port in ports if port.relay is not None}
    for item in objects:
        match item:
            case NftElement(set=name, value=value) if "ports" in name:
                found.add(f"nat to {value.split(' ')[0]}")
            case IptablesRule(spec=spec) if "-j DNAT" in spec:
                found.add(f"nat to {spec.split(' ')[-1].rpartition(':')[0].strip('[]')}")
    return found


@pytest.mark.parametrize(
    ("text", "network", "config", "expected"),
    [
        ("8080:80", "four", NFT, {"nat to 10.4.0.2", ":: relay to 10.4.0.2"}),
        ("8080:80", "dual", NFT, {"nat to 10.5.0.2", "nat to fd00:5::2", ":: relay to fd00:5::2"}),
        ("8080:80", "six", NFT, {"nat to fd00:6::2", ":: relay to fd00:6::2"}),
        ("[::1]:8080:80", "dual", NFT, {"::1 relay to fd00:5::2"}),
        ("[::1]:8080:80", "four", NFT, {"::1 relay to 10.4.0.2"}),
        ("127.0.0.1:8080:80", "four", NFT, {"nat to 10.4.0.2"}),
        ("127.0.0.1:8080:80", "six", NFT, {"127.0.0.1 relay to fd00:6::2"}),
        ("8080:80", "four", CLASSIC, {"nat to 10.4.0.2", "0.0.0.0 relay to 10.4.0.2", ":: relay to 10.4.0.2"}),
        ("8080:80", "dual", ALL_NAT, {"nat to 10.5.0.2", "nat to fd00:5::2"}),
        ("8080:80/sctp", "dual", NFT, {"nat to 10.5.0.2", "nat to fd00:5::2"}),
    ],
)
def test_nat_carries_what_it_can_and_the_relay_the_rest(
    text: str, network: str, config: Config, expected: set[str]
) -> None:
    assert carried(text, network, config) == expected


@pytest.mark.parametrize("config", [NFT, CLASSIC], ids=["nftables", "iptables"])
def test_a_server_that_is_told_the_client_gets_everything_by_the_relay(config: Config) -> None:
    expected = {"0.0.0.0 relay to 10.4.0.2", ":: relay to 10.4.0.2"}
    assert carried("8080:80", "four", config, proxied=True) == expected


def test_where_the_host_does_not_forward_the_relay_carries_everything() -> None:
    config, facts = Config(ip_forward=False), HostFacts(ipv6=True, forwards=(6,))
    expected = {"0.0.0.0 relay to 10.5.0.2", "nat to fd00:5::2", ":: relay to fd00:5::2"}
    assert carried("8080:80", "dual", config, facts) == expected
    forwarding = HostFacts(ipv6=True, forwards=(4, 6))
    assert "nat to 10.5.0.2" in carried("8080:80", "dual", config, forwarding)

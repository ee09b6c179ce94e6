"""The networks that exist from the start, and what happens when their settings change."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, ip_network

import pytest

from linkspan.engine.decisions import Context
from linkspan.engine.networks import settle_predefined
from linkspan.model.config import Config
from linkspan.model.errors import InvalidError, LinkspanError
from linkspan.model.networks import Driver, Network
from linkspan.model.requests import Connect, CreateSandbox
from linkspan.plan.observation import HostFacts
from tests.support.scenes import Scene


def again(scene: Scene, config: Config, facts: HostFacts | None = None) -> Context:
    """The context of an engine that opens on the state of `scene` with other settings."""
    return Context(scene.state, config, scene.context.pools, scene.context.surroundings, facts or HostFacts())


def test_bridge_host_and_none_exist_from_the_start() -> None:
    scene = Scene()
    found = {network.name: (network.driver, network.predefined) for network in scene.state.networks.values()}
    assert found == {"bridge": (Driver.BRIDGE, True), "host": (Driver.HOST, True), "none": (Driver.NULL, True)}


def test_the_default_bridge_is_docker0_at_172_17_0_1() -> None:
    network = Scene().network("bridge")
    assert network.bridge is not None
    assert (network.bridge.name, str(network.subnets[0].gateway), network.bridge.mtu) == ("docker0", "172.17.0.1", 1500)


def test_the_settings_shape_the_default_bridge() -> None:
    config = Config(
        bridge="ls0",
        bip=IPv4Interface("10.5.0.1/16"),
        fixed_cidr=IPv4Network("10.5.9.0/24"),
        bip6=IPv6Interface("fd00:5::1/64"),
        mtu=1400,
        icc=False,
        ip_masq=False,
        host_binding=IPv4Address("127.0.0.1"),
    )
    network = Scene(config).network("bridge")
    assert network.bridge is not None
    assert [str(subnet.prefix) for subnet in network.subnets] == ["10.5.0.0/16", "fd00:5::/64"]
    assert [str(subnet.gateway) for subnet in network.subnets] == ["10.5.0.1", "fd00:5::1"]
    assert str(network.subnets[0].range) == "10.5.9.0/24"
    assert (network.bridge.name, network.bridge.mtu) == ("ls0", 1400)
    assert (network.bridge.icc, network.bridge.masquerade) == (False, False)
    assert network.bridge.host_binding == (IPv4Address("127.0.0.1"),)


def test_fixed_cidr_alone_is_the_subnet() -> None:
    network = Scene(Config(fixed_cidr=IPv4Network("10.5.9.0/24"))).network("bridge")
    assert [str(subnet.prefix) for subnet in network.subnets] == ["10.5.9.0/24"]


@pytest.mark.parametrize(
    "config",
    [
        Config(bridge="much-too-long-a-name"),
        Config(mtu=1),
        Config(bip=IPv4Interface("10.5.0.0/16")),
        Config(bip=IPv4Interface("10.5.0.1/16"), fixed_cidr=IPv4Network("10.6.0.0/24")),
        Config(mtu=1000, ipv6=True),
    ],
)
def test_settings_that_cannot_be_are_invalid(config: Config) -> None:
    with pytest.raises(InvalidError) as caught:
        Scene(config)
    assert caught.value.field and caught.value.value is not None


def test_nothing_changes_when_the_settings_are_the_same() -> None:
    scene = Scene()
    assert settle_predefined(again(scene, scene.context.config)) == (settle_predefined(again(scene, Config()))[0], ())
    assert not settle_predefined(again(scene, Config()))[0]


def renewed(scene: Scene, config: Config, facts: HostFacts | None = None) -> Network:
    change, problems = settle_predefined(again(scene, config, facts))
    assert not problems
    old, new = change.networks.items()
    assert old == (scene.network("bridge").id, None)
    assert new[1] is not None
    assert (new[1].name, new[1].predefined) == ("bridge", True)
    return new[1]


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        (Config(mtu=9000), lambda network: network.bridge.mtu == 9000),
        (Config(bridge="ls0"), lambda network: network.bridge.name == "ls0"),
        (Config(icc=False), lambda network: not network.bridge.icc),
        (Config(bip=IPv4Interface("10.5.0.1/16")), lambda network: str(network.subnets[0].gateway) == "10.5.0.1"),
        (Config(ipv6=True), lambda network: network.subnet(6) is not None),
    ],
    ids=["mtu", "name", "icc", "bip", "ipv6"],
)
def test_an_unused_default_bridge_is_renewed_when_its_settings_change(
    config: Config, changed: Callable[[Network], bool]
) -> None:
    assert changed(renewed(Scene(), config))


def test_a_renewed_default_bridge_keeps_the_subnet_it_had() -> None:
    assert str(renewed(Scene(), Config(mtu=9000)).subnets[0].prefix) == "172.17.0.0/16"


def test_a_renewed_default_bridge_avoids_what_the_host_routes_by_now() -> None:
    facts = HostFacts(occupied=(ip_network("172.17.0.0/16"),))
    scene = Scene(facts=facts)
    assert str(renewed(scene, Config(mtu=9000), facts).subnets[0].prefix) == "172.18.0.0/16"


def test_a_default_bridge_in_use_stays_and_the_problem_is_told() -> None:
    scene = Scene()
    scene.do(CreateSandbox("x"))
    change, problems = settle_predefined(again(scene, Config(mtu=9000)))
    assert not change
    [problem] = problems
    assert problem.subject == "network bridge"
    assert "connected" in problem.message and problem.hint


@pytest.mark.parametrize("name", ["host", "none"])
def test_sandboxes_do_not_connect_to_host_or_none(name: str) -> None:
    scene = Scene()
    scene.do(CreateSandbox("x"))
    with pytest.raises(LinkspanError, match=f"cannot connect container to {name} network"):
        scene.decide(Connect("x", name))

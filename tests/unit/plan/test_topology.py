"""From desired state to kernel objects."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkspan.model.config import Config
from linkspan.model.errors import LinkspanError
from linkspan.model.requests import Connect, CreateNetwork, CreateSandbox, EndpointRequest, Request
from linkspan.model.state import Change, State
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    KernelObject,
    Key,
    Namespace,
    NftChain,
    NftElement,
    Route,
    Sysctl,
    Up,
    Veth,
    mark,
    mark_engine,
)
from linkspan.plan.observation import HostFacts
from linkspan.plan.operations import apply, undo
from linkspan.plan.topology import Planner, active_bindings, gateway_endpoint
from tests.support.firewall import SmallFirewall
from tests.support.scenes import ENGINE_ID, Scene
from tests.support.strategies import histories

FIREWALLS: dict[str, Firewall] = {
    "small": SmallFirewall(),
    "nftables": Nftables(),
    "iptables": Iptables(userland_proxy=True),
    "iptables without proxy": Iptables(userland_proxy=False),
}


def planner(firewall: Firewall | None = None, config: Config | None = None) -> Planner:
    return Planner(ENGINE_ID, config or Config(), firewall or SmallFirewall())


def lasting(objects: Iterable[KernelObject]) -> dict[Key, KernelObject]:
    """By key, without the settings of the host that are never taken back."""
    return {item.key: item for item in objects if not (isinstance(item, Sysctl) and not item.link)}


@pytest.mark.parametrize("firewall", FIREWALLS.values(), ids=FIREWALLS)
@settings(max_examples=25)
@given(history=histories(), data=st.data())
def test_changes_one_after_another_come_to_the_whole_plan(
    firewall: Firewall, history: list[Request[Any]], data: st.DataObject
) -> None:
    scene, plans = Scene(), planner(firewall)
    kept = State(scene.state.networks.values())
    held = {item.key: item for item in plans.whole(kept)}
    batch = Change()
    for request in history:
        try:
            change = scene.decide(request).change
        except LinkspanError:
            continue
        scene.state.apply(change)
        batch = batch.then(change)
        if data.draw(st.booleans()):
            operations = plans.operations(kept, batch)
            before, held = held, apply(held.values(), operations)
            assert lasting(apply(held.values(), undo(operations)).values()) == lasting(before.values())
            kept.apply(batch)
            batch = Change()
            assert lasting(held.values()) == lasting(plans.whole(kept))


@pytest.mark.parametrize("firewall", FIREWALLS.values(), ids=FIREWALLS)
@settings(max_examples=25)
@given(history=histories())
def test_two_fragments_never_claim_one_key_for_different_objects(
    firewall: Firewall, history: list[Request[Any]]
) -> None:
    scene, plans = Scene(), planner(firewall)
    for request in history:
        try:
            scene.do(request)
        except LinkspanError:
            continue
    claimed: dict[Key, KernelObject] = {}
    for item in plans.whole(scene.state):
        assert claimed.setdefault(item.key, item) == item


def objects(scene: Scene, config: Config | None = None) -> set[KernelObject]:
    return set(planner(config=config).whole(scene.state))


def test_a_bridge_network_is_a_bridge_with_its_gateways_on_it() -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("n", subnets=["10.1.0.0/24", "fd00:1::/64"], ipv6=True))
    assert network.bridge is not None
    name = network.bridge.name
    held = objects(scene)
    owner = f"linkspan:{ENGINE_ID[:12]}:network:{network.id[:12]}"
    assert {Bridge(name, network.bridge.mac, 1500, owner), Up(HOST, name)} <= held
    found = {str(item.interface) for item in held if isinstance(item, Address) and item.link == name}
    assert found == {"10.1.0.1/24", "fd00:1::1/64"}


def test_an_endpoint_is_a_veth_pair_from_the_bridge_into_the_namespace() -> None:
    scene = Scene()
    sandbox = scene.do(CreateSandbox("x"))
    endpoint = sandbox.endpoints[0]
    held = objects(scene)
    veth = next(item for item in held if isinstance(item, Veth))
    assert (veth.name, veth.bridge, veth.where, veth.peer) == (f"veth{endpoint.id[:7]}", "docker0", sandbox.id, "eth0")
    assert {Namespace(sandbox.id), Up(HOST, veth.name), Up(sandbox.id, "eth0")} <= held
    assert Address(sandbox.id, "eth0", endpoint.addresses[0]) in held
    route = next(item for item in held if isinstance(item, Route))
    assert (str(route.destination), str(route.gateway), route.link) == ("0.0.0.0/0", "172.17.0.1", "eth0")


def test_modes_without_endpoints_hold_a_namespace_or_nothing() -> None:
    scene = Scene()
    base = objects(scene)
    scene.do(CreateSandbox("h", mode="host"))
    assert objects(scene) == base
    none = scene.do(CreateSandbox("n", mode="none"))
    scene.do(CreateSandbox("s", mode="container:n"))
    assert objects(scene) == base | {Namespace(none.id)}


def test_ports_of_a_sandbox_without_a_way_out_are_not_bound() -> None:
    scene = Scene()
    scene.do(CreateNetwork("inside", internal=True))
    scene.do(CreateSandbox("x", networks=["inside"], publish=["8080:80"]))
    assert not [item for item in objects(scene) if isinstance(item, HostPort | Route)]
    scene.do(Connect("x", "bridge"))
    assert [str(item.ports) for item in objects(scene) if isinstance(item, HostPort)] == ["8080"]


def test_a_range_of_ports_is_one_object() -> None:
    scene = Scene()
    scene.do(CreateSandbox("x", publish=["8000-8999:8000-8999"]))
    assert [str(item.ports) for item in objects(scene) if isinstance(item, HostPort)] == ["8000-8999"]


def test_an_internal_network_has_no_way_in_by_loopback() -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("inside", internal=True))
    assert network.bridge is not None
    settings = {item.name for item in objects(scene) if isinstance(item, Sysctl)}
    assert f"net.ipv4.conf.{network.bridge.name}.route_localnet" not in settings
    assert "net.ipv4.conf.docker0.route_localnet" in settings


@pytest.mark.parametrize(
    ("mtu", "has_ipv6", "expected"), [("1280", True, "0"), ("1279", True, None), ("1500", False, None)]
)
def test_a_bridge_that_could_have_ipv6_believes_no_router_advertisement(
    mtu: str, has_ipv6: bool, expected: str | None
) -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("four", options={"com.docker.network.driver.mtu": mtu}))
    assert network.bridge is not None
    planned = planner().on(HostFacts(has_ipv6=has_ipv6)).network(network)
    values = {item.name: item.value for item in planned if isinstance(item, Sysctl)}
    assert values.get(f"net.ipv6.conf.{network.bridge.name}.accept_ra") == expected


def test_without_ip_forward_no_forwarding_is_switched_on() -> None:
    scene = Scene()
    scene.do(CreateNetwork("six", ipv6=True))
    names = {item.name for item in objects(scene) if isinstance(item, Sysctl)}
    assert {"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} <= names
    kept = {item.name for item in objects(scene, Config(ip_forward=False)) if isinstance(item, Sysctl)}
    assert not {"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} & kept


@pytest.mark.parametrize(
    ("config", "facts", "dropped"),
    [
        (Config(), HostFacts(), ()),
        (Config(), HostFacts(forwards=()), (4, 6)),
        (Config(), HostFacts(forwards=(4,)), (6,)),
        (Config(), HostFacts(forwards_by_us=(4,)), (4,)),
        (Config(ip_forward=False), HostFacts(forwards=()), ()),
        (Config(ip_forward=False), HostFacts(forwards_by_us=(4, 6)), (4, 6)),
        (Config(ip_forward_no_drop=True), HostFacts(forwards=(6,), forwards_by_us=(6,)), ()),
    ],
)
def test_transit_is_dropped_in_the_families_that_only_we_forward(
    config: Config, facts: HostFacts, dropped: tuple[int, ...]
) -> None:
    held = Planner(ENGINE_ID, config, Nftables()).on(facts).base()
    forward = next(item for item in held if isinstance(item, NftChain) and item.name == "forward")
    found = [version for version in (4, 6) if any(f"nfproto ipv{version}" in rule.text for rule in forward.rules)]
    assert found == list(dropped)


def test_without_icc_every_port_of_the_bridge_is_isolated() -> None:
    scene = Scene()
    scene.do(CreateNetwork("n", options={"com.docker.network.bridge.enable_icc": "false"}))
    scene.do(CreateSandbox("x", networks=["n", "bridge"]))
    isolated = {item.bridge: item.isolated for item in objects(scene) if isinstance(item, Veth)}
    assert isolated.pop("docker0") is False
    assert list(isolated.values()) == [True]


def test_with_bridge_netfilter_the_firewall_alone_keeps_ports_apart() -> None:
    scene = Scene()
    scene.do(CreateNetwork("n", options={"com.docker.network.bridge.enable_icc": "false"}))
    scene.do(CreateSandbox("x", networks=["n"]))
    filtered = Planner(ENGINE_ID, Config(), SmallFirewall(), bridge_netfilter=True)
    assert [item.isolated for item in filtered.whole(scene.state) if isinstance(item, Veth)] == [False]


def test_ipv6_is_switched_on_where_there_is_an_ipv6_address_and_nowhere_else() -> None:
    scene = Scene()
    scene.do(CreateNetwork("six", ipv6=True))
    scene.do(CreateSandbox("x", networks=["bridge", "six"]))
    inside = {item.name: item.value for item in objects(scene) if isinstance(item, Sysctl) and item.where != HOST}
    assert inside == {"net.ipv6.conf.eth1.disable_ipv6": "0"}


def test_addresses_are_guarded_where_neighbours_could_route_to_them() -> None:
    scene = Scene()
    options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    scene.do(CreateNetwork("dual", subnets=["10.1.0.0/24", "fd00:1::/64"], ipv6=True))
    scene.do(CreateNetwork("inside", internal=True))
    scene.do(CreateNetwork("routed", options=options))
    scene.do(CreateSandbox("x", networks=["dual", "inside", "routed"]))
    guarded = {
        item.item.split(" . ")[1] for item in objects(scene) if isinstance(item, NftElement) and item.set == "guards"
    }
    assert guarded == {"10.1.0.2", "fd00:1::2"}


def test_endpoints_take_the_mtu_of_their_network() -> None:
    scene = Scene()
    scene.do(CreateNetwork("n", options={"com.docker.network.driver.mtu": "9000"}))
    scene.do(CreateSandbox("x", networks=["n"]))
    assert [item.mtu for item in objects(scene) if isinstance(item, Veth)] == [9000]


def gateway_of(scene: Scene, version: int = 4) -> str:
    endpoint = gateway_endpoint(scene.sandbox("x"), scene.state.networks, 4 if version == 4 else 6)
    return scene.state.networks[endpoint.network].name if endpoint is not None else ""


@pytest.mark.parametrize(
    ("networks", "gateway"),
    [
        ([EndpointRequest("a"), EndpointRequest("b", gw_priority=1)], "b"),
        ([EndpointRequest("a", gw_priority=-1), EndpointRequest("b")], "b"),
        ([EndpointRequest("b"), EndpointRequest("a")], "a"),
        ([EndpointRequest("a"), EndpointRequest("dual")], "dual"),
        ([EndpointRequest("a", gw_priority=1), EndpointRequest("dual")], "a"),
        ([EndpointRequest("inside", gw_priority=9), EndpointRequest("b")], "b"),
        ([EndpointRequest("inside")], ""),
    ],
    ids=["priority", "negative priority", "name", "dual stack", "priority over dual stack", "no internal", "none"],
)
def test_the_default_route_goes_by_priority_then_dockers_tie_breaks(
    networks: list[EndpointRequest], gateway: str
) -> None:
    scene = Scene()
    for name in ("a", "b"):
        scene.do(CreateNetwork(name))
    scene.do(CreateNetwork("dual", ipv6=True))
    scene.do(CreateNetwork("inside", internal=True))
    scene.do(CreateSandbox("x", networks=networks))
    assert gateway_of(scene) == gateway


def test_each_family_chooses_its_gateway_alone() -> None:
    scene = Scene()
    scene.do(CreateNetwork("four"))
    scene.do(CreateNetwork("six", ipv4=False, ipv6=True))
    scene.do(CreateSandbox("x", networks=["four", "six"], publish=["8080:80"]))
    assert (gateway_of(scene, 4), gateway_of(scene, 6)) == ("four", "six")
    routes = {str(item.destination): item.link for item in objects(scene) if isinstance(item, Route)}
    assert routes == {"0.0.0.0/0": "eth0", "::/0": "eth1"}
    served = [
        (binding.version, endpoint.ifname)
        for binding, endpoint, _ in active_bindings(scene.sandbox("x"), scene.state.networks)
    ]
    assert served == [(4, "eth0"), (6, "eth1")]


def test_published_ports_follow_the_gateway() -> None:
    scene = Scene()
    scene.do(CreateNetwork("n", subnets=["10.1.0.0/24"]))
    scene.do(CreateSandbox("x", networks=["n"], publish=["8080:80"]))
    target = {
        item.value.split(" . ")[1]
        for item in objects(scene)
        if isinstance(item, NftElement) and item.set == "published"
    }
    assert target == {"10.1.0.2"}
    scene.do(Connect("x", "bridge"))
    moved = {
        item.value.split(" . ")[1]
        for item in objects(scene)
        if isinstance(item, NftElement) and item.set == "published"
    }
    assert moved == {"172.17.0.2"}


def test_a_mark_names_the_engine_it_belongs_to() -> None:
    assert mark_engine(mark("e" * 64, "network", "n" * 64)) == "e" * 12
    assert mark_engine("somebody else") is None
    assert mark_engine("other:a:b:c") is None

"""Which networks can be created and removed, and what is chosen for them."""

from dataclasses import replace
from ipaddress import IPv4Network, ip_network

import pytest

from linkspan.model.addressing import contains
from linkspan.model.config import AddressPool, Config
from linkspan.model.errors import ConflictError, ExhaustedError, ForbiddenError, InvalidError, NotFoundError
from linkspan.model.networks import BridgeSettings, Driver, Network
from linkspan.model.requests import CreateNetwork, CreateSandbox, RemoveNetwork, RemoveSandbox, SubnetRequest
from linkspan.plan.observation import HostFacts
from tests.support.scenes import Scene

NAME = "com.docker.network.bridge.name"
MTU = "com.docker.network.driver.mtu"


def prefixes(network: Network) -> list[str]:
    return [str(subnet.prefix) for subnet in network.subnets]


def gateway(network: Network) -> str:
    return str(network.subnets[0].gateway)


def test_networks_take_dockers_pools_in_order_lowest_free_first() -> None:
    scene = Scene()
    assert prefixes(scene.network("bridge")) == ["172.17.0.0/16"]
    assert prefixes(scene.do(CreateNetwork("a"))) == ["172.18.0.0/16"]
    assert prefixes(scene.do(CreateNetwork("b"))) == ["172.19.0.0/16"]
    scene.do(RemoveNetwork("a"))
    assert prefixes(scene.do(CreateNetwork("c"))) == ["172.18.0.0/16"]
    assert prefixes(scene.do(CreateNetwork("d"))) == ["172.20.0.0/16"]


def test_31_networks_fit_and_the_next_is_refused() -> None:
    scene = Scene()
    names = [f"n{number}" for number in range(30)]
    last = [prefixes(scene.do(CreateNetwork(name))) for name in names][-1]
    assert last == ["192.168.240.0/20"]
    text = "all predefined address pools have been fully subnetted"
    scene.refuse(CreateNetwork("more"), ExhaustedError, text, field="subnets", value=None)


def test_a_chosen_subnet_avoids_routes_and_resolvers_of_the_host() -> None:
    occupied = tuple(map(ip_network, ("172.18.5.0/24", "172.19.0.53", "fd00::1")))
    scene = Scene(facts=HostFacts(occupied=occupied))
    assert prefixes(scene.do(CreateNetwork("a"))) == ["172.20.0.0/16"]


def test_a_named_subnet_may_be_one_that_the_host_has_a_route_to() -> None:
    scene = Scene(facts=HostFacts(occupied=(ip_network("10.9.0.0/16"),)))
    assert prefixes(scene.do(CreateNetwork("a", subnets=["10.9.0.0/16"]))) == ["10.9.0.0/16"]


def test_configured_pools_replace_dockers() -> None:
    scene = Scene(Config(pools=(AddressPool(IPv4Network("10.8.0.0/23"), 24),)))
    assert prefixes(scene.network("bridge")) == ["10.8.0.0/24"]
    assert prefixes(scene.do(CreateNetwork("a"))) == ["10.8.1.0/24"]
    scene.refuse(CreateNetwork("b"), ExhaustedError, field="subnets", value=None)


def test_dual_stack_gets_a_subnet_of_each_family() -> None:
    network = Scene().do(CreateNetwork("a", ipv6=True))
    assert [subnet.version for subnet in network.subnets] == [4, 6]


def test_ipv6_without_a_pool_gets_unique_local_addresses_lowest_first() -> None:
    scene = Scene()
    first, second = (scene.do(CreateNetwork(name, ipv4=False, ipv6=True)).subnets[0].prefix for name in "ab")
    assert contains(ip_network("fd00::/8"), first.network_address)
    assert first.prefixlen == 64
    assert int(second.network_address) - int(first.network_address) == 1 << 64


def test_ipv6_only_networks_have_one_subnet_with_a_gateway() -> None:
    network = Scene().do(CreateNetwork("a", ipv4=False, ipv6=True, subnets=["fd00:9::/64"]))
    assert prefixes(network) == ["fd00:9::/64"]
    assert gateway(network) == "fd00:9::1"


def test_the_order_of_subnets_in_a_request_does_not_matter() -> None:
    network = Scene().do(CreateNetwork("a", ipv6=True, subnets=["fd00:9::/64", "10.1.0.0/24"]))
    assert prefixes(network) == ["10.1.0.0/24", "fd00:9::/64"]


def test_a_subnet_left_open_keeps_the_gateway_meant_for_it() -> None:
    network = Scene().do(CreateNetwork("a", subnets=[SubnetRequest(gateway="172.18.9.9")]))
    assert (prefixes(network), gateway(network)) == (["172.18.0.0/16"], "172.18.9.9")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (SubnetRequest("10.1.0.0/24"), "10.1.0.1"),
        (SubnetRequest("10.1.0.0/24", gateway="10.1.0.254"), "10.1.0.254"),
        (SubnetRequest("10.1.0.0/24", ip_range="10.1.0.128/25"), "10.1.0.128"),
        (SubnetRequest("10.1.0.0/24", aux_addresses={"router": "10.1.0.1"}), "10.1.0.2"),
        (SubnetRequest("10.1.0.0/31"), "10.1.0.0"),
    ],
    ids=["first host", "the one named", "first of the range", "not an auxiliary one", "point to point"],
)
def test_the_gateway_is(asked: SubnetRequest, expected: str) -> None:
    assert gateway(Scene().do(CreateNetwork("a", subnets=[asked]))) == expected


def test_a_bridge_is_named_after_the_networks_id_unless_it_is_named() -> None:
    scene = Scene()
    plain = scene.do(CreateNetwork("a"))
    named = scene.do(CreateNetwork("b", options={NAME: "lan0"}))
    assert plain.bridge is not None and plain.bridge.name == f"br-{plain.id[:12]}"
    assert named.bridge is not None and named.bridge.name == "lan0"


def test_options_and_labels_are_kept_as_given_and_sorted() -> None:
    options = {MTU: "9000", "com.docker.network.bridge.enable_icc": "false"}
    network = Scene().do(CreateNetwork("a", options=options, labels={"z": "1", "a": "2"}, internal=True))
    assert network.labels == (("a", "2"), ("z", "1"))
    assert dict(network.options) == options
    assert network.bridge is not None
    assert (network.bridge.mtu, network.bridge.icc, network.internal) == (9000, False, True)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_go_spellings_of_true_are_understood(text: str) -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("a", options={"com.docker.network.bridge.enable_ip_masquerade": text}))
    assert network.bridge is not None and network.bridge.masquerade


@pytest.mark.parametrize("name", ["bridge", "host", "none", "default"])
def test_predefined_names_are_refused_in_dockers_words(name: str) -> None:
    text = f"operation is not permitted on predefined {name} network"
    Scene().refuse(CreateNetwork(name), ForbiddenError, text, field="name", value=name)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "x" * 256, "\ud800"])
def test_illegal_names_are_refused(name: str) -> None:
    Scene().refuse(CreateNetwork(name), InvalidError, "invalid network name", field="name", value=name)


def test_a_duplicate_name_is_a_conflict_in_dockers_words() -> None:
    scene = Scene()
    scene.do(CreateNetwork("a"))
    scene.refuse(CreateNetwork("a"), ConflictError, "network with name a already exists", field="name", value="a")


@pytest.mark.parametrize("driver", ["host", "null"])
def test_there_is_one_host_and_one_null_network(driver: str) -> None:
    text = f'only one instance of "{driver}" network is allowed'
    Scene().refuse(CreateNetwork("a", driver=driver), ForbiddenError, text, field="driver", value=driver)


@pytest.mark.parametrize("driver", ["macvlan", "", "Bridge", "\ud800"])
def test_an_unknown_driver_is_not_found(driver: str) -> None:
    Scene().refuse(CreateNetwork("a", driver=driver), NotFoundError, "plugin", field="driver", value=driver)


def test_a_driver_may_be_given_as_its_own_value() -> None:
    assert Scene().do(CreateNetwork("a", driver=Driver.BRIDGE)).driver is Driver.BRIDGE


def test_a_network_without_any_family_is_refused() -> None:
    request = CreateNetwork("a", ipv4=False)
    Scene().refuse(request, InvalidError, "IPv4 or IPv6 must be enabled", field="ipv4", value=False)


@pytest.mark.parametrize(
    ("subnet", "text"),
    [
        ("10.0.0.1/24", "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
        ("10.0.0.0", "not in CIDR notation"),
        ("10.0.0.0/33", "not an IPv4 or IPv6 prefix"),
        ("10.0.0.0/255.0.0.0", "not in CIDR notation"),
        ("ten/8", "not an IPv4 or IPv6 prefix"),
        ("/", "not in CIDR notation"),
    ],
)
def test_a_malformed_subnet_is_refused(subnet: str, text: str) -> None:
    Scene().refuse(CreateNetwork("a", subnets=[subnet]), InvalidError, text, field="subnet", value=subnet)


@pytest.mark.parametrize(
    "subnet", ["224.0.0.0/24", "128.0.0.0/1", "127.5.0.0/16", "0.0.0.0/8", "0.0.0.0/0", "126.0.0.0/7"]
)
def test_an_ipv4_subnet_that_no_host_may_use_is_refused(subnet: str) -> None:
    Scene().refuse(CreateNetwork("a", subnets=[subnet]), InvalidError, "not usable", field="subnet", value=subnet)


@pytest.mark.parametrize("subnet", ["ff00::/16", "::/64", "fe80::/64", "fe80::/10", "f000::/4", "::1/128"])
def test_an_ipv6_subnet_that_no_host_may_use_is_refused(subnet: str) -> None:
    request = CreateNetwork("a", ipv6=True, subnets=[subnet])
    Scene().refuse(request, InvalidError, "not usable", field="subnet", value=subnet)


@pytest.mark.parametrize("subnet", ["172.17.0.0/16", "172.17.5.0/24", "172.16.0.0/12"])
def test_an_overlapping_subnet_is_refused_in_dockers_words(subnet: str) -> None:
    text = "invalid pool request: Pool overlaps with other one on this address space"
    Scene().refuse(CreateNetwork("a", subnets=[subnet]), ForbiddenError, text, field="subnet", value=subnet)


def test_an_ip_range_is_no_way_around_the_check_for_overlaps() -> None:
    request = CreateNetwork("a", subnets=[SubnetRequest("172.17.0.0/16", ip_range="172.17.9.0/24")])
    Scene().refuse(request, ForbiddenError, "Pool overlaps", field="subnet", value="172.17.0.0/16")


def test_two_subnets_of_one_family_are_refused_in_dockers_words() -> None:
    request = CreateNetwork("a", subnets=["10.1.0.0/24", "10.2.0.0/24"])
    text = "bridge driver doesn't support multiple subnets"
    Scene().refuse(request, InvalidError, text, field="subnets", value="10.2.0.0/24")


@pytest.mark.parametrize(("subnet", "ipv4"), [("fd00:9::/64", True), ("10.1.0.0/24", False)])
def test_a_subnet_of_a_family_that_is_off_has_no_effect(subnet: str, ipv4: bool) -> None:
    network = Scene().do(CreateNetwork("a", ipv4=ipv4, ipv6=not ipv4, subnets=[subnet]))
    assert [each.version for each in network.subnets] == [4 if ipv4 else 6]


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        (SubnetRequest("10.1.0.0/24", gateway="10.2.0.1"), "gateway", "10.2.0.1"),
        (SubnetRequest("10.1.0.0/24", gateway="10.1.0.0"), "gateway", "10.1.0.0"),
        (SubnetRequest("10.1.0.0/24", gateway="10.1.0.255"), "gateway", "10.1.0.255"),
        (SubnetRequest("10.1.0.0/24", gateway="fd00::1"), "gateway", "fd00::1"),
        (SubnetRequest("10.1.0.0/24", gateway="first"), "gateway", "first"),
        (SubnetRequest("10.1.0.0/24", ip_range="10.2.0.0/25"), "ip-range", "10.2.0.0/25"),
        (SubnetRequest("10.1.0.0/24", ip_range="10.0.0.0/8"), "ip-range", "10.0.0.0/8"),
        (SubnetRequest("10.1.0.0/24", ip_range="10.1.0.9/25"), "ip-range", "10.1.0.9/25"),
        (SubnetRequest("10.1.0.0/24", ip_range="fd00::/64"), "ip-range", "fd00::/64"),
        (SubnetRequest("10.1.0.0/24", aux_addresses={"x": "10.2.0.1"}), "auxiliary address", "10.2.0.1"),
        (SubnetRequest("10.1.0.0/24", aux_addresses={"x": "10.1.0.255"}), "auxiliary address", "10.1.0.255"),
        (SubnetRequest("10.1.0.0/24", aux_addresses={"x": "?"}), "auxiliary address", "?"),
    ],
)
def test_addresses_that_do_not_fit_the_subnet_are_refused(asked: SubnetRequest, field: str, value: str) -> None:
    Scene().refuse(CreateNetwork("a", subnets=[asked]), InvalidError, f"invalid {field}", field=field, value=value)


@pytest.mark.parametrize(
    "asked",
    [
        SubnetRequest("10.1.0.0/24", gateway="10.1.0.9", aux_addresses={"x": "10.1.0.9"}),
        SubnetRequest("10.1.0.0/24", aux_addresses={"x": "10.1.0.9", "y": "10.1.0.9"}),
    ],
)
def test_an_auxiliary_address_is_nobody_elses(asked: SubnetRequest) -> None:
    request = CreateNetwork("a", subnets=[asked])
    Scene().refuse(request, ForbiddenError, "already in use", field="auxiliary address", value="10.1.0.9")


def test_a_subnet_without_an_address_for_the_gateway_is_exhausted() -> None:
    asked = SubnetRequest("10.1.0.0/30", aux_addresses={"x": "10.1.0.1", "y": "10.1.0.2"})
    request = CreateNetwork("a", subnets=[asked])
    Scene().refuse(request, ExhaustedError, "no address left for the gateway", field="subnet", value="10.1.0.0/30")


@pytest.mark.parametrize(
    "asked",
    [SubnetRequest(gateway="fd00::1"), SubnetRequest(gateway="10.1.0.1", aux_addresses={"x": "fd00::1"})],
)
def test_addresses_without_a_subnet_to_hold_them_are_refused(asked: SubnetRequest) -> None:
    request = CreateNetwork("a", subnets=[asked])
    Scene().refuse(request, InvalidError, "without a subnet", field="subnets", value=asked.gateway)


def test_text_that_cannot_be_stored_is_refused() -> None:
    scene = Scene()
    scene.refuse(CreateNetwork("a", labels={"a": "\ud800"}), InvalidError, field="labels", value="\ud800")
    aux = SubnetRequest("10.1.0.0/24", aux_addresses={"\udfff": "10.1.0.9"})
    scene.refuse(CreateNetwork("a", subnets=[aux]), InvalidError, field="aux_addresses", value="\udfff")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, "this-is-too-long"),
        (NAME, "br*"),
        (MTU, "67"),
        (MTU, "65536"),
        (MTU, "big"),
        (MTU, "\uff19\uff10\uff10\uff10"),
        (MTU, "-1"),
        ("com.docker.network.bridge.enable_icc", "yes"),
        ("com.docker.network.bridge.enable_ip_masquerade", ""),
        ("com.docker.network.bridge.host_binding_ipv4", "localhost"),
        ("com.docker.network.container_iface_prefix", "an/eth"),
        ("com.docker.network.container_iface_prefix", "thirteenchars"),
        ("com.docker.network.enable_ipv6", "perhaps"),
    ],
)
def test_an_unreadable_option_is_refused_by_its_own_name(name: str, text: str) -> None:
    Scene().refuse(CreateNetwork("a", options={name: text}), InvalidError, "invalid", field=name, value=text)


@pytest.mark.parametrize(("name", "text"), [(NAME, ""), (MTU, "0"), ("com.docker.network.container_iface_prefix", "")])
def test_an_option_can_say_that_it_is_unset(name: str, text: str) -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("a", options={name: text}))
    assert network.bridge is not None and network.options == ((name, text),)
    default = BridgeSettings(f"br-{network.id[:12]}", network.bridge.mac)
    assert network.bridge == default


def test_a_network_can_name_interfaces_its_own_way() -> None:
    scene = Scene()
    scene.do(CreateNetwork("a", options={"com.docker.network.container_iface_prefix": "lan"}))
    scene.do(CreateNetwork("b"))
    sandbox = scene.do(CreateSandbox("x", networks=["b", "a"]))
    assert [endpoint.ifname for endpoint in sandbox.endpoints] == ["eth0", "lan0"]


@pytest.mark.parametrize("mode", ["routed", "isolated", "nat-unprotected"])
def test_a_gateway_mode_that_is_not_here_is_refused(mode: str) -> None:
    name = "com.docker.network.bridge.gateway_mode_ipv4"
    Scene().refuse(CreateNetwork("a", options={name: mode}), InvalidError, "not supported", field=name, value=mode)
    assert Scene().do(CreateNetwork("a", options={name: "nat"})).bridge is not None


def test_options_of_others_are_kept_without_effect() -> None:
    network = Scene().do(CreateNetwork("a", options={"com.example.team": "blue"}))
    assert network.options == (("com.example.team", "blue"),)


@pytest.mark.parametrize("mtu", [68, 65535])
def test_the_smallest_and_the_largest_mtu_are_accepted(mtu: int) -> None:
    network = Scene().do(CreateNetwork("a", options={MTU: str(mtu)}))
    assert network.bridge is not None and network.bridge.mtu == mtu


@pytest.mark.parametrize("name", ["", "mtu", "com.docker.network.bridge.nmae"])
def test_an_unknown_option_is_refused_and_the_known_ones_are_named(name: str) -> None:
    request = CreateNetwork("a", options={name: "x"})
    error = Scene().refuse(request, InvalidError, "unknown option", field="options", value=name)
    assert error.hint is not None and NAME in error.hint


def test_ipv6_needs_an_mtu_of_1280() -> None:
    scene = Scene()
    scene.refuse(CreateNetwork("a", ipv6=True, options={MTU: "1279"}), InvalidError, "1280", field=MTU, value=1279)
    assert scene.do(CreateNetwork("a", options={MTU: "1279"})).bridge is not None


@pytest.mark.parametrize("name", ["docker0", "lan0"])
def test_a_bridge_name_belongs_to_one_network(name: str) -> None:
    scene = Scene()
    scene.do(CreateNetwork("a", options={NAME: "lan0"}))
    request = CreateNetwork("b", options={NAME: name})
    scene.refuse(request, ConflictError, f"bridge name {name} is already used", field=NAME, value=name)


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_predefined_networks_cannot_be_removed(name: str) -> None:
    text = f"{name} is a pre-defined network and cannot be removed"
    Scene().refuse(RemoveNetwork(name), ForbiddenError, text, field="network", value=name)


def test_a_network_in_use_cannot_be_removed_and_the_error_says_by_whom() -> None:
    scene = Scene()
    scene.do(CreateNetwork("a"))
    sandbox = scene.do(CreateSandbox("x", networks=["a"]))
    text = (
        f'error while removing network: network a has active endpoints (name:"x" id:"{sandbox.endpoints[0].id[:12]}")'
    )
    scene.refuse(RemoveNetwork("a"), ForbiddenError, text, field="network", value="a")
    scene.do(RemoveSandbox("x"))
    scene.do(RemoveNetwork("a"))


def test_removing_an_unknown_network_is_not_found() -> None:
    Scene().refuse(RemoveNetwork("a"), NotFoundError, "network a not found", field="network", value="a")


@pytest.mark.parametrize("part", [slice(None), slice(8)], ids=["id", "prefix of the id"])
def test_a_network_is_removed_by_name_or(part: slice) -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("a"))
    assert scene.decide(RemoveNetwork("a")).result == network
    assert scene.do(RemoveNetwork(network.id[part])) == network


def test_decisions_announce_what_docker_announces() -> None:
    scene = Scene()
    created = scene.decide(CreateNetwork("a"))
    [event] = created.events
    assert (event.type, event.action, event.actor) == ("network", "create", created.result.id)
    assert event.attributes == (("name", "a"), ("type", "bridge"))
    scene.do(CreateNetwork("b"))
    [event] = scene.decide(RemoveNetwork("b")).events
    assert (event.type, event.action) == ("network", "destroy")


def test_the_facts_a_decision_saw_do_not_outlive_it() -> None:
    scene = Scene(facts=HostFacts(occupied=(ip_network("172.18.0.0/16"),)))
    assert prefixes(scene.do(CreateNetwork("a"))) == ["172.19.0.0/16"]
    scene.context = replace(scene.context, facts=HostFacts())
    assert prefixes(scene.do(CreateNetwork("b"))) == ["172.18.0.0/16"]

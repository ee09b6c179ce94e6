"""How a sandbox joins a network: addresses, hardware addresses, names inside, and limits."""

import re
from itertools import chain, repeat

import pytest

from linkspan.engine.endpoints import BRIDGE_PORTS
from linkspan.engine.wishes import check_wish
from linkspan.model.errors import (
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    RemoveSandbox,
    SubnetRequest,
)
from linkspan.model.sandboxes import Sandbox
from tests.support.scenes import ENGINE_ID, Scene


@pytest.fixture
def scene() -> Scene:
    """Networks `n` (10.1.0.0/24), `m` (10.2.0.0/24), `dual` (10.3.0.0/24 and fd00:3::/64) and `six` (fd00:6::/64)."""
    scene = Scene()
    scene.do(CreateNetwork("n", subnets=["10.1.0.0/24"]))
    scene.do(CreateNetwork("m", subnets=["10.2.0.0/24"]))
    scene.do(CreateNetwork("dual", subnets=["10.3.0.0/24", "fd00:3::/64"], ipv6=True))
    scene.do(CreateNetwork("six", subnets=["fd00:6::/64"], ipv4=False, ipv6=True))
    return scene


def addresses(sandbox: Sandbox) -> list[str]:
    return [str(address) for endpoint in sandbox.endpoints for address in endpoint.addresses]


def join(name: str, **how: str | int) -> CreateSandbox:
    return CreateSandbox("new", networks=[EndpointRequest(name, **how)])  # type: ignore[arg-type]  # fields of both types


def test_the_default_network_is_bridge(scene: Scene) -> None:
    sandbox = scene.do(CreateSandbox("x"))
    assert addresses(sandbox) == ["172.17.0.2/16"]


def test_the_lowest_free_address_is_given_and_a_released_one_given_again(scene: Scene) -> None:
    found = [addresses(scene.do(CreateSandbox(name, networks=["n"]))) for name in "abc"]
    assert found == [["10.1.0.2/24"], ["10.1.0.3/24"], ["10.1.0.4/24"]]
    scene.do(RemoveSandbox("b"))
    assert addresses(scene.do(CreateSandbox("d", networks=["n"]))) == ["10.1.0.3/24"]


def test_every_family_of_the_network_gives_an_address(scene: Scene) -> None:
    assert addresses(scene.do(CreateSandbox("x", networks=["dual"]))) == ["10.3.0.2/24", "fd00:3::2/64"]
    assert addresses(scene.do(CreateSandbox("y", networks=["six"]))) == ["fd00:6::2/64"]


def test_dynamic_addresses_come_from_the_range(scene: Scene) -> None:
    scene.do(CreateNetwork("r", subnets=[SubnetRequest("10.9.0.0/24", "10.9.0.128/30", "10.9.0.1")]))
    found = [addresses(scene.do(CreateSandbox(f"x{n}", networks=["r"])))[0] for n in range(4)]
    assert found == ["10.9.0.128/24", "10.9.0.129/24", "10.9.0.130/24", "10.9.0.131/24"]
    network = scene.network("r")
    text = f"no available IPv4 addresses on this network's address pools: r ({network.id})"
    scene.refuse(join("r"), ExhaustedError, text, field="network", value="r")
    assert addresses(scene.do(join("r", ipv4_address="10.9.0.7"))) == ["10.9.0.7/24"]


def test_auxiliary_addresses_are_never_given(scene: Scene) -> None:
    aux = {"printer": "10.9.0.2"}
    scene.do(CreateNetwork("r", subnets=[SubnetRequest("10.9.0.0/24", aux_addresses=aux)]))
    assert addresses(scene.do(CreateSandbox("x", networks=["r"]))) == ["10.9.0.3/24"]
    scene.refuse(
        join("r", ipv4_address="10.9.0.2"),
        ForbiddenError,
        "Address already in use",
        field="ipv4_address",
        value="10.9.0.2",
    )


def test_a_full_subnet_is_exhausted(scene: Scene) -> None:
    scene.do(CreateNetwork("tiny", subnets=["10.9.0.0/30"]))
    assert addresses(scene.do(CreateSandbox("x", networks=["tiny"]))) == ["10.9.0.2/30"]
    scene.refuse(join("tiny"), ExhaustedError, "no available IPv4 addresses", field="network", value="tiny")


def test_a_static_address_is_given_as_asked(scene: Scene) -> None:
    sandbox = scene.do(join("dual", ipv4_address="10.3.0.77", ipv6_address="FD00:3:0::77"))
    assert addresses(sandbox) == ["10.3.0.77/24", "fd00:3::77/64"]


def test_a_static_address_of_one_family_leaves_the_other_to_choose(scene: Scene) -> None:
    assert addresses(scene.do(join("dual", ipv6_address="fd00:3::77"))) == ["10.3.0.2/24", "fd00:3::77/64"]


def test_a_static_address_is_fine_in_a_subnet_that_was_chosen(scene: Scene) -> None:
    scene.do(CreateNetwork("auto"))
    assert addresses(scene.do(join("auto", ipv4_address="172.18.0.77"))) == ["172.18.0.77/16"]


@pytest.mark.parametrize(
    ("network", "field", "address"),
    [
        ("n", "ipv4_address", "10.2.0.5"),
        ("six", "ipv4_address", "10.1.0.5"),
        ("n", "ipv6_address", "fd00:3::5"),
        ("dual", "ipv6_address", "fd00:4::5"),
    ],
)
def test_a_static_address_outside_the_subnet_is_refused(scene: Scene, network: str, field: str, address: str) -> None:
    text = f"no configured subnet contains IP address {address}"
    scene.refuse(join(network, **{field: address}), InvalidError, text, field=field, value=address)


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("ipv4_address", "10.1.0"),
        ("ipv4_address", "fd00:3::5"),
        ("ipv6_address", "10.3.0.5"),
        ("ipv6_address", "fd00:3::5%eth0"),
        ("ipv4_address", "10.3.0.5/24"),
        ("ipv4_address", "\ud800"),
    ],
)
def test_a_static_address_that_is_none_is_refused(scene: Scene, field: str, address: str) -> None:
    scene.refuse(join("dual", **{field: address}), InvalidError, f"invalid {field}", field=field, value=address)


@pytest.mark.parametrize("address", ["10.1.0.0", "10.1.0.255", "10.1.0.1"], ids=["network", "broadcast", "gateway"])
def test_a_reserved_address_is_in_use(scene: Scene, address: str) -> None:
    text = "Address already in use"
    scene.refuse(join("n", ipv4_address=address), ForbiddenError, text, field="ipv4_address", value=address)


def test_an_address_in_use_is_refused_and_the_hint_names_who_has_it(scene: Scene) -> None:
    scene.do(CreateSandbox("x", networks=["n"]))
    request = join("n", ipv4_address="10.1.0.2")
    error = scene.refuse(request, ForbiddenError, "Address already in use", field="ipv4_address", value="10.1.0.2")
    assert error.hint is not None and "sandbox x has 10.1.0.2" in error.hint


@pytest.mark.parametrize(("field", "address"), [("ipv4_address", "172.17.0.9"), ("ipv6_address", "fd00::9")])
def test_static_addresses_are_for_user_defined_networks(scene: Scene, field: str, address: str) -> None:
    text = "user-specified IP address is supported on user-defined networks only"
    scene.refuse(join("bridge", **{field: address}), InvalidError, text, field=field, value=address)


def test_a_hardware_address_is_given_as_asked_in_lower_case(scene: Scene) -> None:
    assert scene.do(join("n", mac_address="02-AA-BB-CC-DD-EE")).endpoints[0].mac == "02:aa:bb:cc:dd:ee"


def test_a_hardware_address_is_chosen_when_none_is_asked(scene: Scene) -> None:
    first, second = (scene.do(CreateSandbox(name, networks=["n"])).endpoints[0].mac for name in "ab")
    assert first != second


@pytest.mark.parametrize("mac", ["02:aa", "01:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "zz", " "])
def test_an_unusable_hardware_address_is_refused(scene: Scene, mac: str) -> None:
    scene.refuse(join("n", mac_address=mac), InvalidError, "invalid mac_address", field="mac_address", value=mac)


def test_interfaces_are_eth0_eth1_in_the_order_asked(scene: Scene) -> None:
    sandbox = scene.do(CreateSandbox("x", networks=["m", "n", "bridge"]))
    names = [(scene.network(endpoint.network).name, endpoint.ifname) for endpoint in sandbox.endpoints]
    assert names == [("m", "eth0"), ("n", "eth1"), ("bridge", "eth2")]


def test_a_new_interface_takes_the_lowest_free_name(scene: Scene) -> None:
    scene.do(CreateSandbox("x", networks=["m", "n"]))
    scene.do(Disconnect("x", "m"))
    assert scene.do(Connect("x", "dual")).endpoints[-1].ifname == "eth0"


def test_an_interface_name_is_given_as_asked_and_kept_from_others(scene: Scene) -> None:
    sandbox = scene.do(CreateSandbox("x", networks=[EndpointRequest("m", ifname="eth1"), "n", "dual"]))
    assert [endpoint.ifname for endpoint in sandbox.endpoints] == ["eth1", "eth0", "eth2"]


@pytest.mark.parametrize("ifname", ["eth0", "lo"])
def test_an_interface_name_in_use_is_a_conflict(scene: Scene, ifname: str) -> None:
    request = CreateSandbox("x", networks=["n", EndpointRequest("m", ifname=ifname)])
    scene.refuse(request, ConflictError, f"interface name {ifname} is already used", field="ifname", value=ifname)


@pytest.mark.parametrize("ifname", ["a/b", "x" * 16, "a b", "..", "all", "eth*"])
def test_an_illegal_interface_name_is_refused(scene: Scene, ifname: str) -> None:
    scene.refuse(join("n", ifname=ifname), InvalidError, "invalid ifname", field="ifname", value=ifname)


@pytest.mark.parametrize("priority", [2**63, -(2**63) - 1])
def test_a_priority_beyond_64_bits_is_refused(scene: Scene, priority: int) -> None:
    scene.refuse(join("n", gw_priority=priority), InvalidError, "gw_priority", field="gw_priority", value=priority)


@pytest.mark.parametrize("name", ["host", "none"])
def test_predefined_networks_without_a_bridge_are_modes(scene: Scene, name: str) -> None:
    text = f"cannot connect container to {name} network - container must be created in {name} network mode"
    scene.refuse(join(name), InvalidError, text, field="network", value=name)


def test_a_network_is_joined_once(scene: Scene) -> None:
    request = CreateSandbox("x", networks=["n", "n"])
    text = "endpoint with name x already exists in network n"
    scene.refuse(request, ForbiddenError, text, field="network", value="n")


def test_an_unknown_network_is_not_found(scene: Scene) -> None:
    scene.refuse(join("nowhere"), NotFoundError, "network nowhere not found", field="network", value="nowhere")


def test_a_bridge_holds_1023_endpoints() -> None:
    scene = Scene()
    scene.do(CreateNetwork("full"))
    for number in range(BRIDGE_PORTS):
        scene.do(CreateSandbox(f"x{number}", networks=["full"]))
    scene.refuse(join("full"), ExhaustedError, "1023 endpoints", field="network", value="full")
    assert addresses(scene.do(join("bridge")))


def test_two_pairs_never_get_one_name_on_the_host() -> None:
    same = chain(
        (f"{number:x}" * 64 for number in range(1, 6)), repeat("f" * 64, 2), ["e" * 64], repeat("f" * 64, 2), ["d" * 64]
    )
    ids = iter(same)
    scene = Scene(new_id=lambda: next(ids))
    scene.do(CreateNetwork("n"))
    sandbox = scene.do(CreateSandbox("x", networks=["n", "bridge"]))
    assert [endpoint.host_ifname for endpoint in sandbox.endpoints] == ["vethfffffff", "vetheeeeeee"]
    assert ENGINE_ID not in sandbox.id


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (EndpointRequest("n", ipv4_address="bad"), "invalid ipv4_address 'bad'"),
        (EndpointRequest("n", ipv6_address="10.1.0.9"), "not an IPv6 address"),
        (EndpointRequest("n", ipv4_address="10.9.0.9"), "no configured subnet contains IP address 10.9.0.9"),
        (EndpointRequest("n", ipv6_address="fd00::9"), "no configured subnet contains IP address fd00::9"),
        (EndpointRequest("bridge", ipv4_address="172.17.0.9"), "supported on user-defined networks only"),
        (
            EndpointRequest("bridge", aliases=["x"]),
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (EndpointRequest("bridge", links=["x"]), "network-scoped links are only supported for user-defined networks"),
        (EndpointRequest("later", ipv4_address="bad"), "invalid ipv4_address 'bad'"),
        (EndpointRequest("later", mac_address="01:00:00:00:00:01"), "not a unicast hardware address"),
        (EndpointRequest("later", aliases=["a b"]), "invalid aliases 'a b'"),
        (EndpointRequest("later", ifname="a/b"), "invalid ifname 'a/b'"),
        (EndpointRequest("later", link_local=["1.2.3.4"]), "invalid link-local IP address: 1.2.3.4"),
    ],
)
def test_what_no_network_could_give_is_known_before_there_is_a_sandbox(
    scene: Scene, wish: EndpointRequest, text: str
) -> None:
    with pytest.raises(InvalidError, match=re.escape(text)):
        check_wish(scene.state, wish)


@pytest.mark.parametrize(
    "wish",
    [
        EndpointRequest("n", ipv4_address="10.1.0.1"),  # the gateway's: somebody else's, until joining finds it so
        EndpointRequest("later", ipv4_address="10.9.0.9"),
        EndpointRequest("host"),
        EndpointRequest("bridge"),
    ],
)
def test_what_others_may_change_is_left_to_joining(scene: Scene, wish: EndpointRequest) -> None:
    check_wish(scene.state, wish)


def test_an_interface_can_have_addresses_of_its_link(scene: Scene) -> None:
    wish = EndpointRequest("n", link_local=["169.254.8.9", "fe80::8"])
    (endpoint,) = scene.do(CreateSandbox("x", networks=[wish])).endpoints
    assert [str(address) for address in endpoint.link_local] == ["169.254.8.9/16", "fe80::8/64"]
    assert endpoint.address(4) is not None and endpoint.address(6) is None


def test_who_leaves_the_network_none_can_join_others(scene: Scene) -> None:
    scene.do(CreateSandbox("x", mode="none"))
    scene.do(Disconnect("x", "none"))
    assert addresses(scene.do(Connect("x", "n"))) == ["10.1.0.2/24"]

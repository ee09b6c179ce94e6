"""From `-p` texts to bindings that collide with nobody."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from linkspan.model.config import Config
from linkspan.model.errors import ConflictError, ExhaustedError, InvalidError, UnavailableError
from linkspan.model.ports import PortRange
from linkspan.model.requests import Connect, CreateNetwork, CreateSandbox, Disconnect, Publish, RemoveSandbox, Unpublish
from linkspan.model.sandboxes import Sandbox
from linkspan.plan.observation import HostFacts
from tests.support.scenes import Scene

HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"


@pytest.fixture
def scene() -> Scene:
    """Ephemeral ports 40000-40009; networks `dual` and `six`; nothing published."""
    scene = Scene(facts=HostFacts(ephemeral=PortRange(40000, 40009)))
    scene.do(CreateNetwork("dual", ipv6=True))
    scene.do(CreateNetwork("six", ipv4=False, ipv6=True))
    scene.do(CreateNetwork("inside", internal=True))
    return scene


def bindings(sandbox: Sandbox) -> list[str]:
    return [str(binding) for binding in sandbox.ports]


def publish(scene: Scene, *texts: str, network: str = "bridge", name: str = "") -> list[str]:
    """What a new sandbox gets for these texts."""
    name = name or f"x{len(scene.state.sandboxes)}"
    return bindings(scene.do(CreateSandbox(name, networks=[network], publish=texts)))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("bridge", ["0.0.0.0:8080->80/tcp"]),
        ("dual", ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]),
        ("six", ["[::]:8080->80/tcp"]),
    ],
)
def test_an_unspecified_address_means_every_family_the_sandbox_has(
    scene: Scene, network: str, expected: list[str]
) -> None:
    assert publish(scene, "8080:80", network=network) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080:80", "127.0.0.1:8080->80/tcp"),
        ("0.0.0.0:8080:80", "0.0.0.0:8080->80/tcp"),
        ("[::]:8080:80/udp", "[::]:8080->80/udp"),
        ("[fd00::7]:8080:80/sctp", "[fd00::7]:8080->80/sctp"),
    ],
)
def test_a_named_address_is_one_binding(scene: Scene, text: str, expected: str) -> None:
    assert publish(scene, text, network="dual") == [expected]


def test_a_range_is_one_binding_port_for_port(scene: Scene) -> None:
    assert publish(scene, "8000-8999:1000-1999") == ["0.0.0.0:8000-8999->1000-1999/tcp"]


def test_the_networks_host_binding_is_the_default_address(scene: Scene) -> None:
    scene.do(CreateNetwork("local", options={HOST_BINDING: "127.0.0.1"}))
    assert publish(scene, "8080:80", network="local") == ["127.0.0.1:8080->80/tcp"]
    assert publish(scene, "0.0.0.0:9090:80", network="local") == ["0.0.0.0:9090->80/tcp"]


def test_the_engines_host_binding_is_the_default_of_every_network() -> None:
    scene = Scene(Config(host_binding=IPv4Address("10.0.0.1")))
    scene.do(CreateNetwork("n"))
    assert publish(scene, "8080:80") == ["10.0.0.1:8080->80/tcp"]
    assert publish(scene, "9090:80", network="n") == ["10.0.0.1:9090->80/tcp"]


@pytest.mark.parametrize(
    ("network", "address"),
    [("dual", "::1"), ("bridge", "::1"), ("bridge", "fd00::7"), ("bridge", "::"), ("six", "127.0.0.1")],
)
def test_what_nat_cannot_carry_is_published_all_the_same(scene: Scene, network: str, address: str) -> None:
    shown = f"[{address}]" if ":" in address else address
    assert publish(scene, f"{shown}:8080:80", network=network) == [f"{shown}:8080->80/tcp"]


@pytest.mark.parametrize(
    ("network", "address", "reason"),
    [
        ("dual", "::1", "does not route ::1"),
        ("bridge", "fd00::7", "has only IPv4"),
        ("bridge", "::", "has only IPv4"),
        ("six", "127.0.0.1", "has only IPv6"),
        ("six", "0.0.0.0", "has only IPv6"),
    ],
)
def test_without_the_userland_proxy_it_is_refused(network: str, address: str, reason: str) -> None:
    scene = Scene(Config(userland_proxy=False))
    scene.do(CreateNetwork("dual", ipv6=True))
    scene.do(CreateNetwork("six", ipv4=False, ipv6=True))
    shown = f"[{address}]" if ":" in address else address
    request = CreateSandbox("x", networks=[network], publish=[f"{shown}:8080:80"])
    error = scene.refuse(request, InvalidError, "the userland proxy", field="publish", value=address)
    assert reason in error.message
    assert error.hint


def test_sctp_that_the_relay_would_have_to_carry_is_refused_where_the_kernel_has_no_sockets_for_it() -> None:
    request = CreateSandbox("x", publish=["[::1]:8080:80/sctp"])
    error = Scene().refuse(request, UnavailableError, "no SCTP sockets", field="publish", value="::1")
    assert error.hint
    assert bindings(Scene(facts=HostFacts(sctp=True)).do(request)) == ["[::1]:8080->80/sctp"]


@pytest.mark.parametrize(
    ("facts", "config", "text", "expected"),
    [
        (HostFacts(ipv6=True), Config(), "8080:80", ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]),
        (HostFacts(ipv6=True), Config(), "127.0.0.1:8080:80", ["127.0.0.1:8080->80/tcp"]),
        (HostFacts(ipv6=False), Config(), "8080:80", ["0.0.0.0:8080->80/tcp"]),
        (HostFacts(ipv6=True), Config(userland_proxy=False), "8080:80", ["0.0.0.0:8080->80/tcp"]),
        (HostFacts(ipv6=True), Config(), "8080:80/sctp", ["0.0.0.0:8080->80/sctp"]),
    ],
    ids=["relay", "one address", "no IPv6", "no relay", "no SCTP sockets"],
)
def test_a_host_with_ipv6_is_listened_on_there_too_when_the_relay_can_carry_it(
    facts: HostFacts, config: Config, text: str, expected: list[str]
) -> None:
    assert bindings(Scene(config, facts).do(CreateSandbox("x", publish=[text]))) == expected


def test_ports_that_are_told_the_clients_address_are_marked(scene: Scene) -> None:
    sandbox = scene.do(
        CreateSandbox("x", publish=["25:25", "80:80", "90-91:90-91"], proxy_protocol=["25", "90-91/tcp"])
    )
    assert {str(b.target) for b in sandbox.ports if b.proxy_protocol} == {"25", "90-91"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("81", "no published range"),
        ("90", "no published range"),
        ("53/udp", "TCP only"),
        ("x", "is not a port"),
        ("25/icmp", "not one of tcp, udp, sctp"),
        ("", "is not a port"),
    ],
)
def test_telling_the_clients_address_to_a_port_that_is_not_published_is_refused(
    scene: Scene, text: str, reason: str
) -> None:
    request = CreateSandbox("x", publish=["25:25", "53:53/udp", "90-91:90-91"], proxy_protocol=[text])
    scene.refuse(request, InvalidError, reason, field="proxy_protocol", value=text)


def test_without_the_userland_proxy_nobody_can_tell_the_clients_address() -> None:
    request = CreateSandbox("x", publish=["25:25"], proxy_protocol=["25"])
    scene = Scene(Config(userland_proxy=False))
    scene.refuse(request, InvalidError, "userland proxy is turned off", field="proxy_protocol", value="25")


@pytest.mark.parametrize("text", ["70000:80", "80:", "x:80", "80/icmp", "1.2.3:80:80", ""])
def test_an_unreadable_text_is_refused(scene: Scene, text: str) -> None:
    request = CreateSandbox("x", publish=["9090:90", text])
    field, value = ("host address", "1.2.3") if text.startswith("1.2.3") else ("publish", text)
    scene.refuse(request, InvalidError, "invalid", field=field, value=value)


@pytest.mark.parametrize("text", ["8000-8010:80-81", "8000:80-81"])
def test_ranges_of_different_lengths_are_refused_in_dockers_words(scene: Scene, text: str) -> None:
    words = "invalid ranges specified for container and host ports"
    scene.refuse(CreateSandbox("x", publish=[text]), InvalidError, words, field="publish", value=text)


@pytest.mark.parametrize(
    ("held", "wanted", "shown", "port"),
    [
        ("8080:80", "8080:80", "0.0.0.0", 8080),
        ("127.0.0.1:8080:80", "8080:80", "0.0.0.0", 8080),
        ("8080:80", "127.0.0.1:8080:80", "127.0.0.1", 8080),
        ("8000-8100:8000-8100", "8050:80", "0.0.0.0", 8050),
        ("8050:80", "8000-8100:8000-8100", "0.0.0.0", 8050),
        ("[::]:8080:80", "[fd00::7]:8080:80", "[fd00::7]", 8080),
    ],
)
def test_a_port_in_use_is_refused_in_dockers_words(scene: Scene, held: str, wanted: str, shown: str, port: int) -> None:
    publish(scene, held, network="dual", name="holder")
    scene.do(CreateSandbox("x", networks=["dual"]))
    text = (
        f"driver failed programming external connectivity on endpoint x ({scene.sandbox('x').endpoints[0].id}): "
        f"Bind for {shown}:{port} failed: port is already allocated"
    )
    value = f"{shown.strip('[]')}:{port}/tcp"
    error = scene.refuse(Publish("x", [wanted]), ConflictError, text, field="publish", value=value)
    assert error.hint is not None and "holder has it" in error.hint


@pytest.mark.parametrize(
    ("held", "free"),
    [
        ("8080:80", "8080:80/udp"),
        ("127.0.0.1:8080:80", "127.0.0.2:8080:80"),
        ("0.0.0.0:8080:80", "[::]:8080:80"),
        ("8000-8010:8000-8010", "8011:80"),
    ],
    ids=["another protocol", "another address", "another family", "beside a range"],
)
def test_a_port_is_free_for(scene: Scene, held: str, free: str) -> None:
    publish(scene, held, network="dual")
    assert publish(scene, free, network="dual")


@pytest.mark.parametrize(
    "texts", [["8080:80", "8080:81"], ["8080:80", "127.0.0.1:8080:80"], ["8000-8001:1-2", "8001:9"]]
)
def test_one_request_does_not_take_a_port_twice(scene: Scene, texts: list[str]) -> None:
    port = 8001 if "8001:9" in texts else 8080
    address = "127.0.0.1" if "127.0.0.1" in texts[1] else "0.0.0.0"
    request = CreateSandbox("x", publish=texts)
    error = scene.refuse(
        request, ConflictError, "port is already allocated", field="publish", value=f"{address}:{port}/tcp"
    )
    assert error.hint is not None and "the same request" in error.hint


def test_ephemeral_ports_go_round_and_a_released_one_waits_its_turn(scene: Scene) -> None:
    assert publish(scene, "80", name="a") == ["0.0.0.0:40000->80/tcp"]
    scene.do(RemoveSandbox("a"))
    assert publish(scene, "80", "81", name="b") == ["0.0.0.0:40001->80/tcp", "0.0.0.0:40002->81/tcp"]
    assert publish(scene, "1-7", name="c") == ["0.0.0.0:40003-40009->1-7/tcp"]
    assert publish(scene, "80", name="d") == ["0.0.0.0:40000->80/tcp"]


def test_ephemeral_ports_avoid_what_is_published_and_what_the_host_reserves() -> None:
    facts = HostFacts(ephemeral=PortRange(40000, 40009), reserved=(PortRange(40002, 40004),))
    scene = Scene(facts=facts)
    publish(scene, "40000:80")
    publish(scene, "127.0.0.1:40001:80")
    assert publish(scene, "80") == ["0.0.0.0:40005->80/tcp"]
    assert publish(scene, "40003:80") == ["0.0.0.0:40003->80/tcp"]


def test_a_port_picked_from_a_range_does_not_move_the_ephemeral_ones(scene: Scene) -> None:
    publish(scene, "8000-8010:80")
    assert publish(scene, "81") == ["0.0.0.0:40000->81/tcp"]


def test_an_ephemeral_range_stays_within_the_ephemeral_ports(scene: Scene) -> None:
    publish(scene, *(str(port) for port in range(1, 10)), name="nine")
    scene.do(RemoveSandbox("nine"))
    assert publish(scene, "1-5") == ["0.0.0.0:40000-40004->1-5/tcp"]


def test_an_ephemeral_port_is_the_same_for_both_families(scene: Scene) -> None:
    publish(scene, "[::]:40000:80", network="dual")
    assert publish(scene, "80", network="dual") == ["0.0.0.0:40001->80/tcp", "[::]:40001->80/tcp"]


def test_a_port_of_a_range_is_the_first_free_one(scene: Scene) -> None:
    publish(scene, "8000:80")
    assert publish(scene, "8000-8002:80") == ["0.0.0.0:8001->80/tcp"]
    assert publish(scene, "8000-8002:80") == ["0.0.0.0:8002->80/tcp"]
    request = CreateSandbox("more", publish=["8000-8002:80"])
    scene.refuse(request, ExhaustedError, "all ports are allocated", field="publish", value="8000-8002")


def test_exact_ports_are_settled_before_those_that_can_move(scene: Scene) -> None:
    assert publish(scene, "8000-8001:80", "8000:81") == ["0.0.0.0:8000->81/tcp", "0.0.0.0:8001->80/tcp"]


def test_no_ephemeral_port_left_is_exhausted(scene: Scene) -> None:
    publish(scene, "40000-40009:1-10")
    request = CreateSandbox("x", publish=["80"])
    scene.refuse(request, ExhaustedError, "all ports are allocated", field="publish", value="40000-40009")


def test_picked_ports_are_told_apart_from_asked_ones(scene: Scene) -> None:
    decision = scene.decide(CreateSandbox("x", publish=["8080:80", "81", "9000-9009:82"]))
    assert {port for _, port in decision.chosen} == {40000, 9000}


def test_ports_stay_with_the_sandbox_when_it_loses_its_way_out(scene: Scene) -> None:
    scene.do(CreateSandbox("x", publish=["8080:80"]))
    scene.do(Disconnect("x", "bridge"))
    scene.do(Connect("x", "inside"))
    assert bindings(scene.sandbox("x")) == ["0.0.0.0:8080->80/tcp"]
    request = CreateSandbox("y", publish=["8080:80"])
    scene.refuse(request, ConflictError, "already allocated", field="publish", value="0.0.0.0:8080/tcp")


def test_more_ports_of_a_live_sandbox_come_behind_the_others(scene: Scene) -> None:
    scene.do(CreateSandbox("x", publish=["8080:80"]))
    assert bindings(scene.do(Publish("x", ["9090:90"]))) == ["0.0.0.0:8080->80/tcp", "0.0.0.0:9090->90/tcp"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "8080",
            ["127.0.0.1:8081->81/tcp", "0.0.0.0:53->53/udp", "[::]:53->53/udp", "0.0.0.0:9000-9009->9000-9009/tcp"],
        ),
        ("53/udp", ["0.0.0.0:8080->80/tcp", "127.0.0.1:8081->81/tcp", "0.0.0.0:9000-9009->9000-9009/tcp"]),
        ("[::]:53/udp", ["0.0.0.0:8080->80/tcp", "127.0.0.1:8081->81/tcp", "0.0.0.0:53->53/udp"]),
        ("127.0.0.1:8081", ["0.0.0.0:8080->80/tcp", "0.0.0.0:53->53/udp", "[::]:53->53/udp"]),
        ("9000-9009", ["0.0.0.0:8080->80/tcp", "127.0.0.1:8081->81/tcp", "0.0.0.0:53->53/udp", "[::]:53->53/udp"]),
    ],
)
def test_ports_are_taken_back_by_their_host_side(scene: Scene, text: str, left: list[str]) -> None:
    texts = ["0.0.0.0:8080:80", "127.0.0.1:8081:81", "53:53/udp", "0.0.0.0:9000-9009:9000-9009"]
    scene.do(CreateSandbox("x", networks=["dual"], publish=texts))
    assert set(left) <= set(bindings(scene.do(Unpublish("x", [text]))))
    assert len(scene.sandbox("x").ports) == {"53/udp": 3}.get(text, 4)


@pytest.mark.parametrize("text", ["8081", "8080/udp", "127.0.0.1:8080", "8080-8081"])
def test_taking_back_what_is_not_published_says_what_is(scene: Scene, text: str) -> None:
    scene.do(CreateSandbox("x", publish=["8080:80"]))
    error = scene.refuse(Unpublish("x", [text]), InvalidError, "does not publish", field="ports", value=text)
    assert error.hint == "it publishes 0.0.0.0:8080->80/tcp"


def test_taking_back_is_all_or_nothing(scene: Scene) -> None:
    scene.do(CreateSandbox("x", publish=["8080:80"]))
    scene.refuse(Unpublish("x", ["8080", "8080"]), InvalidError, "does not publish", field="ports", value="8080")


def test_the_holder_of_a_port_is_who_collides() -> None:
    scene = Scene()
    x = scene.do(CreateSandbox("x", publish=["127.0.0.1:8080:80"]))
    [binding] = x.ports
    held = {
        address: scene.state.port_holder(binding.protocol, ip_address(address), PortRange(8000, 8080))
        for address in ("0.0.0.0", "127.0.0.1")
    }
    assert held == {"0.0.0.0": (8080, x.id), "127.0.0.1": (8080, x.id)}
    assert scene.state.port_holder(binding.protocol, IPv4Address("127.0.0.2"), binding.host) is None
    assert scene.state.port_holder(binding.protocol, IPv6Address("::"), binding.host) is None
    assert scene.state.port_holder(binding.protocol, IPv4Address("127.0.0.1"), PortRange(8081, 8090)) is None

"""Sandboxes: modes and their conflicts, removal, connect and disconnect."""

from typing import Any

import pytest

from linkspan.model.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    Publish,
    RemoveSandbox,
    Unpublish,
)
from linkspan.model.sandboxes import Mode
from tests.support.scenes import Scene

SHARING = "container sharing network namespace with another container or host cannot be connected to any other network"


@pytest.fixture
def scene() -> Scene:
    """Networks `n` and `m`, and a sandbox `x` on the default bridge."""
    scene = Scene()
    scene.do(CreateNetwork("n"))
    scene.do(CreateNetwork("m"))
    scene.do(CreateSandbox("x"))
    return scene


@pytest.mark.parametrize("mode", ["", "bridge", "default"])
def test_the_usual_mode_is_a_namespace_on_the_default_bridge(scene: Scene, mode: str) -> None:
    sandbox = scene.do(CreateSandbox("new", mode=mode))
    assert sandbox.mode is Mode.BRIDGE
    assert [endpoint.network for endpoint in sandbox.endpoints] == [scene.network("bridge").id]


@pytest.mark.parametrize("mode", ["host", "none"])
def test_host_and_none_have_no_endpoints(scene: Scene, mode: str) -> None:
    sandbox = scene.do(CreateSandbox("new", mode=mode))
    assert (sandbox.mode, sandbox.endpoints) == (Mode(mode), ())


def test_a_mode_may_be_given_as_its_own_value(scene: Scene) -> None:
    assert scene.do(CreateSandbox("new", mode=Mode.HOST)).mode is Mode.HOST


def test_a_shared_sandbox_lives_in_the_namespace_of_another(scene: Scene) -> None:
    owner = scene.sandbox("x")
    for number, reference in enumerate((owner.name, owner.id, owner.id[:12])):
        sandbox = scene.do(CreateSandbox(f"new{number}", mode=f"container:{reference}"))
        assert (sandbox.mode, sandbox.shares) == (Mode.SHARED, owner.id)


def test_sharing_with_one_that_shares_means_the_same_namespace(scene: Scene) -> None:
    scene.do(CreateSandbox("y", mode="container:x"))
    assert scene.do(CreateSandbox("z", mode="container:y")).shares == scene.sandbox("x").id


@pytest.mark.parametrize("mode", ["Host", "container", "containers:x", "n", "\ud800", ":x"])
def test_an_unknown_mode_is_refused(scene: Scene, mode: str) -> None:
    scene.refuse(CreateSandbox("new", mode=mode), InvalidError, "invalid mode", field="mode", value=mode)


@pytest.mark.parametrize("reference", ["", "nobody", "new"])
def test_sharing_with_nobody_is_not_found(scene: Scene, reference: str) -> None:
    request = CreateSandbox("new", mode=f"container:{reference}")
    scene.refuse(request, NotFoundError, "not found", field="sandbox", value=reference)


@pytest.mark.parametrize("mode", ["host", "none", "container:x"])
def test_networks_conflict_with_every_other_mode(scene: Scene, mode: str) -> None:
    request = CreateSandbox("new", mode=mode, networks=["n"])
    scene.refuse(request, InvalidError, "conflicting options", field="networks", value=mode)


@pytest.mark.parametrize(("mode", "word"), [("host", "host"), ("none", "none"), ("container:x", "container")])
def test_publishing_conflicts_with_every_other_mode_in_dockers_words(scene: Scene, mode: str, word: str) -> None:
    text = f"conflicting options: port publishing and the {word} type network mode"
    request = CreateSandbox("new", mode=mode, publish=["8080:80"])
    scene.refuse(request, InvalidError, text, field="publish", value="8080:80")
    scene.do(CreateSandbox("new", mode=mode))
    scene.refuse(Publish("new", ["8080:80"]), InvalidError, text, field="publish", value="8080:80")


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 256, "\ud800"])
def test_illegal_names_are_refused(scene: Scene, name: str) -> None:
    scene.refuse(CreateSandbox(name), InvalidError, "invalid sandbox name", field="name", value=name)


def test_a_sandbox_can_start_without_networks_and_join_one_later() -> None:
    scene = Scene()
    alone = scene.do(CreateSandbox("x", publish=["8080:80"], unconnected=True))
    assert (alone.mode, alone.endpoints) == (Mode.BRIDGE, ())
    joined = scene.do(Connect("x", "bridge"))
    assert [endpoint.ifname for endpoint in joined.endpoints] == ["eth0"]


@pytest.mark.parametrize("wishes", [{"networks": ["bridge"]}, {"mode": "host"}, {"mode": "none"}])
def test_without_networks_means_neither_networks_nor_a_mode(wishes: dict[str, Any]) -> None:
    scene = Scene()
    scene.refuse(
        CreateSandbox("x", unconnected=True, **wishes), InvalidError, "conflicting", field="unconnected", value=True
    )


def test_a_duplicate_name_is_a_conflict_and_names_the_holder(scene: Scene) -> None:
    holder = scene.sandbox("x").id[:12]
    scene.refuse(CreateSandbox("x"), ConflictError, holder, field="name", value="x")


def test_a_sandbox_others_live_in_is_not_removed(scene: Scene) -> None:
    scene.do(CreateSandbox("y", mode="container:x"))
    scene.do(CreateSandbox("z", mode="container:x"))
    scene.refuse(RemoveSandbox("x"), ConflictError, "used by y, z", field="sandbox", value="x")
    scene.do(RemoveSandbox("y"))
    scene.do(RemoveSandbox("z"))
    scene.do(RemoveSandbox("x"))
    assert not scene.state.sandboxes


@pytest.mark.parametrize(
    "request_", [RemoveSandbox("who"), Connect("who", "n"), Disconnect("who", "n"), Publish("who", [])]
)
def test_an_unknown_sandbox_is_not_found(
    scene: Scene, request_: RemoveSandbox | Connect | Disconnect | Publish
) -> None:
    scene.refuse(request_, NotFoundError, "sandbox who not found", field="sandbox", value="who")


def test_connect_adds_an_endpoint_and_keeps_the_others(scene: Scene) -> None:
    before = scene.sandbox("x").endpoints
    after = scene.do(Connect("x", EndpointRequest("n", gw_priority=3)))
    assert after.endpoints[:-1] == before
    assert (after.endpoints[-1].network, after.endpoints[-1].priority) == (scene.network("n").id, 3)


def test_connecting_twice_is_refused_in_dockers_words(scene: Scene) -> None:
    text = "endpoint with name x already exists in network bridge"
    scene.refuse(Connect("x", "bridge"), ForbiddenError, text, field="network", value="bridge")


@pytest.mark.parametrize("mode", ["host", "container:x"])
def test_a_sandbox_in_anothers_namespace_cannot_be_connected(scene: Scene, mode: str) -> None:
    scene.do(CreateSandbox("y", mode=mode))
    scene.refuse(Connect("y", "n"), InvalidError, SHARING, field="sandbox", value="y")


def test_a_sandbox_in_mode_none_cannot_be_connected(scene: Scene) -> None:
    scene.do(CreateSandbox("y", mode="none"))
    text = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    scene.refuse(Connect("y", "n"), InvalidError, text, field="network", value="n")


def test_disconnect_takes_one_endpoint_away(scene: Scene) -> None:
    scene.do(Connect("x", "n"))
    assert [e.network for e in scene.do(Disconnect("x", "bridge")).endpoints] == [scene.network("n").id]
    assert scene.do(Disconnect("x", "n")).endpoints == ()
    assert scene.state.members(scene.network("n").id) == []


def test_a_disconnected_sandbox_can_be_connected_again(scene: Scene) -> None:
    scene.do(Disconnect("x", "bridge"))
    assert scene.do(Connect("x", "bridge")).endpoints[0].ifname == "eth0"


def test_disconnecting_what_is_not_connected_is_not_found(scene: Scene) -> None:
    scene.refuse(Disconnect("x", "n"), NotFoundError, "is not connected to network n", field="network", value="n")


def test_the_host_network_cannot_be_left(scene: Scene) -> None:
    scene.do(CreateSandbox("y", mode="host"))
    text = "cannot disconnect container from host network"
    scene.refuse(Disconnect("y", "host"), InvalidError, text, field="network", value="host")


def test_everything_is_announced_in_order(scene: Scene) -> None:
    decision = scene.decide(CreateSandbox("y", networks=["n", "m"], publish=["8080:80"]))
    assert [(event.type, event.action, dict(event.attributes)["name"]) for event in decision.events] == [
        ("sandbox", "create", "y"),
        ("network", "connect", "n"),
        ("network", "connect", "m"),
    ]
    connected = decision.events[1]
    assert connected.actor == scene.network("n").id
    assert dict(connected.attributes)["container"] == decision.result.id
    gone = scene.decide(RemoveSandbox("x")).events
    assert [(event.type, event.action) for event in gone] == [("network", "disconnect"), ("sandbox", "destroy")]
    [published] = scene.decide(Publish("x", ["8080:80"])).events
    assert dict(published.attributes)["ports"] == "0.0.0.0:8080->80/tcp"


def test_removal_frees_names_addresses_and_ports(scene: Scene) -> None:
    first = scene.do(CreateSandbox("y", networks=["n"], publish=["8080:80"]))
    scene.do(RemoveSandbox("y"))
    second = scene.do(CreateSandbox("y", networks=["n"], publish=["8080:80"]))
    assert second.endpoints[0].addresses == first.endpoints[0].addresses
    assert second.ports == first.ports
    scene.do(Unpublish("y", ["8080"]))
    assert scene.do(CreateSandbox("z", publish=["8080:80"])).ports == first.ports

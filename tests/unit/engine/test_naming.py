"""What sandboxes are called on their networks, and what they call each other."""

import pytest

from linkspan.model.dataplane import Link
from linkspan.model.errors import ConflictError, InvalidError
from linkspan.model.requests import Connect, CreateNetwork, CreateSandbox, EndpointRequest, RenameSandbox
from linkspan.model.sandboxes import Endpoint
from tests.support.scenes import Scene


@pytest.fixture
def scene() -> Scene:
    """A network `n`."""
    scene = Scene()
    scene.do(CreateNetwork("n"))
    return scene


def endpoint(scene: Scene, sandbox: str, network: str = "n") -> Endpoint:
    found = scene.sandbox(sandbox).endpoint(scene.network(network).id)
    assert found is not None
    return found


def test_the_names_are_dockers_in_dockers_order(scene: Scene) -> None:
    request = EndpointRequest("n", aliases=["www", "*.web", "www"])
    sandbox = scene.do(CreateSandbox("web", networks=[request], hostname="box"))
    assert endpoint(scene, "web").names == ("web", "www", "*.web", sandbox.id[:12], "box")


def test_a_name_in_another_case_is_no_other_name(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=[EndpointRequest("n", aliases=["WEB"])], hostname="Web", id="a" * 64))
    assert endpoint(scene, "web").names == ("web", "aaaaaaaaaaaa")


def test_a_network_that_is_connected_later_knows_the_host_name_too(scene: Scene) -> None:
    scene.do(CreateSandbox("web", hostname="box", id="a" * 64))
    scene.do(Connect("web", "n"))
    assert endpoint(scene, "web").names == ("web", "aaaaaaaaaaaa", "box")
    assert endpoint(scene, "web", "bridge").names == ()


@pytest.mark.parametrize(("field", "text"), [("aliases", "aliases"), ("links", "links")])
def test_the_default_network_has_none_in_dockers_words(scene: Scene, field: str, text: str) -> None:
    request = EndpointRequest("bridge", **{field: ["www"]})  # type: ignore[arg-type]  # two fields of one type
    words = f"network-scoped {text} are only supported for user-defined networks"
    scene.refuse(CreateSandbox("x", networks=[request]), InvalidError, words, field=field, value="www")


@pytest.mark.parametrize("alias", ["", "a b", "a..b", ".a", "a.", "*", "*.", "w*.b", "a/b", "a" * 64, "-a", "a:b"])
def test_what_nobody_can_ask_for_is_no_alias(scene: Scene, alias: str) -> None:
    request = CreateSandbox("x", networks=[EndpointRequest("n", aliases=[alias])])
    scene.refuse(request, InvalidError, "invalid aliases", field="aliases", value=alias)


@pytest.mark.parametrize(
    ("text", "alias", "name"),
    [("db:store", "store", "db"), ("db", "db", "db"), ("/db:/web/store", "store", "db"), ("absent:x", "x", "absent")],
)
def test_a_link_is_an_alias_for_a_name_of_the_network(scene: Scene, text: str, alias: str, name: str) -> None:
    scene.do(CreateSandbox("web", networks=[EndpointRequest("n", links=[text])]))
    assert endpoint(scene, "web").links == (Link(scene.network("n").id, alias, name),)


def test_a_link_by_a_full_id_leads_to_the_short_one_which_is_a_name(scene: Scene) -> None:
    db = scene.do(CreateSandbox("db", networks=["n"]))
    scene.do(CreateSandbox("web", networks=[EndpointRequest("n", links=[f"{db.id}:store"])]))
    assert endpoint(scene, "web").links[0].name == db.id[:12]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty string specified for links"),
        ("a:b:c", "bad format for links: a:b:c"),
        (":b", "bad format for links"),
    ],
)
def test_an_unreadable_link_is_refused_in_dockers_words(scene: Scene, text: str, words: str) -> None:
    request = CreateSandbox("web", networks=[EndpointRequest("n", links=[text])])
    scene.refuse(request, InvalidError, words, field="links", value=text)


def test_servers_are_addresses(scene: Scene) -> None:
    sandbox = scene.do(CreateSandbox("x", dns=["192.0.2.53", "2001:db8::53"], ndots=True))
    assert [str(server) for server in sandbox.servers] == ["192.0.2.53", "2001:db8::53"]
    assert sandbox.ndots
    scene.refuse(CreateSandbox("y", dns=["resolver"]), InvalidError, "invalid dns", field="dns", value="resolver")


def test_names_follow_the_sandbox_when_it_is_renamed(scene: Scene) -> None:
    scene.do(CreateSandbox("old", networks=[EndpointRequest("n", aliases=["www"])], id="a" * 64))
    scene.do(RenameSandbox("old", "new"))
    assert scene.sandbox("new").name == "new"
    assert endpoint(scene, "new").names == ("new", "www", "aaaaaaaaaaaa")


def test_a_rename_keeps_names_apart(scene: Scene) -> None:
    scene.do(CreateSandbox("a", networks=["n"]))
    scene.do(CreateSandbox("b", networks=["n"]))
    scene.refuse(RenameSandbox("a", "b"), ConflictError, "already in use", field="name", value="b")
    scene.refuse(RenameSandbox("a", "/"), InvalidError, "invalid sandbox name", field="name", value="/")


@pytest.mark.parametrize("text", ["web\nreboot", "\ud800", "\x1b[2J"])
def test_a_hostname_is_one_line_that_can_be_printed_and_stored(scene: Scene, text: str) -> None:
    """A plan is lines for a shell, in which the names of a sandbox are comments."""
    scene.refuse(CreateSandbox("x", hostname=text), InvalidError, "invalid hostname", field="hostname", value=text)

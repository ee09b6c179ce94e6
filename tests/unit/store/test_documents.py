"""Nouns survive being written down; what is damaged is told from what is not."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.errors import LinkspanError
from linkspan.model.networks import Network
from linkspan.model.requests import CreateNetwork, CreateSandbox, EndpointRequest, Request, SubnetRequest
from linkspan.model.sandboxes import Sandbox
from linkspan.store.documents import DocumentError, decode, encode
from tests.support.scenes import Scene
from tests.support.strategies import histories


def example() -> tuple[Network, Sandbox]:
    """A network and a sandbox with every field filled."""
    scene = Scene()
    subnet = SubnetRequest("10.1.0.0/24", "10.1.0.128/25", "10.1.0.1", {"printer": "10.1.0.9"})
    options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1", "com.docker.network.driver.mtu": "1400"}
    network = scene.do(
        CreateNetwork(
            "n", subnets=[subnet, "fd00:1::/64"], ipv6=True, options=options, labels={"ä": "\U0001f433\n\x00"}
        )
    )
    endpoint = EndpointRequest("n", gw_priority=-(2**63))
    sandbox = scene.do(
        CreateSandbox("x", networks=[endpoint], publish=["80/sctp", "[::]:8000-8001:1-2/udp"], labels={"": ""})
    )
    return network, sandbox


NETWORK, SANDBOX = example()


def test_a_network_and_a_sandbox_survive_being_written_down() -> None:
    assert decode(Network, encode(NETWORK)) == NETWORK
    assert decode(Sandbox, encode(SANDBOX)) == SANDBOX


@given(histories())
def test_everything_a_request_can_make_survives_being_written_down(history: list[Request[Any]]) -> None:
    scene = Scene()
    for request in history:
        try:
            scene.do(request)
        except LinkspanError:
            continue
    for network in scene.state.networks.values():
        assert decode(Network, encode(network)) == network
    for sandbox in scene.state.sandboxes.values():
        assert decode(Sandbox, encode(sandbox)) == sandbox


def test_a_document_from_before_names_has_none() -> None:
    scene = Scene()
    network = scene.do(CreateNetwork("n"))
    sandbox = scene.do(CreateSandbox("x", networks=["n"], publish=["8080:80"]))
    old = json.loads(encode(sandbox))
    for name in ("hostname", "servers", "ndots"):
        del old[name]
    for name in ("names", "links"):
        del old["endpoints"][0][name]
    del old["ports"][0]["proxy_protocol"]
    endpoint = replace(sandbox.endpoints[0], names=())
    assert decode(Sandbox, json.dumps(old).encode()) == replace(sandbox, endpoints=(endpoint,))
    old = json.loads(encode(network))
    del old["records"]
    assert decode(Network, json.dumps(old).encode()) == network


def test_a_document_is_json_that_people_can_read() -> None:
    document = json.loads(encode(NETWORK))
    assert document["subnets"][0]["prefix"] == "10.1.0.0/24"
    assert document["created"] == "2026-01-01T00:00:00Z"


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass"))))
def test_any_bytes_are_a_noun_or_a_document_error(document: bytes) -> None:
    with pytest.raises(DocumentError):
        decode(Network, document)
    with pytest.raises(DocumentError):
        decode(Sandbox, document)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a JSON document is."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(deeper for key, value in items for deeper in paths(value, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, whole: Network | Sandbox) -> bytes:
    """The document of a noun in which one value is another, or gone."""
    document = json.loads(encode(whole))
    path = draw(st.sampled_from(paths(document)[1:]))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = draw(JSON)
    return json.dumps(document).encode()


@given(damaged(NETWORK))
def test_a_damaged_network_is_one_that_can_be_written_or_a_document_error(document: bytes) -> None:
    try:
        network = decode(Network, document)
    except DocumentError:
        return
    assert decode(Network, encode(network)) == network


@given(damaged(SANDBOX))
def test_a_damaged_sandbox_is_one_that_can_be_written_or_a_document_error(document: bytes) -> None:
    try:
        sandbox = decode(Sandbox, document)
    except DocumentError:
        return
    assert decode(Sandbox, encode(sandbox)) == sandbox


def test_a_cut_document_is_a_document_error() -> None:
    document = encode(SANDBOX)
    for length in range(len(document)):
        with pytest.raises(DocumentError):
            decode(Sandbox, document[:length])


@pytest.mark.parametrize("document", [b"[" * 100_000, b'{"id":' * 100_000], ids=["lists", "objects"])
def test_a_bottomless_document_is_a_document_error(document: bytes) -> None:
    with pytest.raises(DocumentError):
        decode(Network, document)


def test_the_error_says_what_is_wrong_and_where() -> None:
    document = json.loads(encode(NETWORK))
    document["subnets"][0]["prefix"] = "10.1.0.5/24"
    with pytest.raises(DocumentError, match=r"a stored network cannot be read: .*document\.subnets\[0\]\.prefix"):
        decode(Network, json.dumps(document).encode())

"""Desired state and its indexes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError
from linkspan.model.networks import Driver, Network
from linkspan.model.requests import CreateNetwork, CreateSandbox, Request
from linkspan.model.state import Change, State
from tests.support.scenes import START, Scene, content
from tests.support.strategies import histories


def rebuilt(state: State) -> State:
    return State(state.networks.values(), state.sandboxes.values())


@given(histories())
def test_indexes_equal_those_of_a_freshly_built_state(history: list[Request[Any]]) -> None:
    scene = Scene()
    for request in history:
        try:
            scene.do(request)
        except LinkspanError:
            continue
    assert content(scene.state) == content(rebuilt(scene.state))


@given(histories(), st.data())
def test_the_inverse_of_any_batch_gives_the_state_back(history: list[Request[Any]], data: st.DataObject) -> None:
    scene = Scene()
    kept = rebuilt(scene.state)
    batch = Change()
    for request in history:
        try:
            change = scene.decide(request).change
        except LinkspanError:
            continue
        scene.state.apply(change)
        batch = batch.then(change)
        if data.draw(st.booleans()):
            kept.apply(batch)
            batch = Change()
    assert bool(batch) == bool(batch.networks or batch.sandboxes)
    before = content(kept)
    scene.state.apply(kept.inverse(batch))
    assert content(scene.state) == before
    kept.apply(batch)
    kept.apply(scene.state.inverse(batch))
    assert content(kept) == before


def network(id: str, name: str) -> Network:
    return Network(id, name, Driver.BRIDGE, START)


def test_a_name_may_pass_from_one_network_to_another_in_either_order() -> None:
    old, new = network("aa", "n"), network("bb", "n")
    state = State([old])
    state.apply(Change({"bb": new, "aa": None}))
    assert state.network("n") is new
    state.apply(Change({"aa": old, "bb": None}))
    assert state.network("n") is old


def test_a_reference_is_an_id_then_a_name_then_a_unique_prefix() -> None:
    first, second, third = network("abc1", "abc2"), network("abc2", "other"), network("ff00", "abc")
    state = State([first, second, third])
    assert state.network("abc1") is first
    assert state.network("abc2") is second
    assert state.network("abc") is third
    assert state.network("ff") is third


def test_an_ambiguous_prefix_is_invalid() -> None:
    state = State([network("abc1", "x"), network("abc2", "y")])
    with pytest.raises(InvalidError, match=r"network abc is ambiguous \(2 matches found on id prefix\)") as caught:
        state.network("abc")
    assert (caught.value.field, caught.value.value) == ("network", "abc")


@pytest.mark.parametrize("reference", ["", "zz", "x" * 300, "\ud800"])
def test_an_unknown_reference_is_not_found(reference: str) -> None:
    state = State([network("abc1", "x")])
    with pytest.raises(NotFoundError) as caught:
        state.network(reference)
    assert (caught.value.field, caught.value.value) == ("network", reference)
    with pytest.raises(NotFoundError) as other:
        state.sandbox(reference)
    assert (other.value.field, other.value.value) == ("sandbox", reference)


def test_the_holder_of_an_address_is_the_sandbox_that_has_it() -> None:
    scene = Scene()
    scene.do(CreateNetwork("n", subnets=["10.1.0.0/24"]))
    sandbox = scene.do(CreateSandbox("x", networks=["n"]))
    address = sandbox.endpoints[0].addresses[0].ip
    assert scene.state.holder(scene.network("n").id, address) == sandbox
    assert scene.state.holder(scene.network("n").id, address + 1) is None


def test_names_are_taken_per_kind() -> None:
    scene = Scene()
    scene.do(CreateNetwork("same"))
    scene.do(CreateSandbox("same"))
    with pytest.raises(ConflictError, match="network with name same already exists"):
        scene.state.check_names(network="same")
    with pytest.raises(ConflictError, match="already in use by sandbox"):
        scene.state.check_names(sandbox="same")

"""Wrong types at every field of every request: the cases are read off the requests themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, get_origin, get_type_hints

import pytest

from linkspan.model.errors import InvalidError
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    Publish,
    RecordRequest,
    RemoveNetwork,
    RemoveSandbox,
    RenameSandbox,
    Request,
    SetRecords,
    SubnetRequest,
    Unpublish,
)
from tests.support.scenes import Scene

VALID: list[Request[Any]] = [
    CreateNetwork("new"),
    RemoveNetwork("n"),
    CreateSandbox("new"),
    RemoveSandbox("x"),
    RenameSandbox("x", "y"),
    SetRecords("n", [RecordRequest("db", "A", "10.0.0.9")]),
    Connect("x", "n"),
    Disconnect("x", "bridge"),
    Publish("x", ["8080:80"]),
    Unpublish("x", ["9090"]),
]


@dataclass(frozen=True)
class Text:
    """Not a text, whatever it is called."""

    network: str = "n"


WRONG: dict[object, list[object]] = {
    str: [None, 5, b"n", True, ["n"], {"n": "n"}, object()],
    bool: [None, 0, 1, "true", [], object()],
    int: [None, "1", 1.5, True, [], object()],
    Sequence: ["text", None, 5, b"80", {"a": "b"}, [None], [5], [b"80"], [["80"]], [object()]],
    Mapping: ["text", None, 5, [("a", "b")], {"a": 1}, {"a": None}, {1: "b"}, {b"a": "b"}, {None: "b"}],
}
WRONG_ENDPOINTS: list[object] = [None, 5, b"n", ["n"], {"network": 5}, Text(), SubnetRequest(), object()]


def wrong(kind: object) -> list[object]:
    return WRONG.get(get_origin(kind) or kind, WRONG_ENDPOINTS)


def cases() -> Iterator[Any]:
    for request in VALID:
        for name, kind in get_type_hints(type(request)).items():
            for number, value in enumerate(wrong(kind)):
                yield pytest.param(request, name, value, id=f"{type(request).__name__}.{name}-{number}")


def nested_cases() -> Iterator[Any]:
    holders: list[tuple[Any, Any]] = [
        (SubnetRequest(), lambda subnet: CreateNetwork("new", subnets=[subnet])),
        (EndpointRequest("n"), lambda endpoint: CreateSandbox("new", networks=[endpoint])),
        (EndpointRequest("n"), lambda endpoint: Connect("x", endpoint)),
        (RecordRequest("db", "A", "10.0.0.9"), lambda record: SetRecords("n", [record])),
    ]
    for inner, hold in holders:
        for name, kind in get_type_hints(type(inner)).items():
            for number, value in enumerate(wrong(kind)):
                request = hold(replace(inner, **{name: value}))
                yield pytest.param(request, name, value, id=f"{type(request).__name__}.{name}-{number}")


@pytest.fixture
def scene() -> Scene:
    """A network `n` and a sandbox `x` on the default bridge that publishes 9090."""
    scene = Scene()
    scene.do(CreateNetwork("n"))
    scene.do(CreateSandbox("x", publish=["9090:90"]))
    return scene


@pytest.mark.parametrize("request_", VALID, ids=lambda request: type(request).__name__)
def test_the_request_the_wrong_ones_are_made_from_is_accepted(request_: Request[Any]) -> None:
    scene = Scene()
    scene.do(CreateNetwork("n"))
    scene.do(CreateSandbox("x", publish=["9090:90"]))
    assert scene.decide(request_).result


@pytest.mark.parametrize(("request_", "name", "value"), list(cases()))
def test_a_wrong_type_is_refused_by_the_name_of_its_field(
    scene: Scene, request_: Request[Any], name: str, value: object
) -> None:
    wrong_request: Request[Any] = replace(request_, **{name: value})  # type: ignore[type-var]  # every request is one
    check(scene, wrong_request, name, value)


@pytest.mark.parametrize(("request_", "name", "value"), list(nested_cases()))
def test_a_wrong_type_within_is_refused_by_the_name_of_its_field(
    scene: Scene, request_: Request[Any], name: str, value: object
) -> None:
    check(scene, request_, name, value)


def check(scene: Scene, request: Request[Any], name: str, value: object) -> None:
    with pytest.raises(InvalidError) as caught:
        scene.decide(request)
    error = caught.value
    assert error.field is not None
    assert error.field.partition("[")[0].partition(".")[0] == name
    assert error.value is value
    assert error.message.startswith(f"invalid {name}")


def test_every_request_and_every_field_is_covered() -> None:
    assert {type(request) for request in VALID} == set(Request.__subclasses__())
    covered = {(type(case.values[0]), case.values[1]) for case in cases()}
    assert covered == {(type(request), field.name) for request in VALID for field in fields(request)}  # type: ignore[arg-type]


def test_read_only_mappings_and_any_sequence_are_fine(scene: Scene) -> None:
    labels = MappingProxyType({"a": "b"})
    assert scene.do(CreateNetwork("new", labels=labels, subnets=("10.1.0.0/24",))).labels == (("a", "b"),)

"""The extra records of a network."""

from typing import Any

import pytest

from linkspan.model.dataplane import Record, RecordType
from linkspan.model.errors import ForbiddenError, InvalidError
from linkspan.model.requests import (
    CreateNetwork,
    CreateSandbox,
    RecordRequest,
    RemoveNetwork,
    RemoveSandbox,
    SetRecords,
)
from tests.support.scenes import Scene


@pytest.fixture
def scene() -> Scene:
    """A network `n`."""
    scene = Scene()
    scene.do(CreateNetwork("n"))
    return scene


GOOD = [
    (("db", "A", "10.0.0.9"), "10.0.0.9"),
    (("db", "a", " 10.0.0.9 "), "10.0.0.9"),
    (("*.db", "AAAA", "FD00:0::9"), "fd00::9"),
    (("www.shop", "CNAME", "example.com."), "example.com."),
    (("_sip._tcp", "SRV", "10 5 5060 sip.example."), "10 5 5060 sip.example."),
    (("none", "SRV", "0 0 0 ."), "0 0 0 ."),
    (("t", "TXT", "two words"), '"two words"'),
    (("t", "TXT", 'say "hi" \\ so'), '"say \\"hi\\" \\\\ so"'),
    (("t", "TXT", '"one" "two"'), '"one" "two"'),
    (("t", "TXT", "x" * 256), f'"{"x" * 255}" "x"'),
]


@pytest.mark.parametrize(("record", "value"), GOOD)
def test_a_record_is_kept_as_a_zone_file_has_it(scene: Scene, record: Any, value: str) -> None:
    name, kind, text = record
    changed = scene.do(SetRecords("n", [RecordRequest(name, kind, text, 60)]))
    assert changed.records == (Record(name, RecordType(kind.upper()), value, 60),)


BAD = [
    ("db", "MX", "10 mail"),
    ("db", "A", "fd00::9"),
    ("db", "AAAA", "10.0.0.9"),
    ("db", "CNAME", "a b"),
    ("db", "CNAME", ""),
    ("db", "SRV", "1 2 sip"),
    ("db", "SRV", "1 2 70000 sip"),
    ("db", "SRV", ""),
    ("db", "TXT", '"open'),
    ("db", "TXT", '"' + "x" * 256 + '"'),
    ("db", "TXT", "a\nb"),
]


@pytest.mark.parametrize("record", BAD)
def test_what_is_no_value_of_the_type_is_refused(scene: Scene, record: Any) -> None:
    request = SetRecords("n", [RecordRequest(*record)])
    scene.refuse(request, InvalidError, "", field="records", value=record[2])


@pytest.mark.parametrize("address", ["10.0.0", "localhost", ""])
def test_what_is_no_address_is_refused(scene: Scene, address: str) -> None:
    request = SetRecords("n", [RecordRequest("db", "A", address)])
    scene.refuse(request, InvalidError, "not an IPv4 or IPv6 address", field="records", value=address)


@pytest.mark.parametrize("ttl", [-1, 2**31])
def test_a_time_to_live_has_31_bits(scene: Scene, ttl: int) -> None:
    request = SetRecords("n", [RecordRequest("db", "A", "10.0.0.9", ttl)])
    scene.refuse(request, InvalidError, f"time to live of {ttl}", field="records", value="10.0.0.9")


def test_a_cname_stands_alone(scene: Scene) -> None:
    records = [RecordRequest("www", "CNAME", "db"), RecordRequest("WWW", "TXT", "x")]
    scene.refuse(SetRecords("n", records), InvalidError, "a CNAME has no other", field="records", value="WWW")


def test_labels_give_records_a_line_each() -> None:
    labels = {"linkspan.dns/db": "A 10.0.0.9\n\n 300 A 10.0.0.10", "other": "x"}
    network = Scene().do(CreateNetwork("n", labels=labels))
    assert [(r.name, r.value, r.ttl) for r in network.records] == [("db", "10.0.0.9", 600), ("db", "10.0.0.10", 300)]
    assert network.labels == tuple(sorted(labels.items()))


def test_a_label_that_is_no_record_is_refused() -> None:
    request = CreateNetwork("n", labels={"linkspan.dns/db": "10.0.0.9"})
    Scene().refuse(request, InvalidError, "is not a record", field="labels", value="10.0.0.9")


def test_new_records_take_the_place_of_all(scene: Scene) -> None:
    scene.do(SetRecords("n", [RecordRequest("a", "A", "10.0.0.1")]))
    scene.do(SetRecords("n", [RecordRequest("b", "A", "10.0.0.2")]))
    assert [record.name for record in scene.network("n").records] == ["b"]
    assert scene.do(SetRecords("n")).records == ()


def test_a_network_with_sandboxes_keeps_them_and_their_addresses(scene: Scene) -> None:
    first = scene.do(CreateSandbox("x", networks=["n"]))
    scene.do(SetRecords("n", [RecordRequest("a", "A", "10.0.0.1")]))
    second = scene.do(CreateSandbox("y", networks=["n"]))
    assert first.endpoints[0].addresses != second.endpoints[0].addresses
    assert scene.state.member_count(scene.network("n").id) == 2
    scene.do(RemoveSandbox("x"))
    scene.do(RemoveSandbox("y"))
    assert scene.do(RemoveNetwork("n")).id == first.endpoints[0].network


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_a_network_that_answers_no_names_takes_no_records(scene: Scene, network: str) -> None:
    scene.refuse(SetRecords(network), ForbiddenError, "answers no names", field="network", value=network)

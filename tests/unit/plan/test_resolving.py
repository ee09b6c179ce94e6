"""What the name servers are given, and what leads to them."""

from ipaddress import ip_address

import pytest

from linkspan.model.config import Config
from linkspan.model.dataplane import HostResolver, Link, NameEntry, NameZone, Record, RecordType, Resolver
from linkspan.model.requests import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    RecordRequest,
    RenameSandbox,
    SetRecords,
)
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import Redirect, mark
from linkspan.plan.operations import Operation, Verb, diff
from linkspan.plan.render import render
from linkspan.plan.topology import Planner
from tests.support.scenes import ENGINE_ID, Scene

NAMES = Config(names=True)


def planned(scene: Scene, kind: type, config: Config = NAMES) -> list[object]:
    planner = Planner(ENGINE_ID, config, Nftables())
    return [item for item in planner.whole(scene.state) if isinstance(item, kind)]


@pytest.fixture
def scene() -> Scene:
    """Networks `n`, `dual` (IPv4 and IPv6) and `inside` (internal)."""
    scene = Scene(NAMES)
    scene.do(CreateNetwork("n", subnets=["10.1.0.0/24"]))
    scene.do(CreateNetwork("dual", subnets=["10.2.0.0/24", "fd00:2::/64"], ipv6=True))
    scene.do(CreateNetwork("inside", internal=True))
    return scene


def id_of(scene: Scene, *networks: str) -> tuple[str, ...]:
    return tuple(scene.network(name).id for name in networks)


def test_user_defined_networks_have_a_zone_with_the_name_of_the_host(scene: Scene) -> None:
    zones = {zone.name: zone for zone in planned(scene, NameZone) if isinstance(zone, NameZone)}
    assert set(zones) == {"n", "dual", "inside"}
    assert zones["dual"].records == (
        Record("host.docker.internal", RecordType.A, "10.2.0.1"),
        Record("host.docker.internal", RecordType.AAAA, "fd00:2::1"),
    )


def test_the_host_can_be_reached_elsewhere(scene: Scene) -> None:
    config = Config(names=True, host_gateway=(ip_address("192.0.2.1"),))
    zone = planned(scene, NameZone, config)[0]
    assert isinstance(zone, NameZone)
    assert [record.value for record in zone.records] == ["192.0.2.1"]


def test_a_record_of_the_users_takes_the_place_of_the_hosts_name(scene: Scene) -> None:
    scene.do(SetRecords("n", [RecordRequest("HOST.docker.internal", "CNAME", "elsewhere.example.")]))
    zone = next(z for z in planned(scene, NameZone) if isinstance(z, NameZone) and z.name == "n")
    assert [record.type for record in zone.records] == [RecordType.CNAME]


def test_a_sandbox_has_its_names_on_each_network(scene: Scene) -> None:
    box = scene.do(CreateSandbox("web", networks=[EndpointRequest("n", aliases=["www"]), "dual", "bridge"]))
    owner = mark(ENGINE_ID, "sandbox", box.id)
    n, dual = id_of(scene, "n", "dual")
    assert planned(scene, NameEntry) == [
        NameEntry(n, box.id, ("web", "www", box.id[:12]), (ip_address("10.1.0.2"),), owner),
        NameEntry(dual, box.id, ("web", box.id[:12]), (ip_address("10.2.0.2"), ip_address("fd00:2::2")), owner),
    ]


def test_networks_are_searched_in_the_order_of_the_gateway(scene: Scene) -> None:
    late = EndpointRequest("dual", gw_priority=-1)
    scene.do(CreateSandbox("web", networks=["inside", "n", late, "bridge"]))
    assert resolver(scene).networks == id_of(scene, "n", "dual", "inside")


def resolver(scene: Scene) -> Resolver:
    found = planned(scene, Resolver)[0]
    assert isinstance(found, Resolver)
    return found


@pytest.mark.parametrize(
    ("networks", "forward"), [(["inside"], False), (["inside", "n"], True), (["inside", "bridge"], True)]
)
def test_only_who_has_a_way_out_has_questions_forwarded(scene: Scene, networks: list[str], forward: bool) -> None:
    scene.do(CreateSandbox("web", networks=networks))
    assert resolver(scene).forward is forward


def test_a_resolver_knows_the_links_and_servers_of_its_sandbox(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=[EndpointRequest("n", links=["db:store"])], dns=["192.0.2.53"], ndots=True))
    found = resolver(scene)
    assert found.links == (Link(scene.network("n").id, "store", "db"),)
    assert (found.servers, found.ndots) == ((ip_address("192.0.2.53"),), True)


@pytest.mark.parametrize("networks", [["bridge"], []])
def test_on_predefined_networks_there_is_no_resolver(scene: Scene, networks: list[str]) -> None:
    scene.do(CreateSandbox("web", networks=networks))
    assert planned(scene, Resolver | Redirect | NameEntry) == []  # type: ignore[arg-type]  # isinstance takes a union


def test_who_shares_a_namespace_adds_nothing_to_it(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=["n"]))
    scene.do(CreateSandbox("sidecar", mode="container:web"))
    assert len(planned(scene, Resolver)) == len(planned(scene, NameEntry)) == 1


def test_an_engine_without_names_has_none(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=["n"]))
    kinds = NameZone | NameEntry | Resolver | Redirect
    assert planned(scene, kinds, Config()) == []  # type: ignore[arg-type]  # isinstance takes a union


def test_the_host_has_a_resolver_when_it_is_asked_for() -> None:
    address = ip_address("127.0.0.76")
    expected = HostResolver(address, mark(ENGINE_ID, "engine", ENGINE_ID))
    assert planned(Scene(), HostResolver, Config(host_resolver=address)) == [expected]


def operations(scene: Scene, request: object) -> tuple[Operation, ...]:
    planner = Planner(ENGINE_ID, NAMES, Nftables())
    return planner.operations(scene.state, scene.decide(request).change)  # type: ignore[arg-type]  # any request


def test_a_rename_replaces_the_names_and_nothing_else(scene: Scene) -> None:
    scene.do(CreateSandbox("old", networks=["n"]))
    (change,) = operations(scene, RenameSandbox("old", "new"))
    assert change.verb is Verb.REPLACE
    assert isinstance(change.object, NameEntry)
    assert change.object.names[0] == "new"


def test_records_replace_the_zone_and_nothing_else(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=["n"]))
    (change,) = operations(scene, SetRecords("n", [RecordRequest("db", "A", "10.0.0.9")]))
    assert (change.verb, type(change.object)) == (Verb.REPLACE, NameZone)


def test_names_come_after_the_links_of_a_sandbox_and_go_before_them(scene: Scene) -> None:
    kinds = [type(operation.object).__name__ for operation in operations(scene, CreateSandbox("web", networks=["n"]))]
    assert kinds[-3:] == ["Redirect", "NameEntry", "Resolver"]
    scene.do(CreateSandbox("web", networks=["n"]))
    gone = operations(scene, Disconnect("web", "n"))
    assert [type(operation.object).__name__ for operation in gone][:2] == ["Resolver", "NameEntry"]
    assert not next(operation for operation in gone if isinstance(operation.object, Redirect)).implied


def test_the_first_network_with_names_brings_the_resolver(scene: Scene) -> None:
    scene.do(CreateSandbox("web"))
    added = {type(op.object).__name__ for op in operations(scene, Connect("web", "n")) if op.verb is Verb.ADD}
    assert {"Redirect", "Resolver", "NameEntry"} <= added


def test_a_redirect_goes_with_its_namespace_and_a_resolver_has_to_be_closed(scene: Scene) -> None:
    scene.do(CreateSandbox("web", networks=["n"]))
    planner = Planner(ENGINE_ID, NAMES, Nftables())
    gone = diff(planner.sandbox(scene.sandbox("web"), scene.state.networks), ())
    assert {type(op.object).__name__: op.implied for op in gone if isinstance(op.object, Redirect | Resolver)} == {
        "Redirect": True,
        "Resolver": False,
    }


def test_what_is_served_is_printed_as_remarks_and_what_leads_there_as_nft() -> None:
    lines = render(
        [
            Operation(Verb.ADD, NameZone("n", "shop", "o", (Record("db", RecordType.A, "10.0.0.9"),))),
            Operation(Verb.REPLACE, NameEntry("n", "s", ("web", "www"), (ip_address("10.0.0.2"),), "o")),
            Operation(Verb.REMOVE, Resolver("5" * 64, ("n",), "o")),
            Operation(Verb.ADD, HostResolver(ip_address("127.0.0.76"), "o")),
            Operation(Verb.REMOVE, Redirect("5" * 64, "o")),
        ]
    )
    assert lines == [
        "# serve names of network shop",
        "#   db 600 A 10.0.0.9",
        "# serve from now on names web www: 10.0.0.2",
        "# stop serving resolver in 555555555555 at 127.0.0.11:61053",
        "# serve names of sandboxes for the host at 127.0.0.76:53",
        "ip netns exec 555555555555 nft 'delete table inet linkspan-names'",
    ]

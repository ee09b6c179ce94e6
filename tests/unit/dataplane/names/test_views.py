"""What a sandbox and the host see of the names of networks."""

from ipaddress import ip_address

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from linkspan.dataplane.names.labels import labels, text
from linkspan.dataplane.names.messages import Rcode, Type
from linkspan.dataplane.names.views import HostView, SandboxView, View
from linkspan.dataplane.names.zones import Zones
from linkspan.model.dataplane import Link, NameEntry, NameZone, Record, RecordType, Resolver
from linkspan.model.errors import InvalidError

SHOP, BACK = "1" * 64, "2" * 64


def entry(network: str, sandbox: str, names: str, *addresses: str) -> NameEntry:
    return NameEntry(network, sandbox, tuple(names.split()), tuple(map(ip_address, addresses)), "me")


def zones(*values: NameZone | NameEntry) -> Zones:
    found = Zones()
    for value in (NameZone(SHOP, "shop", "me"), NameZone(BACK, "back.end", "me"), *values):
        found.put(value)
    return found


def seen(found: Zones, *networks: str, links: tuple[Link, ...] = (), ndots: bool = False) -> SandboxView:
    return SandboxView(found, Resolver("box", networks or (SHOP,), "me", links, ndots=ndots))


def asked(view: View, name: str, kind: Type = Type.A) -> list[str] | None:
    """The data of the answers in presentation form; None when the names say nothing."""
    wire = labels(name.lower())
    assert wire is not None
    found = view.find(wire, kind)
    if found is None:
        return None
    onward = [f"onward {text(found.onward)}"] if found.onward else []
    return [_shown(answer.type, answer.data) for answer in found.answers] + onward


def _shown(kind: int, data: bytes) -> str:
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind), data, 0, len(data)).to_text()


WEB = entry(SHOP, "s1", "web www 0123456789ab", "10.1.0.2", "fd00::2")


@pytest.mark.parametrize("name", ["web", "www", "0123456789ab", "WeB", "web.shop", "WWW.Shop"])
def test_every_name_of_a_sandbox_is_known_alone_and_with_its_network(name: str) -> None:
    view = seen(zones(WEB))
    assert (asked(view, name), asked(view, name, Type.AAAA)) == (["10.1.0.2"], ["fd00::2"])


@pytest.mark.parametrize("name", ["other", "web.back", "shop", "web.shop.shop", "a.web"])
def test_other_names_are_not(name: str) -> None:
    assert asked(seen(zones(WEB)), name) is None


def test_the_network_of_a_qualified_name_may_have_dots() -> None:
    view = seen(zones(entry(BACK, "s1", "a.db db", "10.2.0.2")), BACK)
    assert asked(view, "db.back.end") == asked(view, "a.db.back.end") == ["10.2.0.2"]
    assert asked(view, "db.end") is None


def test_a_whole_name_wins_over_a_qualified_one() -> None:
    view = seen(zones(WEB, entry(BACK, "s2", "web.shop", "10.2.0.2")), SHOP, BACK)
    assert asked(view, "web.shop") == ["10.2.0.2"]


def test_names_are_visible_on_shared_networks_only() -> None:
    found = zones(WEB, entry(BACK, "s2", "db", "10.2.0.2"))
    assert asked(seen(found, SHOP), "db") is None
    assert asked(seen(found, SHOP, BACK), "db") == ["10.2.0.2"]


def test_the_first_network_that_has_such_an_address_answers() -> None:
    found = zones(entry(SHOP, "s1", "web", "10.1.0.2"), entry(BACK, "s1", "web", "10.2.0.2", "fd00:2::2"))
    assert asked(seen(found, SHOP, BACK), "web") == ["10.1.0.2"]
    assert asked(seen(found, BACK, SHOP), "web") == ["10.2.0.2"]
    assert asked(seen(found, SHOP, BACK), "web", Type.AAAA) == ["fd00:2::2"]


def test_a_known_name_without_such_a_record_is_answered_empty() -> None:
    view = seen(zones(entry(SHOP, "s1", "web", "10.1.0.2")))
    assert asked(view, "web", Type.AAAA) == asked(view, "web", Type.TXT) == []


def test_a_name_of_several_sandboxes_stands_for_all_of_them() -> None:
    view = seen(zones(entry(SHOP, "s1", "web", "10.1.0.2"), entry(SHOP, "s2", "web", "10.1.0.3")))
    assert asked(view, "web") == ["10.1.0.2", "10.1.0.3"]


def test_names_change_and_vanish_with_their_sandbox() -> None:
    found = zones(WEB, entry(SHOP, "s2", "www", "10.1.0.3"))
    view = seen(found)
    found.put(entry(SHOP, "s1", "app www", "10.1.0.4"))
    assert (asked(view, "web"), asked(view, "app"), asked(view, "www")) == (
        None,
        ["10.1.0.4"],
        ["10.1.0.3", "10.1.0.4"],
    )
    found.drop(("name", SHOP, "s1"))
    assert (asked(view, "app"), asked(view, "www")) == (None, ["10.1.0.3"])
    assert asked(view, "4.0.1.10.in-addr.arpa", Type.PTR) is None


def test_a_link_is_a_name_of_one_sandbox_alone_and_comes_first() -> None:
    found = zones(WEB, entry(SHOP, "s2", "db", "10.1.0.3"))
    linked = seen(found, links=(Link(SHOP, "Store", "db"), Link(SHOP, "web", "db")))
    assert asked(linked, "store") == asked(linked, "web") == asked(linked, "store.shop") == ["10.1.0.3"]
    assert asked(seen(found), "store") is None


def test_addresses_lead_to_the_first_name_and_its_network() -> None:
    view = seen(zones(WEB))
    assert asked(view, "2.0.1.10.in-addr.arpa", Type.PTR) == ["web.shop."]
    assert asked(view, ".".join("200000000000000000000000000000df") + ".ip6.arpa", Type.PTR) == ["web.shop."]
    assert asked(view, "9.0.1.10.in-addr.arpa", Type.PTR) is None


def test_a_star_stands_for_every_name_below_and_yields_to_names() -> None:
    view = seen(zones(entry(SHOP, "s1", "*.web", "10.1.0.2"), entry(SHOP, "s2", "own.web", "10.1.0.3")))
    assert asked(view, "a.web") == asked(view, "a.b.web") == asked(view, "a.web.shop") == ["10.1.0.2"]
    assert asked(view, "own.web") == ["10.1.0.3"]
    assert asked(view, "web") is None


def recorded(*records: Record) -> Zones:
    return zones(NameZone(SHOP, "shop", "me", records), WEB)


def test_extra_records_are_names_like_others() -> None:
    view = seen(
        recorded(
            Record("mail", RecordType.A, "192.0.2.1"),
            Record("mail", RecordType.AAAA, "2001:db8::1"),
            Record("Note.Example", RecordType.TXT, '"a b" c'),
        )
    )
    assert asked(view, "mail") == asked(view, "mail.shop") == ["192.0.2.1"]
    assert asked(view, "mail", Type.AAAA) == ["2001:db8::1"]
    assert asked(view, "note.example", Type.TXT) == ['"a b" "c"']
    assert asked(view, "note.example") == []


def test_a_cname_leads_on_within_the_names_and_beyond() -> None:
    view = seen(
        recorded(
            Record("front", RecordType.CNAME, "second"),
            Record("second", RecordType.CNAME, "web"),
            Record("out", RecordType.CNAME, "www.example.com."),
        )
    )
    assert asked(view, "front") == ["second.", "web.", "10.1.0.2"]
    assert asked(view, "front", Type.CNAME) == ["second."]
    assert asked(view, "out") == ["www.example.com.", "onward www.example.com"]


def test_a_circle_of_cnames_is_a_failure_and_ends() -> None:
    view = seen(recorded(Record("a", RecordType.CNAME, "b"), Record("b", RecordType.CNAME, "a")))
    found = view.find(b"\1a", Type.A)
    assert found is not None and (found.code, found.answers) == (Rcode.SERVFAIL, ())


def test_srv_brings_the_addresses_of_its_hosts() -> None:
    view = seen(
        recorded(
            Record("_http._tcp", RecordType.SRV, "1 2 80 web"),
            Record("_http._tcp", RecordType.SRV, "1 2 81 x.example."),
        )
    )
    found = view.find(labels("_http._tcp") or b"", Type.SRV)
    assert found is not None
    assert [_shown(each.type, each.data) for each in found.answers] == ["1 2 80 web.", "1 2 81 x.example."]
    assert [(text(each.owner), _shown(each.type, each.data)) for each in found.additional] == [
        ("web", "10.1.0.2"),
        ("web", "fd00::2"),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(RecordType.A, "fd00::1"), (RecordType.SRV, "1 2 web"), (RecordType.CNAME, "a..b"), (RecordType.TXT, '"')],
)
def test_a_record_that_is_none_is_refused_and_nothing_changes(kind: RecordType, value: str) -> None:
    found = recorded(Record("mail", RecordType.A, "192.0.2.1"))
    with pytest.raises(InvalidError, match="bad"):
        found.put(NameZone(SHOP, "other", "me", (Record("bad", kind, value),)))
    assert asked(seen(found), "mail.shop") == ["192.0.2.1"]


def test_records_go_with_their_zone_and_addresses_stay() -> None:
    found = recorded(Record("web", RecordType.TXT, "x"))
    found.drop(("zone", SHOP))
    view = seen(found)
    assert (asked(view, "web"), asked(view, "web", Type.TXT), asked(view, "web.shop")) == (["10.1.0.2"], [], None)


def test_names_of_one_label_stay_here_when_the_user_chose_ndots() -> None:
    view = seen(zones(WEB), ndots=True)
    assert asked(view, "unknown") == asked(view, "unknown", Type.AAAA) == []
    assert asked(view, "unknown", Type.TXT) is asked(view, "unknown.example") is None


def test_names_that_dns_cannot_carry_do_not_hinder_the_others() -> None:
    view = seen(zones(entry(SHOP, "s1", f"{'x' * 64} web", "10.1.0.2")))
    assert asked(view, "web") == ["10.1.0.2"]
    assert asked(view, "2.0.1.10.in-addr.arpa", Type.PTR) == ["web.shop."]


def test_the_host_sees_every_network_under_its_domain() -> None:
    view = HostView(zones(WEB, entry(BACK, "s2", "db *.db", "10.2.0.2")))
    assert asked(view, "web.shop.linkspan") == ["10.1.0.2"]
    assert asked(view, "db.back.end.linkspan") == asked(view, "a.db.back.end.linkspan") == ["10.2.0.2"]
    assert asked(view, "2.0.1.10.in-addr.arpa", Type.PTR) == ["web.shop.linkspan."]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("linkspan", Rcode.NOERROR),
        ("shop.linkspan", Rcode.NOERROR),
        ("end.linkspan", Rcode.NOERROR),
        ("web.linkspan", Rcode.NXDOMAIN),
        ("none.shop.linkspan", Rcode.NXDOMAIN),
    ],
)
def test_the_host_is_told_which_names_of_the_domain_exist(name: str, code: Rcode) -> None:
    found = HostView(zones(WEB)).find(labels(name) or b"", Type.A)
    assert found is not None and (found.code, found.answers) == (code, ())


@pytest.mark.parametrize("name", ["web", "web.shop", "example.com", "9.9.9.9.in-addr.arpa"])
def test_the_host_learns_nothing_else(name: str) -> None:
    assert asked(HostView(zones(WEB)), name, Type.PTR) is None

"""The nftables backend: what varies is an element, and the rules say what membership means."""

import re
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from linkspan.plan.firewall import Published, Transit, Zone
from linkspan.plan.nftables import Nftables, comment
from linkspan.plan.objects import NftChain, NftElement, NftRule, NftSet
from tests.support.intents import GUARDS, OWNER, PORTS, ZONES, port, zone

BACKEND = Nftables()
CHAINS = {item.name: item for item in BACKEND.base(OWNER) if isinstance(item, NftChain)}
SETS = {item.name: item for item in BACKEND.base(OWNER) if isinstance(item, NftSet)}


def published(wish: Published) -> list[tuple[str, str, str]]:
    return [(e.set, e.item, e.value) for e in BACKEND.published(wish) if isinstance(e, NftElement)]


def memberships(wish: Zone) -> set[tuple[str, str]]:
    return {(e.set, e.item) for e in BACKEND.zone(wish) if isinstance(e, NftElement)}


def texts(chain: str) -> list[str]:
    return [rule.text for rule in CHAINS[chain].rules]


def first(rules: Iterable[str], part: str) -> int:
    return next(place for place, rule in enumerate(rules) if part in rule)


def test_a_port_of_every_address_is_found_by_protocol_and_port_alone() -> None:
    assert published(port("8080")) == [("anyports4", "tcp . 8080", "172.17.0.4 . 80")]
    assert published(port("8080", address="::")) == [("anyports6", "tcp . 8080", "fd17::4 . 80")]


def test_a_port_of_one_address_is_found_by_that_address() -> None:
    assert published(port("53", "53", address="127.0.0.1", protocol="udp")) == [
        ("ports4", "127.0.0.1 . udp . 53", "172.17.0.4 . 53")
    ]


def test_a_range_that_is_not_shifted_is_one_element() -> None:
    assert published(port("20000-20999", "20000-20999")) == [("ranges4", "0.0.0.0/0 . tcp . 20000-20999", "172.17.0.4")]
    assert published(port("7-8", "7-8", address="2001:db8::1", protocol="sctp")) == [
        ("ranges6", "2001:db8::1 . sctp . 7-8", "fd17::4")
    ]


def test_a_shifted_range_goes_port_for_port() -> None:
    assert published(port("8000-8001", "9000-9001")) == [
        ("anyports4", "tcp . 8000", "172.17.0.4 . 9000"),
        ("anyports4", "tcp . 8001", "172.17.0.4 . 9001"),
    ]


def test_a_port_of_the_ipv6_loopback_is_left_to_the_relay() -> None:
    assert published(port("8080", address="::1")) == []


def test_an_internal_network_is_never_masqueraded_and_needs_no_hairpin() -> None:
    assert memberships(zone("br0", internal=True)) == {
        ("bridges", '"br0"'),
        ("internal", '"br0"'),
        ("icc", '"br0" . "br0"'),
    }


def test_a_network_without_icc_is_not_in_the_set_of_those_with_it() -> None:
    assert ("icc", '"docker0" . "docker0"') in memberships(zone())
    assert not any(name == "icc" for name, _ in memberships(zone(icc=False)))


def test_a_network_without_masquerading_keeps_its_hairpin() -> None:
    names = {name for name, _ in memberships(zone(masquerade=False))}
    assert names == {"bridges", "icc", "hairpin4", "hairpin6"}


def test_an_endpoint_needs_no_element() -> None:
    assert not [item for guard in GUARDS for item in BACKEND.guard(guard)]


def test_every_element_belongs_to_a_set_of_the_base_and_carries_its_owner() -> None:
    made = [item for wish in ZONES for item in BACKEND.zone(wish)]
    made += [item for wish in PORTS for item in BACKEND.published(wish)]
    elements = [item for item in made if isinstance(item, NftElement)]
    assert len(elements) == len(made)
    for element in elements:
        assert bool(element.value) == bool(SETS[element.set].data)
        assert element.owner.startswith("linkspan:eeeeeeeeeeee:")


def test_rules_use_only_sets_of_the_base_and_use_all_of_them() -> None:
    text = " ".join(rule for chain in CHAINS for rule in texts(chain))
    assert {word[1:] for word in text.split() if word.startswith("@")} == set(SETS)


def test_what_enters_our_networks_and_was_not_accepted_before_is_dropped_last() -> None:
    rules = texts("forward")
    assert rules[-1] == "oifname @bridges counter drop"
    assert first(rules, "established") == 0


def test_an_internal_network_is_closed_before_published_ports_are_open() -> None:
    rules = texts("forward")
    assert first(rules, "iifname @internal") < first(rules, "ct status dnat")
    assert first(rules, "oifname @internal") < first(rules, "ct status dnat")


def test_the_address_of_a_client_is_hidden_only_from_its_own_subnet_and_from_the_world() -> None:
    hiding = [rule for rule in texts("postrouting") if "masquerade" in rule.split()]
    assert len(hiding) == 5
    assert all("@hairpin" in r or "oifname != @bridges" in r or "saddr 127.0.0.0/8" in r for r in hiding)
    assert all("ct status dnat" in rule for rule in hiding if "@hairpin" in rule)


def test_both_families_have_the_same_rules_but_for_addresses_that_cannot_be_forwarded() -> None:
    def rules(version: int, word: str) -> set[str]:
        sets = [rule for chain in CHAINS for rule in texts(chain) if re.search(rf"@\w+{version}\b", rule)]
        return {re.sub(rf"(@\w+){version}\b", r"\1", rule).replace(f"{word} ", "ip ") for rule in sets}

    assert rules(4, "ip") == rules(6, "ip6")
    assert len(rules(4, "ip")) == 5


def test_every_rule_fits_its_comment() -> None:
    comments = [comment(rule) for chain in CHAINS.values() for rule in chain.rules]
    assert all(len(text.encode()) <= 128 and '"' not in text for text in comments)


@given(st.text(), st.text())
def test_a_comment_tells_rules_apart(one: str, other: str) -> None:
    assert (comment(NftRule(one, "a")) == comment(NftRule(other, "a"))) == (one == other)
    assert comment(NftRule(one, "why"))[:5] == "why #"


def test_what_touches_none_of_our_bridges_is_dropped_at_last_in_the_families_that_only_we_forward() -> None:
    for dropped in ((), (4,), (6,), (4, 6)):
        chains = {item.name: item for item in Nftables(Transit(dropped)).base(OWNER) if isinstance(item, NftChain)}
        added = chains["forward"].rules[len(CHAINS["forward"].rules) :]
        assert chains["forward"].rules == CHAINS["forward"].rules + added
        assert [rule.text.split()[2] for rule in added] == [f"ipv{version}" for version in dropped]
        assert {name for name in CHAINS if chains[name] != CHAINS[name]} == ({"forward"} if dropped else set())

"""The iptables backend: Docker's layout, in the order in which the rules end up."""

import pytest

from linkspan.model.addressing import VERSIONS, Version
from linkspan.plan.firewall import Firewall, Transit
from linkspan.plan.iptables import FIRST, OURS, TRANSIT, Iptables, claim
from linkspan.plan.objects import FirewallObject, IptablesChain, IptablesRule
from linkspan.plan.operations import Operation, Verb, diff
from linkspan.plan.ruleset import IptablesCommand, iptables_commands, restore_input
from tests.support.intents import ENGINE, OWNER, everything, port, zone

PROXY, NAT = Iptables(userland_proxy=True), Iptables(userland_proxy=False)
OTHER = "br-222222222222"


def perform(commands: list[IptablesCommand]) -> dict[tuple[str, str], list[str]]:
    """What `iptables-save` would print for each chain."""
    held: dict[tuple[str, str], list[str]] = {}
    for command in commands:
        verb, chain, *rest = command.text.split(maxsplit=2)
        rules = held.setdefault((command.table, chain), [])
        if verb == "-A":
            rules.append(rest[0])
        elif verb == "-I":
            rules.insert(0, rest[0])
        elif verb == "-D":
            rules.remove(rest[0])
    return held


def chain(objects: list[FirewallObject], table: str, name: str, version: Version = 4) -> list[str]:
    return perform(iptables_commands(diff((), objects), version)).get((table, name), [])


@pytest.fixture
def story() -> list[FirewallObject]:
    return everything(PROXY, [zone()], [port("8080")])


def test_nat_has_the_rules_of_the_story_in_the_order_of_the_story(story: list[FirewallObject]) -> None:
    assert chain(story, "nat", "PREROUTING") == ["-m addrtype --dst-type LOCAL -j DOCKER"]
    assert chain(story, "nat", "OUTPUT") == ["! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER"]
    assert chain(story, "nat", "POSTROUTING") == [
        "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-s 172.17.0.4/32 -d 172.17.0.4/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
    ]
    assert chain(story, "nat", "DOCKER") == [
        "-i docker0 -j RETURN",
        "! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.4:80",
    ]


def test_the_filter_has_dockers_chains_in_dockers_order(story: list[FirewallObject]) -> None:
    assert chain(story, "filter", "FORWARD") == [
        "-j DOCKER-USER",
        "-j DOCKER-ISOLATION-STAGE-1",
        "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-o docker0 -j DOCKER",
        "-i docker0 ! -o docker0 -j ACCEPT",
        "-i docker0 -o docker0 -j ACCEPT",
    ]
    assert chain(story, "filter", "DOCKER-ISOLATION-STAGE-1") == [
        "-i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
        "-j RETURN",
    ]
    assert chain(story, "filter", "DOCKER-ISOLATION-STAGE-2") == [
        "-m conntrack --ctstate DNAT -j RETURN",
        "-o docker0 -j DROP",
        "-j RETURN",
    ]
    assert chain(story, "filter", "DOCKER") == [
        "-d 172.17.0.4/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"
    ]


def test_a_neighbour_who_routes_to_a_sandbox_is_turned_away_before_tracking(story: list[FirewallObject]) -> None:
    assert "-d 172.17.0.4/32 ! -i docker0 -j DROP" in chain(story, "raw", "PREROUTING")
    assert chain(story, "raw", "PREROUTING", 6) == ["-d fd17::4/128 ! -i docker0 -j DROP"]


@pytest.mark.parametrize("firewall", [PROXY, NAT])
def test_nobody_but_the_host_uses_its_loopback_addresses(firewall: Firewall) -> None:
    rules = chain(everything(firewall), "raw", "PREROUTING")
    assert rules[:2] == ["-d 127.0.0.0/8 ! -i lo -j DROP", "-s 127.0.0.0/8 ! -i lo -j DROP"]


def test_ipv6_targets_are_bracketed_and_link_local_clients_are_left_alone() -> None:
    rules = chain(everything(PROXY, [zone()], [port("8080", address="::")]), "nat", "DOCKER", 6)
    assert rules[1] == "! -s fe80::/10 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd17::4]:80"


def test_a_port_of_one_address_is_translated_for_that_address() -> None:
    rules = chain(everything(PROXY, [zone()], [port("53", "53", address="127.0.0.1", protocol="udp")]), "nat", "DOCKER")
    assert rules[1].startswith("-d 127.0.0.1/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT")


def test_a_range_that_is_not_shifted_keeps_the_port_and_takes_one_rule() -> None:
    rules = chain(everything(PROXY, [zone()], [port("20000-20999", "20000-20999")]), "nat", "DOCKER")
    assert rules[1:] == ["! -i docker0 -p tcp -m tcp --dport 20000:20999 -j DNAT --to-destination 172.17.0.4"]


def test_a_shifted_range_goes_port_for_port() -> None:
    objects = everything(PROXY, [zone()], [port("8000-8001", "9000-9001")])
    assert [rule.split("--dport ")[1] for rule in chain(objects, "nat", "DOCKER")[1:]] == [
        "8000 -j DNAT --to-destination 172.17.0.4:9000",
        "8001 -j DNAT --to-destination 172.17.0.4:9001",
    ]
    assert "--dport 9000:9001 -j ACCEPT" in chain(objects, "filter", "DOCKER")[0]


def test_a_port_of_another_network_is_translated_for_sandboxes_of_the_default_one() -> None:
    rules = chain(everything(PROXY, [zone(), zone(OTHER, 18)], [port("80", bridge=OTHER), port("81")]), "nat", "DOCKER")
    assert ["RETURN" in rule for rule in rules] == [False, True, False]
    assert rules[0].startswith(f"! -i {OTHER} ")


def test_an_internal_network_is_closed_in_both_directions_whatever_was_translated() -> None:
    objects = everything(PROXY, [zone("br0", internal=True)], [])
    assert chain(objects, "filter", "DOCKER-ISOLATION-STAGE-1") == [
        "! -i br0 -o br0 -j DROP",
        "-i br0 ! -o br0 -j DROP",
        "-j RETURN",
    ]
    assert not any("br0" in rule for rule in chain(objects, "filter", "DOCKER-ISOLATION-STAGE-2"))
    assert chain(objects, "nat", "POSTROUTING") == []


def test_without_masquerading_the_filter_keeps_strangers_out() -> None:
    objects = everything(PROXY, [zone("br0", masquerade=False)], [port("80", bridge="br0")])
    assert chain(objects, "filter", "DOCKER-ISOLATION-STAGE-1")[0] == (
        "! -i br0 -o br0 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    )
    assert not any("! -o br0" in rule for rule in chain(objects, "nat", "POSTROUTING"))


def test_without_a_relay_nat_carries_loopback_and_hairpins() -> None:
    objects = everything(NAT, [zone()], [port("8080")])
    assert chain(objects, "nat", "OUTPUT") == ["-m addrtype --dst-type LOCAL -j DOCKER"]
    assert chain(objects, "nat", "DOCKER") == ["-p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.4:80"]
    assert chain(objects, "nat", "POSTROUTING")[:3] == [
        "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-o docker0 -m addrtype --src-type LOCAL -j MASQUERADE",
        "-s 172.17.0.0/16 -d 172.17.0.0/16 -m conntrack --ctstate DNAT -j MASQUERADE",
    ]


def test_without_a_relay_a_hairpin_is_not_stopped_by_icc() -> None:
    rules = chain(everything(NAT, [zone("br0", icc=False)], []), "filter", "FORWARD")
    assert rules[-2:] == [
        "-i br0 -o br0 -m conntrack --ctstate DNAT -j ACCEPT",
        "-i br0 -o br0 -m conntrack ! --ctstate DNAT -j DROP",
    ]


def test_the_ipv6_loopback_is_never_translated() -> None:
    for firewall in (PROXY, NAT):
        assert chain(everything(firewall), "nat", "OUTPUT", 6)[0].startswith("! -d ::1/128 ")
        assert not list(firewall.published(port("8080", address="::1")))


def test_an_empty_chain_says_whose_the_others_are() -> None:
    assert claim(ENGINE) in list(PROXY.base(OWNER))
    assert claim(ENGINE).name == f"LINKSPAN-{ENGINE[:12]}"
    assert len(claim(ENGINE).name) < 29  # XT_EXTENSION_MAXNAMELEN


def test_what_must_be_first_stays_first_when_a_network_comes_later() -> None:
    base = list(PROXY.base(OWNER))
    commands = iptables_commands(diff((), base), 4) + iptables_commands(diff((), list(PROXY.zone(zone()))), 4)
    held = perform(commands)
    for place, specs in FIRST.items():
        assert tuple(held[place][: len(specs)]) == specs
        assert not set(held[place][len(specs) :]) & set(specs)


def test_taking_everything_back_leaves_only_the_administrators_chain() -> None:
    objects = everything(PROXY.on(Transit(VERSIONS)))
    commands = iptables_commands(diff((), objects), 4) + iptables_commands(diff(objects, ()), 4)
    assert not any(perform(commands).values())
    texts = [command.text for command in commands]
    assert {text for text in texts if text.startswith("-X")} == {
        f"-X {name}" for name in [claim(ENGINE).name, *(name for _, name in OURS)] if name != "DOCKER-USER"
    }
    assert not any(text.startswith("-F DOCKER-USER") for text in texts)


def test_what_touches_none_of_our_bridges_is_dropped_below_everything_else() -> None:
    objects = everything(PROXY.on(Transit((6,))), [zone(), zone("shut", 18, internal=True)])
    assert chain(objects, "filter", "FORWARD", 6)[-1] == "-j LINKSPAN-TRANSIT"
    assert chain(objects, "filter", TRANSIT, 6) == [
        "-o docker0 -j RETURN",
        '-m comment --comment "IPv6 was not forwarded before us" -j DROP',
    ]
    assert "-j LINKSPAN-TRANSIT" not in chain(objects, "filter", "FORWARD", 4)


def test_frames_that_bridges_of_others_pass_are_told_apart_only_where_they_come_to_the_firewall() -> None:
    """The match loads br_netfilter, which brings them there."""
    (dropped,) = chain(list(PROXY.on(Transit((4,), br_netfilter=True)).base(OWNER)), "filter", TRANSIT)
    assert dropped.startswith("-m physdev ! --physdev-is-bridged ")
    (dropped,) = chain(list(PROXY.on(Transit((4,))).base(OWNER)), "filter", TRANSIT)
    assert "physdev" not in dropped


def test_a_rule_in_the_wrong_place_is_taken_off_and_put_back() -> None:
    rule = IptablesRule(4, "nat", "DOCKER", "-i docker0 -j RETURN")
    moved = IptablesRule(4, "nat", "DOCKER", "-i docker0 -j RETURN", insert=True)
    commands = iptables_commands([Operation(Verb.REPLACE, rule, moved)], 4)
    assert [command.text for command in commands] == [
        "-D DOCKER -i docker0 -j RETURN",
        "-A DOCKER -i docker0 -j RETURN",
    ]


def test_a_script_has_one_transaction_for_each_table() -> None:
    chains = [
        IptablesChain(4, "nat", "DOCKER"),
        IptablesChain(4, "filter", "DOCKER"),
        IptablesChain(6, "nat", "DOCKER"),
    ]
    commands = iptables_commands(diff((), chains), 4)
    assert restore_input(commands) == "*nat\n-N DOCKER\nCOMMIT\n*filter\n-N DOCKER\nCOMMIT\n"
    assert restore_input([]) == ""


@pytest.mark.parametrize("firewall", [PROXY, NAT])
def test_families_differ_only_in_spelling(firewall: Firewall) -> None:
    objects = everything(firewall, [zone()], [port("8080"), port("8080", address="::")])
    four = perform(iptables_commands(diff((), objects), 4))
    six = perform(iptables_commands(diff((), objects), 6))
    assert {place: len(rules) for place, rules in four.items() if place[0] != "raw"} == {
        place: len(rules) for place, rules in six.items() if place[0] != "raw"
    }

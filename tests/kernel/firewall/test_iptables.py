"""iptables in the kernel: whole changes over both families, and rules read back in their order."""

import errno
from collections.abc import Callable

import pytest

from linkspan.kernel.iptables import IptablesFirewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.objects import FirewallObject, IptablesRule
from linkspan.plan.operations import Operation, OperationFailedError, Verb, diff
from tests.kernel.firewall.conftest import Bench
from tests.support.intents import OWNER, ZONES, everything, port, zone

PROXY, NAT = Iptables(userland_proxy=True), Iptables(userland_proxy=False)
WANTED = everything(PROXY)
BASE = list(PROXY.base(OWNER))
RULE = IptablesRule(4, "nat", "DOCKER", "-i br0 -j RETURN")
PROTOCOLS = {"0": "all", "6": "tcp"}


@pytest.fixture
def firewall(bench: Callable[..., Bench]) -> Bench:
    made = bench(IptablesFirewall)
    made.add(*WANTED)
    return made


def saved(firewall: Bench) -> list[str]:
    """Both families, without remarks."""
    text = firewall.tool("iptables-save") + firewall.tool("ip6tables-save")
    return [line for line in text.splitlines() if not line.startswith("#")]


def listed(firewall: Bench, chain: str) -> list[str]:
    """What `iptables -t nat -L -n` shows of a chain, words parted by one space, protocols by name as since 1.8.10."""
    words = [line.split() for line in firewall.tool("iptables", "-t", "nat", "-L", chain, "-n").splitlines()[2:]]
    return [" ".join([target, PROTOCOLS.get(protocol, protocol), *rest]) for target, protocol, *rest in words]


def test_the_story_comes_out_of_the_listing_line_for_line(bench: Callable[..., Bench]) -> None:
    firewall = bench(IptablesFirewall)
    firewall.add(*everything(PROXY, [zone()], [port("8080")]))
    assert listed(firewall, "PREROUTING") == ["DOCKER all -- 0.0.0.0/0 0.0.0.0/0 ADDRTYPE match dst-type LOCAL"]
    assert listed(firewall, "OUTPUT") == ["DOCKER all -- 0.0.0.0/0 !127.0.0.0/8 ADDRTYPE match dst-type LOCAL"]
    assert listed(firewall, "POSTROUTING") == [
        "MASQUERADE all -- 172.17.0.0/16 0.0.0.0/0",
        "MASQUERADE tcp -- 172.17.0.4 172.17.0.4 tcp dpt:80",
    ]
    assert listed(firewall, "DOCKER") == [
        "RETURN all -- 0.0.0.0/0 0.0.0.0/0",
        "DNAT tcp -- 0.0.0.0/0 0.0.0.0/0 tcp dpt:8080 to:172.17.0.4:80",
    ]


@pytest.mark.parametrize("plan", [PROXY, NAT], ids=["relay", "nat"])
def test_what_was_applied_is_read_back_as_it_was_meant(bench: Callable[..., Bench], plan: Iptables) -> None:
    firewall, wanted = bench(IptablesFirewall), everything(plan)
    firewall.add(*wanted)
    assert firewall.difference(wanted) == ()


@pytest.mark.parametrize("plan", [PROXY, NAT], ids=["relay", "nat"])
def test_rules_of_forgotten_networks_are_found(bench: Callable[..., Bench], plan: Iptables) -> None:
    firewall, wanted = bench(IptablesFirewall), everything(plan)
    firewall.add(*wanted)
    assert {item.key for item in firewall.observe(())[0]} == {item.key for item in wanted}


def test_taking_everything_back_leaves_the_administrators_chain_alone(firewall: Bench) -> None:
    firewall.tool("iptables", "-A", "DOCKER-USER", "-s", "203.0.113.7/32", "-j", "DROP")
    firewall.apply(diff(WANTED, ()))
    rules = [line for line in saved(firewall) if line.startswith("-A")]
    assert rules == ["-A DOCKER-USER -s 203.0.113.7/32 -j DROP"]
    firewall.heal(WANTED)
    assert "-A DOCKER-USER -s 203.0.113.7/32 -j DROP" in saved(firewall)
    assert firewall.difference(WANTED) == ()


def test_rules_of_others_are_never_touched(bench: Callable[..., Bench]) -> None:
    firewall = bench(IptablesFirewall)
    firewall.tool("iptables", "-P", "FORWARD", "DROP")
    firewall.tool("iptables", "-A", "FORWARD", "-i", "docker0", "-p", "tcp", "-j", "LOG")
    firewall.tool("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")
    before = {line for line in saved(firewall) if "LOG" in line or "eth0" in line or "FORWARD DROP" in line}
    firewall.heal(WANTED)
    firewall.apply(diff(WANTED, ()))
    assert before <= set(saved(firewall))
    assert len(before) == 3


def test_removing_what_is_gone_succeeds(firewall: Bench) -> None:
    firewall.add(RULE)
    firewall.remove(RULE)
    firewall.remove(RULE)
    assert firewall.difference(WANTED) == ()


def test_what_is_gone_does_not_keep_the_rest_of_a_change_from_happening(firewall: Bench) -> None:
    other = IptablesRule(4, "filter", "DOCKER", "-i br0 -j RETURN")
    firewall.apply([Operation(Verb.REMOVE, RULE), Operation(Verb.ADD, other)])
    assert firewall.difference([*WANTED, other]) == ()


def test_removing_everything_after_a_flush_succeeds(firewall: Bench) -> None:
    for program in ("iptables", "ip6tables"):
        for table in ("filter", "nat", "raw"):
            firewall.tool(program, "-t", table, "-F")
    firewall.apply(diff(WANTED, ()))
    assert not [line for line in saved(firewall) if line.startswith("-A")]


@pytest.mark.parametrize(
    "bad",
    [IptablesRule(4, "nat", "DOCKER", "-j NOWHERE"), IptablesRule(6, "nat", "DOCKER", "-j NOWHERE")],
    ids=["in the last table", "in the other family"],
)
def test_a_change_that_fails_leaves_nothing_and_names_what_was_refused(firewall: Bench, bad: IptablesRule) -> None:
    before = saved(firewall)
    with pytest.raises(OperationFailedError) as caught:
        firewall.add(IptablesRule(4, "filter", "DOCKER", "-i br0 -j RETURN"), RULE, bad)
    assert caught.value.operation.object == bad
    assert caught.value.errno == errno.ENOENT
    assert caught.value.applied == ()
    assert saved(firewall) == before


@pytest.mark.parametrize(
    "tampering",
    [
        "iptables -F",
        "iptables -t nat -F",
        "iptables -t raw -F",
        "ip6tables -F",
        "iptables -D FORWARD -j DOCKER-USER",
        "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "iptables -A DOCKER -j DROP",
        "iptables -t nat -F DOCKER",
    ],
)
def test_what_a_stranger_does_to_our_rules_is_seen_and_healed(firewall: Bench, tampering: str) -> None:
    firewall.tool(*tampering.split())
    assert firewall.difference(WANTED)
    firewall.heal(WANTED)
    assert firewall.difference(WANTED) == ()


@pytest.mark.parametrize(
    "tampering",
    [
        "iptables -D FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-USER",
        "iptables -D FORWARD -j DOCKER-ISOLATION-STAGE-1; iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1",
        "iptables -D DOCKER-ISOLATION-STAGE-1 -j RETURN; iptables -I DOCKER-ISOLATION-STAGE-1 -j RETURN",
        "iptables -I DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP; iptables -D DOCKER-ISOLATION-STAGE-2 5",
        "iptables -t nat -D DOCKER -i docker0 -j RETURN; iptables -t nat -I DOCKER -i docker0 -j RETURN",
    ],
)
def test_an_order_that_matters_is_seen_and_healed(firewall: Bench, tampering: str) -> None:
    before = saved(firewall)
    for command in tampering.split("; "):
        firewall.tool(*command.split())
    operations = firewall.difference(WANTED)
    assert operations
    assert {operation.verb for operation in operations} == {Verb.REPLACE}
    firewall.heal(WANTED)
    assert firewall.difference(WANTED) == ()
    assert sorted(saved(firewall)) == sorted(before)


def test_a_strangers_rule_above_ours_is_left_where_it_is(firewall: Bench) -> None:
    firewall.tool("iptables", "-I", "FORWARD", "-j", "LOG")
    assert firewall.difference(WANTED) == ()


def test_a_network_that_comes_later_stays_below_the_administrators_chain(bench: Callable[..., Bench]) -> None:
    firewall = bench(IptablesFirewall)
    firewall.add(*BASE)
    firewall.tool("iptables", "-A", "FORWARD", "-j", "REJECT")
    firewall.add(*PROXY.zone(ZONES[0]))
    forward = [line for line in firewall.tool("iptables-save").splitlines() if line.startswith("-A FORWARD")]
    assert forward[:2] == ["-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1"]
    assert forward[-1].startswith("-A FORWARD -j REJECT")
    assert len(forward) == 7


def test_a_network_is_added_even_after_the_rules_it_belongs_below_were_flushed(bench: Callable[..., Bench]) -> None:
    firewall = bench(IptablesFirewall)
    firewall.add(*BASE)
    firewall.tool("iptables", "-F", "FORWARD")
    firewall.add(*PROXY.zone(ZONES[0]))
    assert firewall.difference([*BASE, *PROXY.zone(ZONES[0])]) == ()


class WithoutIPv6(IptablesFirewall):
    """As on a kernel without ip6tables."""

    def __init__(self, engine_id: str) -> None:
        super().__init__(engine_id)
        self._versions, self._why_not_6 = [4], "the kernel has no IPv6"


def test_without_ip6tables_networks_without_ipv6_work(bench: Callable[..., Bench]) -> None:
    firewall = bench(WithoutIPv6)
    wanted: list[FirewallObject] = [*BASE, *(item for item in PROXY.zone(ZONES[0]) if item.key[1] == "4")]
    firewall.add(*wanted)
    assert firewall.difference(wanted) == ()
    assert firewall.tool("ip6tables-save") == ""


def test_without_ip6tables_a_network_with_ipv6_is_refused_whole(bench: Callable[..., Bench]) -> None:
    firewall = bench(WithoutIPv6)
    firewall.add(*BASE)
    before = saved(firewall)
    with pytest.raises(OperationFailedError) as caught:
        firewall.add(*PROXY.zone(ZONES[0]))
    assert caught.value.errno == errno.EAFNOSUPPORT
    assert caught.value.reason == "the kernel has no IPv6"
    assert saved(firewall) == before


def test_the_base_has_no_owner_to_show(firewall: Bench) -> None:
    assert not [line for line in saved(firewall) if OWNER in line or "--comment" in line]

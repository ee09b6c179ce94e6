"""The nftables table in the kernel: whole changes, idempotent removals, and a reading that compares equal."""

import errno
import gc
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from linkspan.kernel.nftables import NftablesFirewall
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import FirewallObject, NftChain, NftElement, NftTable
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation, OperationFailedError, Verb, diff, undo
from tests.kernel.firewall.conftest import Bench
from tests.support.intents import OWNER, everything

WANTED = everything(Nftables())
PORT = NftElement("anyports4", "tcp . 9999", "172.17.0.4 . 80", OWNER)


@pytest.fixture
def firewall(bench: Callable[..., Bench]) -> Bench:
    made = bench(NftablesFirewall)
    made.add(*WANTED)
    return made


def listing(firewall: Bench) -> str:
    return firewall.tool("nft", "list", "table", "inet", "linkspan")


def test_what_was_applied_is_read_back_as_it_was_meant(firewall: Bench) -> None:
    assert firewall.difference(WANTED) == ()
    assert set(firewall.observe(())[0]) >= {item for item in WANTED if not isinstance(item, NftChain)}


def test_nothing_is_there_before_the_first_change(bench: Callable[..., Bench]) -> None:
    assert bench(NftablesFirewall).observe(WANTED) == ((), ())


def test_undoing_everything_leaves_nothing(firewall: Bench) -> None:
    firewall.apply(undo(diff((), WANTED)))
    assert firewall.tool("nft", "list", "ruleset") == ""


def test_removing_what_is_gone_succeeds(firewall: Bench) -> None:
    firewall.add(PORT)
    firewall.remove(PORT)
    firewall.remove(PORT)
    assert firewall.difference(WANTED) == ()


def test_what_is_gone_does_not_keep_the_rest_of_a_change_from_happening(firewall: Bench) -> None:
    other = replace(PORT, item="tcp . 9998")
    firewall.add(other)
    firewall.apply(
        [Operation(Verb.ADD, replace(PORT, item="tcp . 1")), *(Operation(Verb.REMOVE, i) for i in (PORT, other))]
    )
    assert firewall.difference([*WANTED, replace(PORT, item="tcp . 1")]) == ()


def test_removing_everything_after_a_flush_succeeds(firewall: Bench) -> None:
    firewall.tool("nft", "flush", "ruleset")
    firewall.remove(PORT)
    firewall.apply(diff(WANTED, ()))
    assert firewall.observe(()) == ((), ())


def test_a_replacement_of_what_is_gone_puts_it_there(firewall: Bench) -> None:
    firewall.apply([Operation(Verb.REPLACE, PORT, replace(PORT, value="172.17.0.9 . 80"))])
    assert firewall.difference([*WANTED, PORT]) == ()


def test_an_element_is_replaced_in_one_transaction(firewall: Bench) -> None:
    firewall.add(PORT)
    moved = replace(PORT, value="172.17.0.9 . 8080")
    firewall.apply([Operation(Verb.REPLACE, moved, PORT)])
    assert firewall.difference([*WANTED, moved]) == ()


def test_a_change_that_fails_leaves_nothing_and_names_what_was_refused(firewall: Bench) -> None:
    firewall.add(PORT)
    clash = replace(PORT, value="172.17.0.9 . 1")
    with pytest.raises(OperationFailedError) as caught:
        firewall.add(replace(PORT, item="tcp . 1"), replace(PORT, item="tcp . 2"), clash, replace(PORT, item="tcp . 3"))
    assert caught.value.operation.object == clash
    assert (caught.value.errno, caught.value.reason, caught.value.applied) == (errno.EEXIST, "File exists", ())
    assert firewall.difference([*WANTED, PORT]) == ()


def test_a_change_without_the_table_says_that_something_is_missing(bench: Callable[..., Bench]) -> None:
    with pytest.raises(OperationFailedError) as caught:
        bench(NftablesFirewall).add(PORT)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    "tampering",
    [
        "insert rule inet linkspan forward accept",
        "flush chain inet linkspan forward",
        "flush chain inet linkspan published",
        "delete element inet linkspan anyports4 { tcp . 8080 }",
        "add element inet linkspan anyports4 { tcp . 1 : 10.0.0.1 . 1 }",
        'delete element inet linkspan bridges { "docker0" }',
        "flush map inet linkspan ranges6",
        "add chain inet linkspan stranger",
        "add set inet linkspan stranger { type ifname; }",
        "delete table inet linkspan",
    ],
)
def test_what_a_stranger_does_to_the_table_is_seen_and_healed(firewall: Bench, tampering: str) -> None:
    firewall.tool("nft", tampering)
    assert firewall.difference(WANTED)
    firewall.heal(WANTED)
    assert firewall.difference(WANTED) == ()


def test_a_rule_that_a_stranger_put_in_is_shown(firewall: Bench) -> None:
    firewall.tool("nft", "insert rule inet linkspan forward counter accept")
    (operation,) = firewall.difference(WANTED)
    assert isinstance(operation.previous, NftChain)
    assert operation.previous.rules[0].text == "counter accept"
    assert operation.previous.rules[1].label == "replies pass"


def test_counters_do_not_make_a_difference(firewall: Bench) -> None:
    firewall.tool("ip", "link", "set", "lo", "up")
    firewall.tool("nft", "add rule inet linkspan forward counter packets 5 bytes 300 drop")
    firewall.tool("nft", "flush chain inet linkspan forward")
    firewall.heal(WANTED)
    assert firewall.difference(WANTED) == ()


def test_a_table_of_another_layout_is_replaced_whole(firewall: Bench) -> None:
    firewall.tool("nft", "delete table inet linkspan")
    firewall.tool("nft", f'add table inet linkspan {{ comment "{OWNER}"; }}')
    firewall.tool("nft", "add set inet linkspan bridges { type ipv4_addr; }")
    assert all(isinstance(item, NftTable) for item in firewall.observe(WANTED)[0])
    firewall.heal(WANTED)
    assert firewall.difference(WANTED) == ()


@pytest.mark.parametrize("mark", ["linkspan:dddddddddddd:engine:dddddddddddd", "mine"])
def test_a_table_of_somebody_else_is_foreign(firewall: Bench, mark: str) -> None:
    firewall.tool("nft", "delete table inet linkspan")
    firewall.tool("nft", f'add table inet linkspan {{ comment "{mark}"; }}')
    assert firewall.observe(WANTED) == ((), (Foreign("nftables table", "inet linkspan", mark),))


def test_other_tables_are_never_touched(firewall: Bench) -> None:
    firewall.tool("nft", "add table inet other; add chain inet other c; add rule inet other c accept")
    before = firewall.tool("nft", "list", "table", "inet", "other")
    firewall.heal(WANTED)
    firewall.apply(diff(WANTED, ()))
    assert firewall.tool("nft", "list", "ruleset") == before


def test_ipv4_inside_ipv6_is_read_as_it_was_written(firewall: Bench) -> None:
    mapped, compatible = IPv6Address("::ffff:102:304"), IPv6Address("::102:304")  # as this Python writes them
    odd = NftElement("ports6", f"{mapped} . tcp . 80", f"{compatible} . 80", OWNER)
    firewall.add(odd)
    assert firewall.difference([*WANTED, odd]) == ()


def listing_time(firewall: Bench) -> float:
    """Processor seconds nft itself takes to list our table."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    firewall.tool("nft", "--json", "list", "table", "inet", "linkspan")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def reading_time(firewall: Bench) -> float:
    """Processor seconds we take to read it into objects."""
    start = time.process_time()
    firewall.observe(WANTED)
    return time.process_time() - start


@pytest.fixture
def own_heap() -> None:
    """What other tests left in memory is kept out of the garbage collector's way."""
    gc.collect()
    gc.freeze()


@pytest.mark.slow
@pytest.mark.usefixtures("own_heap")
def test_twenty_thousand_ports_are_read_in_the_time_nft_lists_them(firewall: Bench) -> None:
    many: list[FirewallObject] = [
        NftElement("anyports6", f"udp . {port}", f"fd17::{port:x} . 80", OWNER) for port in range(1, 20001)
    ]
    firewall.add(*many)
    assert len(firewall.observe(WANTED)[0]) == len(many) + len(WANTED)
    ratio = min(reading_time(firewall) / listing_time(firewall) for _ in range(3))
    assert ratio < 1.5  # 0.85 measured: an object an element, out of what libnftables prints


def test_the_kernels_own_listing_shows_why_each_rule_is_there(firewall: Bench) -> None:
    rules = [line for line in listing(firewall).splitlines() if line.startswith("\t\t") and "comment" in line]
    assert len(rules) >= sum(len(item.rules) for item in WANTED if isinstance(item, NftChain))

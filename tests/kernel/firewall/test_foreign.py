"""Others' chains as nft and iptables really list them."""

from collections.abc import Callable

import pytest

from linkspan.kernel.foreign import foreign_chains
from linkspan.kernel.nftables import NftablesFirewall
from tests.kernel.firewall.conftest import Bench

FIREWALL = """
table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        iifname "lan*" accept
        counter reject with icmpx type admin-prohibited
    }
}
"""


def named(bench: Bench) -> list[str]:
    return [f"{chain.name}: {chain.end}" for chain in bench.call(lambda: list(foreign_chains()))]


@pytest.fixture
def empty(bench: Callable[..., Bench]) -> Bench:
    return bench(NftablesFirewall)


def test_without_others_there_is_no_chain(empty: Bench) -> None:
    assert named(empty) == []


def test_a_rule_that_rejects_the_rest_is_found(empty: Bench) -> None:
    empty.tool("nft", "-f", "-", input=FIREWALL)
    (found,) = empty.call(lambda: list(foreign_chains()))
    assert found.end.startswith("its last rule is reject") and found.interfaces == {"lan*"}


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_a_policy_of_iptables_is_found(empty: Bench, program: str) -> None:
    empty.tool(program, "-P", "FORWARD", "DROP")
    empty.tool(program, "-A", "FORWARD", "-i", "lan0", "-j", "ACCEPT")
    (found,) = empty.call(lambda: list(foreign_chains()))
    assert found.end == "its policy is drop" and found.versions == (4,) and found.interfaces == {"lan0"}

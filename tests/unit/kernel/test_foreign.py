"""Which chains of others can stop what is forwarded, read from nft's listings."""

import pytest

from linkspan.kernel.foreign import ending, forward_chains

CHAINS = """\
table inet linkspan {
\tchain forward {
\t\ttype filter hook forward priority filter; policy accept;
\t}
}
table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy drop;
\t}
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t}
\tchain own {
\t}
}
table bridge other {
\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t}
}
table inet firewall {
\tchain passing {
\t\ttype filter hook forward priority filter + 10; policy accept;
\t}
}
"""


def table(policy: str, *rules: str) -> str:
    lines = ["\t\ttype filter hook forward priority filter; policy " + policy + ";", *(f"\t\t{rule}" for rule in rules)]
    return "table inet f {\n\tchain c {\n" + "\n".join(lines) + "\n\t}\n}\n"


def test_only_others_chains_on_the_forward_hook_of_an_ip_family_are_looked_at() -> None:
    assert list(forward_chains(CHAINS)) == [("ip", "filter", "FORWARD"), ("inet", "firewall", "passing")]


@pytest.mark.parametrize(
    ("listing", "end"),
    [
        (table("drop"), "its policy is drop"),
        (table("drop", 'iifname "lan0" accept'), "its policy is drop"),
        (table("accept", 'iifname "lan0" accept', "drop"), "its last rule is drop"),
        (
            table("accept", "counter reject with icmpx admin-prohibited"),
            "its last rule is reject with icmpx admin-prohibited",
        ),
    ],
)
def test_a_chain_stops_packets_by_its_policy_or_by_its_last_rule(listing: str, end: str) -> None:
    found = ending("inet", "f", "c", listing)
    assert found is not None
    assert (found.name, found.end, found.versions) == ("nftables chain inet f c", end, (4, 6))


@pytest.mark.parametrize("rules", [(), ('oifname "x" drop',), ("ct state invalid drop", "accept")])
def test_a_chain_that_lets_pass_what_it_does_not_judge_stops_nothing(rules: tuple[str, ...]) -> None:
    assert ending("inet", "f", "c", table("accept", *rules)) is None


def test_the_interfaces_that_a_table_mentions_are_known() -> None:
    found = ending("inet", "f", "c", table("drop", 'iifname { "docker0", "br-*" } accept'))
    assert found is not None and found.interfaces == {"docker0", "br-*"}

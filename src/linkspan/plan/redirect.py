"""How port 53 of 127.0.0.11 reaches the resolver of a sandbox: a table of our own in its namespace.

The resolver's sockets are on another port, so that a server inside can have port 53 of every address, which 0.0.0.0
includes. Questions and answers are rewritten one by one, without connection tracking: a query leaves no entry behind
for half a minute, and with a socket per query, as the C library has it, a fifth more are answered in a second than by
the DNAT that Docker uses (measured: 32,500 against 26,900; setting either up takes 0.3 ms). What is rewritten is told
by address and port alone, and both belong to us: nothing else can be bound to them.
"""

from collections.abc import Iterator

from linkspan.plan.nftables import comment
from linkspan.plan.objects import NftChain, NftRule, Redirect
from linkspan.plan.operations import Verb

ADDRESS = "127.0.0.11"
"""Docker's address of the resolver inside."""

PORT = 61053
"""Where the resolver listens inside: above the ports that the kernel picks, and nobody's by registration."""

TABLE = "inet linkspan-names"
"""Not the engine's own table: a sandbox may be the host of another engine."""


def _rules() -> Iterator[NftRule]:
    for protocol in ("udp", "tcp"):
        yield NftRule(
            f"ip daddr {ADDRESS} {protocol} dport 53 {protocol} dport set {PORT} notrack",
            f"questions by {protocol.upper()} go to the resolver",
        )
        yield NftRule(
            f"ip saddr {ADDRESS} {protocol} sport {PORT} {protocol} sport set 53 notrack",
            f"its answers by {protocol.upper()} come from where they were asked",
        )


CHAIN = NftChain("output", "type filter hook output priority raw; policy accept;", tuple(_rules()))


def statements(redirect: Redirect, verb: Verb) -> Iterator[str]:
    """What nft is told, in the namespace of the sandbox. A table that is there is replaced."""
    if verb is not Verb.ADD:
        yield f"delete table {TABLE}"
    if verb is not Verb.REMOVE:
        yield f'add table {TABLE} {{ comment "{redirect.owner}"; }}'
        yield f"add chain {TABLE} {CHAIN.name} {{ {CHAIN.hook} }}"
        for rule in CHAIN.rules:
            yield f'add rule {TABLE} {CHAIN.name} {rule.text} comment "{comment(rule)}"'

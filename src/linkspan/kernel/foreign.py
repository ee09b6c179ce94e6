"""Chains of others that may stop what containers send and receive.

An `accept` ends only the base chain it is in: whatever our own chains allow, another one on the forward hook may still
drop it. We never touch such a chain; we find it, so that it can be named.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from linkspan.kernel import files
from linkspan.kernel.native import Nftables, NftablesError, Output
from linkspan.kernel.process import ToolError, run_tool
from linkspan.model.addressing import VERSIONS, Version
from linkspan.model.errors import UnavailableError
from linkspan.plan.nftables import FAMILY, TABLE
from linkspan.plan.observation import ForeignChain

_OURS = (FAMILY, TABLE)
_HOOKED = re.compile(r"^table (\S+) (\S+) \{$|^\tchain (\S+) \{\n\t\ttype filter hook forward [^\n]*", re.MULTILINE)
_BODY = r"^\tchain %s \{\n\t\ttype [^\n]*\n(.*?)^\t\}$"
_QUOTED = re.compile(r'"([^"\s]+)"')
_FAMILIES: dict[str, tuple[Version, ...]] = {"ip": (4,), "ip6": (6,), "inet": VERSIONS}
_LEGACY = {
    4: ("/proc/thread-self/net/ip_tables_names", "iptables-legacy"),
    6: ("/proc/thread-self/net/ip6_tables_names", "ip6tables-legacy"),
}
_LEGACY_INTERFACE = re.compile(r" -[io] (\S+)")
_FINAL = re.compile(r"(?:counter )?(drop|reject\b.*)")


def foreign_chains() -> Iterator[ForeignChain]:
    """Every chain of somebody else that ends with a drop on the forward hook of the calling thread's namespace.

    Raises `UnavailableError` when nftables cannot be asked.
    """
    nft = Nftables()
    try:
        yield from _nft_chains(nft)
    finally:
        nft.close()
    for version in VERSIONS:
        yield from _legacy_chain(version)


def _nft_chains(nft: Nftables) -> Iterator[ForeignChain]:
    for family, table, chain in forward_chains(nft.run("list chains")):
        with suppress(NftablesError):  # it is gone since, or nft cannot print what a newer iptables put there
            listing = nft.run(f"list table {family} {table}", Output.STATELESS)
            if (found := ending(family, table, chain, listing)) is not None:
                yield found


def forward_chains(listing: str) -> Iterator[tuple[str, str, str]]:
    """Family, table and name of others' filter chains on the forward hook, from the answer to `list chains`."""
    family = table = ""
    for match in _HOOKED.finditer(listing):
        if match[3] is None:
            family, table = match[1], match[2]
        elif family in _FAMILIES and (family, table) != _OURS:
            yield family, table, match[3]


def ending(family: str, table: str, chain: str, listing: str) -> ForeignChain | None:
    """The chain as it ends, from the listing of its table; None when it lets pass what its rules do not judge."""
    body = re.search(_BODY % re.escape(chain), listing, re.MULTILINE | re.DOTALL)
    if body is None:
        return None
    rules = [rule.strip() for rule in body[1].splitlines()]
    last = _FINAL.fullmatch(rules[-1]) if rules else None
    if last is None and "policy drop" not in body[0]:
        return None
    end = "its policy is drop" if last is None else f"its last rule is {last[1]}"
    return ForeignChain(
        f"nftables chain {family} {table} {chain}", end, _FAMILIES[family], frozenset(_QUOTED.findall(listing))
    )


def _legacy_chain(version: Version) -> Iterator[ForeignChain]:
    """The FORWARD chain of the old iptables, which nft does not see. It is there only once somebody has used it."""
    tables, program = _LEGACY[version]
    if not Path(tables).exists() or "filter" not in files.read(tables).split():
        return
    with suppress(ToolError, UnavailableError):
        rules = run_tool([program, "-S"]).splitlines()
        if "-P FORWARD DROP" in rules:
            mentioned = frozenset(name for rule in rules for name in _LEGACY_INTERFACE.findall(rule))
            yield ForeignChain(f"{program} chain FORWARD", "its policy is drop", (version,), mentioned)

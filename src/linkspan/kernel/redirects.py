"""The table in a sandbox's namespace that leads port 53 of 127.0.0.11 to the resolver, made and read back.

A process inside with CAP_NET_ADMIN can flush it, as it can take its own routes away. Rules are recognised by the digest
in their comments, as those of the engine's own table are.
"""

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.native import Nftables, NftablesError, Output
from linkspan.kernel.outcome import Outcome, failure, in_order
from linkspan.kernel.thread import enter, visit
from linkspan.model.errors import UnavailableError
from linkspan.plan.nftables import comment
from linkspan.plan.objects import Redirect, mark_engine
from linkspan.plan.operations import Operation, Verb
from linkspan.plan.redirect import CHAIN, TABLE, statements

_OWNER = re.compile(r'^\tcomment "([^"]*)"', re.MULTILINE)
_CONTENTS = re.compile(r"^\t(?:chain (\S+) \{|\t(.+))$", re.MULTILINE)
_DIGEST = re.compile(r'comment "([^"]*)"$')
_CREATE = re.compile(r"^add table ")


class Redirects:
    """The redirects of one engine. Used on the kernel thread."""

    def __init__(self, namespaces: Namespaces, engine: str) -> None:
        self._namespaces = namespaces
        self._engine = engine[:12]

    def perform(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Make and remove in order; unless tolerant, stop at the first failure."""
        return visit(lambda: in_order(operations, self._perform, tolerant=tolerant))

    def _perform(self, operation: Operation) -> OSError | None:
        """One operation. Moves the thread."""
        redirect = operation.object
        assert isinstance(redirect, Redirect)
        try:
            nft = self._inside(redirect.where)
        except UnavailableError as error:
            return failure(errno.EOPNOTSUPP, error.message)
        except OSError as error:
            return error
        try:
            _change(nft, redirect, operation.verb)
        except OSError as error:
            return error
        finally:
            nft.close()
        return None

    def _inside(self, sandbox: str) -> Nftables:
        self._namespaces.inode(sandbox)  # FileNotFoundError for a plain file
        enter(self._namespaces.path(sandbox))
        return Nftables()

    def observe(self, sandboxes: Iterable[str]) -> list[Redirect]:
        """Those that are whole; the rest, and what others made in their place, is to be made anew."""
        wanted = [sandbox for sandbox in sandboxes if self._is_there(sandbox)]
        return visit(lambda: list(self._observe(wanted))) if wanted else []

    def _is_there(self, sandbox: str) -> bool:
        """Whether a namespace is pinned there, and not a plain file."""
        pin = self._namespaces.pin(sandbox)
        return pin is not None and pin.inode is not None

    def _observe(self, sandboxes: Iterable[str]) -> Iterator[Redirect]:
        for sandbox in sandboxes:
            try:
                listing = _listing(self._namespaces.path(sandbox))
            except UnavailableError:
                return  # then there are none
            owner = _OWNER.search(listing)
            if owner is not None and mark_engine(owner[1]) == self._engine:
                # One that is damaged is shown with another owner, so that the difference replaces it.
                yield Redirect(sandbox, owner[1] if _is_whole(listing) else f"{owner[1]} (damaged)")


def _change(nft: Nftables, redirect: Redirect, verb: Verb) -> None:
    lines = list(statements(redirect, verb))
    if verb is Verb.ADD:
        lines[0] = _CREATE.sub("create table ", lines[0])
        try:
            nft.run("\n".join(lines))
        except NftablesError as error:
            if error.errno != errno.EEXIST:
                raise
            # Only then: to delete a table in the same transaction takes ten milliseconds.
            nft.run("\n".join(statements(redirect, Verb.REPLACE)))
        return
    nft.run("\n".join(lines))


def _listing(namespace: Path) -> str:
    enter(namespace)
    nft = Nftables()
    try:
        return nft.run(f"list table {TABLE}", Output.NUMERIC_PRIO)
    except NftablesError:
        return ""
    finally:
        nft.close()


def _is_whole(listing: str) -> bool:
    """Whether a table has our chain with our rules, told by the digests in their comments, and nothing else."""
    chains, lines = zip(*_CONTENTS.findall(listing), strict=True) if _CONTENTS.search(listing) else ((), ())
    hook, *rules = [line for line in lines if line] or [""]
    digests = [match[1] if (match := _DIGEST.search(rule)) is not None else "" for rule in rules]
    return (
        [name for name in chains if name] == [CHAIN.name]
        and hook == CHAIN.hook.replace("priority raw", "priority -300")
        and digests == [comment(rule) for rule in CHAIN.rules]
    )

"""How one name server answers: from its table, from the zones, from what other servers said before, or by asking them.

The first three need no waiting, and happen within the call that read the datagram. The fourth is a task of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from linkspan.dataplane.names import records
from linkspan.dataplane.names.forward import Note, Upstreams, unnoted
from linkspan.dataplane.names.labels import text
from linkspan.dataplane.names.messages import (
    IN,
    Query,
    Rcode,
    Type,
    adapted,
    bad_version,
    read,
    refusal,
    reply,
)
from linkspan.dataplane.names.table import Table, single
from linkspan.dataplane.names.views import Found, View

Elsewhere = Callable[[], Upstreams | None]
"""Whom to ask what is not known here, at the moment; None: nobody."""

MOST_AT_ONCE = 2048
"""Questions under way, of all name servers together.

One may have as many as there is room left for others (the dynamic threshold of shared buffers: Choudhury and Hahne,
1998): alone half of all, which is Docker's limit (moby, `resolver.go` `maxConcurrent`), and so a sandbox that asks
without end leaves as much to the others.
"""
_TRANSFERS = (Type.AXFR, Type.IXFR)


@dataclass(slots=True)
class Budget:
    """Questions under way, of all name servers."""

    taken: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A question that has to be asked of other servers; `found` begins its answer. `limit`: bytes of the answer."""

    query: Query
    limit: int
    found: Found | None = None


class Responder:
    """Answers messages. `unknown` is said of names that nobody can be asked about.

    For a sandbox without a way out that is NXDOMAIN: resolver libraries take it as final at once, and go on with the
    next suffix of their search list. After SERVFAIL glibc and musl ask again, and report a failure that may pass. The
    answer carries no SOA, so nobody keeps it (RFC 2308 §5): it is right again once the sandbox joins another network.
    """

    def __init__(self, view: View, elsewhere: Elsewhere, unknown: Rcode, random: Random, budget: Budget) -> None:
        self.table = Table(random)
        self._random = random
        self._budget = budget
        self._taken = 0
        self.replace(view, elsewhere, unknown)

    def replace(self, view: View, elsewhere: Elsewhere, unknown: Rcode) -> None:
        """Answer like this from now on."""
        self._view, self._elsewhere, self._unknown = view, elsewhere, unknown
        self.table.clear()

    def datagram(self, data: bytes) -> bytes | Question | None:
        """The answer to a datagram that is not in the table; None: none."""
        query = self._checked(data)
        if not isinstance(query, Query):
            return query
        found = self._view.find(query.key, query.type)
        if found is not None and not found.onward:
            return self.table.answer(data, query, found)
        return self._otherwise(query, query.datagram, found)

    def message(self, data: bytes, limit: int) -> bytes | Question | None:
        """The answer to a message that came in a stream; None: none."""
        query = self._checked(data)
        return self.answer(query, limit) if isinstance(query, Query) else query

    def answer(self, query: Query, limit: int, note: Note = unnoted) -> bytes | Question:
        """The answer to a question."""
        found = self._view.find(query.key, query.type)
        if found is not None and not found.onward:
            note(found.where, "answered" if found.answers else "no such record")
            return single(query, found, limit, self._random)
        if found is None:
            for name in self._view.searched():
                note(f"zone {name}", "no such name")
        else:
            note(found.where, f"leads to {text(found.onward)}")
        return self._otherwise(query, limit, found, note)

    def _checked(self, data: bytes) -> Query | bytes | None:
        """The question, or the answer to what is none."""
        query = read(data)
        if query is None:
            return None
        if isinstance(query, Rcode):
            return refusal(data, query)
        if query.edns is not None and query.edns.version:
            return bad_version(query)
        if query.cls != IN or query.type in _TRANSFERS:
            return reply(query, Rcode.REFUSED, query.datagram)
        return query

    def _otherwise(self, query: Query, limit: int, found: Found | None, note: Note = unnoted) -> bytes | Question:
        servers = self._elsewhere()
        if servers is None:
            note("elsewhere", "nobody is asked")
            if found is not None:
                return single(query, found, limit, self._random)
            return reply(query, self._unknown, limit)
        if found is None and (answer := servers.known(query, note)) is not None:
            return adapted(query, answer, limit)
        return Question(query, limit, found)

    async def ask(self, question: Question, note: Note = unnoted) -> bytes:
        """Ask others, and answer."""
        query = question.query
        if self._taken >= MOST_AT_ONCE - self._budget.taken:
            return reply(query, Rcode.REFUSED, question.limit)
        self._taken += 1
        self._budget.taken += 1
        try:
            return await self._asked(question, note)
        finally:
            self._taken -= 1
            self._budget.taken -= 1

    async def _asked(self, question: Question, note: Note) -> bytes:
        query, found = question.query, question.found
        if found is None:
            answer = await self._from_others(query, note)
            if answer is None:
                return reply(query, Rcode.SERVFAIL, question.limit)
            return adapted(query, answer, question.limit)
        onward = Query(query.id, query.flags, found.onward, found.onward.lower(), query.type, query.cls, query.edns)
        answer = await self._from_others(onward, note)
        if answer is None:
            return reply(query, Rcode.SERVFAIL, question.limit)
        code, chain = records.joined(found.answers, answer)
        return reply(query, Rcode(code), question.limit, chain)

    async def _from_others(self, query: Query, note: Note) -> bytes | None:
        """The answer of whoever is to be asked, also when that changes meanwhile."""
        while (servers := self._elsewhere()) is not None:
            superseded = partial(self._asks_others_than, servers)
            answer = await servers.ask(query, superseded, note)
            if answer is not None or not superseded():
                return answer
        return None

    def _asks_others_than(self, servers: Upstreams) -> bool:
        return self._elsewhere() is not servers

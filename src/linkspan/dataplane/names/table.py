"""Answers made once and sent many times.

A question is answered from the table by its bytes alone, all but the id: a lookup, two slices and a system call. What
is kept there was made on the usual path, so it is what that would say again; it is emptied by every change of the names
it comes from. Names in mixed letters (clients that hide a random number in them never ask the same way twice) and
questions with options are not kept.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import ceil
from random import Random

from linkspan.dataplane.names.messages import Query, Type, reply
from linkspan.dataplane.names.views import Found

Replies = tuple[bytes, ...]
"""Answers without their id; one of them is to be sent, at random."""

SIZE = 1024
_ORDERS = 24
_ALL_ORDERS_OF = 4
_ADDRESSES = (Type.A, Type.AAAA)


class Table:
    """The answers of one name server by question, at most `SIZE`: with one more it begins anew."""

    def __init__(self, random: Random) -> None:
        self.rows: dict[bytes, Replies] = {}
        self._random = random

    def clear(self) -> None:
        """The names have changed."""
        self.rows.clear()

    def answer(self, data: bytes, query: Query, found: Found) -> bytes:
        """The answer from the zones to a datagram; the next time it comes from the table."""
        orders, is_complete = _orders(found, self._random)
        replies = tuple(made[2:] for made in _made(query, found, orders, query.datagram))
        if is_complete and query.name == query.key and (query.edns is None or not query.edns.options):
            if len(self.rows) >= SIZE:
                self.rows.clear()
            self.rows[data[2:]] = replies
        return data[:2] + self._random.choice(replies)


def single(query: Query, found: Found, limit: int, random: Random) -> bytes:
    """One answer from the zones, with its addresses in a random order."""
    orders, _ = _orders(found, random)
    return next(_made(query, found, [random.choice(orders)], limit))


def _made(query: Query, found: Found, orders: Sequence[Sequence[bytes]], limit: int) -> Iterator[bytes]:
    first = [answer.wire() for answer in found.answers if answer.type not in _ADDRESSES]
    additional = [answer.wire() for answer in found.additional]
    for order in orders:
        yield reply(query, found.code, limit, [*first, *order], additional)


def _orders(found: Found, random: Random) -> tuple[Sequence[Sequence[bytes]], bool]:
    """Orders of the addresses in which each comes first equally often, and whether that holds.

    All orders of a few. Of more, rotations of random ones, about two dozen; one random order when they are too many.
    """
    addresses = [answer.wire() for answer in found.answers if answer.type in _ADDRESSES]
    count = len(addresses)
    if count <= _ALL_ORDERS_OF:
        return list(permutations(addresses)), True
    if count > _ORDERS:
        return [random.sample(addresses, count)], False
    orders: list[Sequence[bytes]] = []
    for _ in range(ceil(_ORDERS / count)):
        shuffled = random.sample(addresses, count)
        orders += [shuffled[start:] + shuffled[:start] for start in range(count)]
    return orders, True

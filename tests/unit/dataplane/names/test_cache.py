"""Answers of other servers: for how long they are kept, and what is said after that."""

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from linkspan.dataplane.names.cache import RECHECK_SECONDS, STALE_SECONDS, STALE_TTL, Cache, Key, key_of
from linkspan.dataplane.names.messages import Query, read
from tests.fakes.resolvers import records

SOA = "example. 900 IN SOA ns.example. me.example. 1 2 3 4 120"


def query(name: str = "www.example", kind: str = "A", **settings: Any) -> Query:
    found = read(dns.message.make_query(name, kind, **settings).to_wire())
    assert isinstance(found, Query)
    return found


def key(**settings: Any) -> Key:
    found = key_of(query(**settings))
    assert found is not None
    return found


KEY = key()


def answer(*lines: str, authority: str = "", code: dns.rcode.Rcode = dns.rcode.NOERROR) -> bytes:
    question = dns.message.make_query("www.example", "A")
    made = records(*lines, authority=authority, code=code)(question, False)
    assert isinstance(made, dns.message.Message)
    return made.to_wire()


WORLD = answer("www.example. 300 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.80")


def ttls(message: bytes | None) -> list[int]:
    assert message is not None
    read = dns.message.from_wire(message)
    return [rrset.ttl for rrset in (*read.answer, *read.authority)]


def kept(message: bytes, size: int = 10) -> Cache:
    cache = Cache(size)
    cache.put(KEY, message, 1000.0)
    return cache


def test_ttls_are_counted_down_until_the_shortest_has_run_out() -> None:
    cache = kept(WORLD)
    assert ttls(cache.fresh(KEY, 1000.0)) == [300, 60]
    assert ttls(cache.fresh(KEY, 1059.5)) == [241, 1]
    assert cache.fresh(KEY, 1060.0) is None


def test_a_negative_answer_is_kept_as_its_soa_says() -> None:
    for code in (dns.rcode.NXDOMAIN, dns.rcode.NOERROR):
        cache = kept(answer(authority=SOA, code=code))
        assert cache.fresh(KEY, 1119.0) is not None
        assert cache.fresh(KEY, 1120.0) is None


@pytest.mark.parametrize(
    "message",
    [
        answer(code=dns.rcode.NXDOMAIN),
        answer("www.example. 0 IN A 192.0.2.80"),
        answer("www.example. 300 IN A 192.0.2.80", code=dns.rcode.SERVFAIL),
        answer(*(f"www.example. 300 IN A 192.0.{high}.{low}" for high in range(2) for low in range(200))),
        WORLD[:-1],
    ],
    ids=["negative without SOA", "TTL 0", "failure", "long", "broken"],
)
def test_what_must_not_or_cannot_be_kept_is_not(message: bytes) -> None:
    assert len(kept(message)) == 0


def test_an_expired_answer_is_there_for_a_day_with_a_short_ttl() -> None:
    cache = kept(WORLD)
    assert ttls(cache.stale(KEY, 2000.0)) == [STALE_TTL, STALE_TTL]
    assert cache.stale(KEY, 1060.0 + STALE_SECONDS) is None


def test_after_a_failure_the_expired_answer_is_served_at_once_for_a_moment() -> None:
    cache = kept(WORLD)
    cache.failed(KEY, 2000.0)
    assert ttls(cache.fresh(KEY, 2000.0)) == [STALE_TTL, STALE_TTL]
    assert cache.fresh(KEY, 2000.0 + RECHECK_SECONDS) is None


def test_the_oldest_goes_when_it_is_full() -> None:
    cache = Cache(2)
    keys = [key(name=f"{number}.example") for number in range(3)]
    for each in keys:
        cache.put(each, WORLD, 1000.0)
    assert len(cache) == 2
    assert [cache.fresh(each, 1000.0) is not None for each in keys] == [False, True, True]


def test_what_may_be_answered_differently_is_kept_apart() -> None:
    plain = query()
    assert key_of(plain) == key_of(query("WWW.Example"))
    others = [
        query(kind="AAAA"),
        query("w.example"),
        query(use_edns=0),
        query(want_dnssec=True),
        query(flags=dns.flags.RD | dns.flags.CD),
    ]
    assert len({key_of(each) for each in (plain, *others)}) == 6


def test_a_question_with_options_is_not_kept() -> None:
    assert key_of(query(options=[dns.edns.ECSOption("192.0.2.0", 24)])) is None

"""How a trace tells where an answer came from."""

from pathlib import Path

import pytest

from linkspan.dataplane.names import forward
from linkspan.model.dataplane import Trace
from linkspan.model.errors import InvalidError, NotFoundError
from tests.fakes.resolvers import Internet, records, silent
from tests.support.nameservers import Port, list_servers, looped, resolver, serving_names

WORLD = "www.example. 300 IN A 192.0.2.80"


def steps(trace: Trace) -> list[tuple[str, str]]:
    return [(step.where, step.outcome) for step in trace.steps]


@looped
async def test_a_trace_tells_where_an_answer_came_from(resolv_conf: Path) -> None:
    internet = Internet()
    list_servers(resolv_conf, "198.51.100.1", "198.51.100.2")
    async with internet.server("198.51.100.2", records(WORLD)), serving_names(resolv_conf, internet) as names:
        Port(names, resolver())
        known = await names.trace("box", "web", "A")
        assert (known.status, known.answers) == ("NOERROR", ("web. 600 IN A 10.1.0.2",))
        assert steps(known) == [("zone shop", "answered")]
        asked = await names.trace("box", "www.example", "a")
        assert (asked.status, asked.answers) == ("NOERROR", (WORLD,))
        assert steps(asked) == [
            ("zone shop", "no such name"),
            ("cache", "unknown"),
            ("upstream 198.51.100.1 from the host", "Network is unreachable"),
            ("upstream 198.51.100.2 from the host", "NOERROR"),
        ]
        assert steps(await names.trace("box", "www.example", "A"))[1] == ("cache", "known")


@looped
async def test_a_trace_names_the_servers_that_stay_silent(resolv_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "ROUNDS", (0.01, 0.01))
    internet = Internet()
    async with internet.server("198.51.100.1", silent), serving_names(resolv_conf, internet) as names:
        Port(names, resolver())
        asked = await names.trace("box", "www.example", "A")
        assert asked.status == "SERVFAIL"
        assert steps(asked)[-1] == ("upstream 198.51.100.1 from the host", "no answer")


@looped
async def test_a_trace_of_nobody_or_of_nonsense_is_refused(resolv_conf: Path) -> None:
    async with serving_names(resolv_conf, Internet()) as names:
        Port(names, resolver())
        with pytest.raises(NotFoundError, match="other"):
            await names.trace("other", "web", "A")
        for name, kind in (("a..b", "A"), ("web", "NONSENSE")):
            with pytest.raises(InvalidError, match=r"a\.\.b|NONSENSE"):
                await names.trace("box", name, kind)

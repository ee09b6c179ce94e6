"""Which of others' chains are named as obstacles, and for which bridges."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from linkspan.model.addressing import Version
from linkspan.model.problems import Problem
from linkspan.model.requests import CreateNetwork, Request
from linkspan.plan.observation import ForeignChain
from tests.support.engines import World


def chain(*interfaces: str, versions: tuple[Version, ...] = (4, 6)) -> ForeignChain:
    return ForeignChain("nftables chain inet f c", "its policy is drop", versions, frozenset(interfaces))


def stopped(found: ForeignChain, *requests: Request[Any]) -> str:
    """What is said about a chain."""
    world = World()
    world.kernel.chains = [found]

    async def look() -> Sequence[Problem]:
        async with world.engine() as engine:
            for request in requests:
                await engine.apply(request)
            return await engine.obstacles()

    problems = asyncio.run(look())
    return problems[0].message if problems else ""


def test_a_chain_that_knows_nothing_of_a_bridge_stops_it() -> None:
    assert "its policy is drop, and none of its rules mentions docker0:" in stopped(chain("lan0"))


@pytest.mark.parametrize("pattern", ["docker0", "docker*", "dock+"])
def test_a_chain_that_mentions_a_bridge_is_taken_to_know_it(pattern: str) -> None:
    assert stopped(chain(pattern)) == ""


def test_a_chain_of_the_other_family_sees_nothing_of_a_bridge() -> None:
    assert stopped(chain(versions=(6,))) == ""


def test_an_internal_network_has_nothing_to_forward() -> None:
    internal = CreateNetwork("n", internal=True, options={"com.docker.network.bridge.name": "inner"})
    assert "inner" not in stopped(chain(), internal)

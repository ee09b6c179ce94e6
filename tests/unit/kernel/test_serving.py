"""What the data plane is told, and what becomes of it when it does not listen."""

import asyncio
import logging
from ipaddress import ip_address

import pytest

from linkspan.kernel.services import Found
from linkspan.kernel.serving import MANY, Serving, supervised
from linkspan.model.dataplane import HostPort, NameEntry
from linkspan.model.errors import UnservedError
from linkspan.model.ports import PortRange, Protocol
from tests.fakes.planes import Plane

PORT = HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(80, 80), "o")
RELAYED = HostPort(PORT.protocol, PORT.address, PORT.ports, "o", relay=(ip_address("10.0.0.2"), PortRange(80, 80)))
NAME = NameEntry("n", "s", ("web",), (), "o")


def given(*, outlives: bool = True) -> tuple[Plane, Serving]:
    """A data plane that outlives us has been given a port, with socket 7; another nothing."""
    plane = Plane()
    return plane, Serving(plane, {PORT.key: (PORT, (7,))} if outlives else {}, outlives=outlives)


def settle(serving: Serving, *steps: Found, tolerant: bool = False) -> None:
    async def whole() -> None:
        async with supervised(serving):
            for found in steps:
                await serving.settle(found, tolerant=tolerant)

    asyncio.run(whole())


@pytest.fixture
def both() -> tuple[Plane, Serving]:
    return given()


@pytest.fixture
def plane(both: tuple[Plane, Serving]) -> Plane:
    return both[0]


@pytest.fixture
def serving(both: tuple[Plane, Serving]) -> Serving:
    return both[1]


def test_what_is_new_is_put_with_its_sockets(serving: Serving, plane: Plane) -> None:
    other = HostPort(Protocol.UDP, PORT.address, PORT.ports, "o")
    settle(serving, {NAME.key: (NAME, ())}, {other.key: (other, (8,))})
    assert plane.told == [([(NAME, ())], []), ([(other, (8,))], [])]


def test_a_new_value_keeps_its_sockets(serving: Serving, plane: Plane) -> None:
    settle(serving, {PORT.key: (RELAYED, (7,))})
    assert plane.told == [([(RELAYED, ())], [])]


def test_new_sockets_are_sent_though_the_value_is_the_same(serving: Serving, plane: Plane) -> None:
    settle(serving, {PORT.key: (PORT, (9,))})
    assert plane.told == [([(PORT, (9,))], [])]


def test_what_is_gone_is_dropped_once(serving: Serving, plane: Plane) -> None:
    settle(serving, {PORT.key: None}, {PORT.key: None})
    assert plane.told == [([], [PORT.key])]


def test_without_a_difference_nothing_is_said(serving: Serving, plane: Plane) -> None:
    settle(serving, {PORT.key: (PORT, (7,)), NAME.key: None})
    assert plane.told == []


def test_everything_that_was_given_is_wanted(serving: Serving) -> None:
    settle(serving, {NAME.key: (NAME, ()), PORT.key: (RELAYED, (7,))})
    assert serving.wanted == {NAME.key: (NAME, ()), PORT.key: (RELAYED, (7,))}


def test_what_cannot_be_served_is_an_error_of_who_asked_for_it(serving: Serving, plane: Plane) -> None:
    plane.down = True
    with pytest.raises(UnservedError, match="it is down"):
        settle(serving, {NAME.key: (NAME, ())})


@pytest.mark.parametrize("tolerant", [False, True])
def test_what_cannot_be_taken_away_is_logged_and_not_wanted_any_more(
    serving: Serving, plane: Plane, caplog: pytest.LogCaptureFixture, tolerant: bool
) -> None:
    plane.down = True
    with caplog.at_level(logging.ERROR):
        settle(serving, {PORT.key: None}, tolerant=tolerant)
    assert "it is down" in caplog.text
    assert serving.wanted == {}


def test_an_undo_is_not_stopped(serving: Serving, plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    plane.down = True
    settle(serving, {NAME.key: (NAME, ())}, tolerant=True)
    assert "it is down" in caplog.text


def test_nobody_waits_until_a_great_many_sockets_are_handed_over(
    serving: Serving, plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    many = HostPort(Protocol.TCP, PORT.address, PortRange(8000, 8000 + MANY), "o")
    found: Found = {many.key: (many, tuple(range(10, 11 + MANY)))}

    async def whole() -> None:
        async with supervised(serving):
            plane.busy.clear()
            await serving.settle(found, tolerant=False)
            assert serving.wanted[many.key] == found[many.key]
            plane.busy.set()
            await serving.settle({many.key: None}, tolerant=False)
            plane.down = True
            await serving.settle(found, tolerant=False)

    with caplog.at_level(logging.ERROR):
        asyncio.run(whole())
    assert [(len(put), drop) for put, drop in plane.told] == [(1, []), (0, [many.key])]
    assert "it is down" in caplog.text


def test_one_who_stops_waiting_stops_no_later_change(serving: Serving, plane: Plane) -> None:
    async def whole() -> None:
        async with supervised(serving):
            plane.busy.clear()
            waiting = asyncio.create_task(serving.settle({NAME.key: (NAME, ())}, tolerant=False))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            plane.busy.set()
            await serving.settle({PORT.key: None}, tolerant=False)

    asyncio.run(whole())
    assert plane.told == [([(NAME, ())], []), ([], [PORT.key])]


def test_one_that_ends_with_us_gets_only_what_it_relays() -> None:
    plane, serving = given(outlives=False)
    other = HostPort(Protocol.UDP, PORT.address, PORT.ports, "o")
    relayed: Found = {PORT.key: (RELAYED, (7,))}
    settle(serving, {other.key: (other, (8,))}, {NAME.key: (NAME, ())}, relayed, {PORT.key: (PORT, (7,))})
    assert plane.told == [([(NAME, ())], []), ([(RELAYED, (7,))], []), ([], [PORT.key])]


def test_an_unexpected_failure_is_an_error_and_the_next_change_is_made(
    serving: Serving, plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> None:
        async with supervised(serving):
            plane.broken = True
            with pytest.raises(UnservedError, match="the data plane failed: a defect"):
                await serving.settle({NAME.key: (NAME, ())}, tolerant=False)
            plane.broken = False
            await serving.settle({PORT.key: None}, tolerant=False)

    asyncio.run(whole())
    assert plane.told == [([], [PORT.key])]
    assert "unexpected" in caplog.text

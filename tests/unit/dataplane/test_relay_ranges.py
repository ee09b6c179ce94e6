"""A relay's ranges: a great many sockets begin to be served some at a time."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from linkspan.dataplane.relay import Relay, Served
from linkspan.dataplane.relay.core import SLICE
from linkspan.dataplane.relay.poller import Handler, Poller
from linkspan.model.dataplane import HostPort
from linkspan.model.ports import PortRange, Protocol
from tests.support.patience import PATIENCE
from tests.support.relays import HERE, bound, make_socket, port_of, until

MANY = 3 * SLICE + 1
KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}


@dataclass(frozen=True)
class Range:
    """Ports served by a relay: any that were free, in the order of a range. The last leads to the server."""

    relay: Relay
    served: Served
    value: HostPort
    numbers: Sequence[int]
    descriptors: Sequence[int]
    server: socket.socket

    def open(self) -> int:
        """How many of the descriptors there are still."""
        return sum(Path(f"/proc/self/fd/{number}").exists() for number in self.descriptors)

    async def finished(self) -> None:
        """All are served."""
        await until(lambda: not self.relay.unfinished)


@asynccontextmanager
async def served(protocol: Protocol = Protocol.TCP) -> AsyncIterator[Range]:
    async with Relay(make_socket) as relay, asyncio.timeout(PATIENCE):
        with bound(KINDS[protocol]) as server:
            listeners = [bound(KINDS[protocol]) for _ in range(MANY)]
            numbers = [port_of(each) for each in listeners]
            target = PortRange(port_of(server) - MANY + 1, port_of(server))
            value = HostPort(protocol, ip_address(HERE), PortRange(1, MANY), "o", (ip_address(HERE), target))
            descriptors = [each.detach() for each in listeners]
            yield Range(relay, relay.serve(value, descriptors), value, numbers, descriptors, server)


def told(story: Callable[[Range], Awaitable[None]], protocol: Protocol = Protocol.TCP) -> None:
    async def whole() -> None:
        async with served(protocol) as place:
            await story(place)

    asyncio.run(whole())


async def is_carried(place: Range) -> None:
    """Who connects to the last port is led to the server."""
    with socket.create_connection((HERE, place.numbers[-1])):
        accepted, _ = await asyncio.get_running_loop().sock_accept(place.server)
        accepted.close()


def test_a_client_of_a_port_whose_turn_has_not_come_only_waits() -> None:
    async def story(place: Range) -> None:
        assert place.relay.unfinished
        await is_carried(place)

    told(story)


def test_the_last_port_of_datagrams_is_served_too() -> None:
    async def story(place: Range) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", (HERE, place.numbers[-1]))
            assert await asyncio.get_running_loop().sock_recv(place.server, 10) == b"hello"

    told(story, Protocol.UDP)


def test_others_have_their_turns_before_all_of_a_range_is_served() -> None:
    async def story(place: Range) -> None:
        turns = 0
        while place.relay.unfinished:
            turns += 1
            await asyncio.sleep(0)
        assert turns >= MANY // SLICE

    told(story)


def test_what_leads_elsewhere_meanwhile_leads_there_altogether() -> None:
    async def story(place: Range) -> None:
        with bound(socket.SOCK_STREAM) as other:
            target = PortRange(port_of(other) - MANY + 1, port_of(other))
            place.served.retarget(replace(place.value, relay=(place.value.address, target)))
            await place.finished()
            await is_carried(replace(place, server=other))

    told(story)


@pytest.mark.parametrize("end", [Served.close, Served.retire], ids=["close", "retire"])
@pytest.mark.parametrize("protocol", KINDS)
def test_the_end_frees_the_ports_whose_turn_has_not_come_as_well(
    protocol: Protocol, end: Callable[[Served], None]
) -> None:
    async def story(place: Range) -> None:
        assert place.open() == MANY
        end(place.served)
        assert place.open() == 0
        assert not place.relay.unfinished

    told(story, protocol)


def test_the_end_of_the_relay_frees_them() -> None:
    async def whole() -> Range:
        async with served() as place:
            assert place.relay.unfinished
        return place

    assert asyncio.run(whole()).open() == 0


def test_when_no_more_sockets_can_be_watched_the_rest_is_served_later(monkeypatch: pytest.MonkeyPatch) -> None:
    room, add = [SLICE + 5], Poller.add

    def refuse(self: Poller, number: int, events: int, handler: Handler) -> None:
        if not room[0]:
            room[0] = 2 * MANY
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= 1
        add(self, number, events, handler)

    async def story(place: Range) -> None:
        await until(lambda: room[0] > MANY)
        assert place.relay.unfinished
        await is_carried(place)

    monkeypatch.setattr(Poller, "add", refuse)
    told(story)

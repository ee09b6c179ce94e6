"""The relay's UDP ports, between sockets of the loopback interface."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from linkspan.dataplane.relay import Relay, udp
from linkspan.dataplane.relay.udp import IDLE_SECONDS
from tests.support.patience import PATIENCE
from tests.support.relays import HERE, Carried, bound, carried, host_port, make_socket, port_of

ANY = "0.0.0.0"


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(story: Callable[[Carried, Clock], Awaitable[None]], host: str = ANY) -> None:
    """Run a story with a server behind a relay."""

    async def whole() -> None:
        clock = Clock()
        async with carried(socket.SOCK_DGRAM, host, clock=clock) as place:
            await story(place, clock)

    asyncio.run(whole())


@contextmanager
def client_of(place: Carried, address: str = HERE) -> Iterator[socket.socket]:
    """Connected: answers from any other address than the one asked are dropped."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((address, place.port))
        yield client


async def answered(place: Carried, client: socket.socket, data: bytes) -> tuple[str, int]:
    """Ask and get the answer; where the question came from."""
    question, source = await place.asked(client, data)
    assert question == data
    place.server.sendto(data.upper(), source)
    assert await asyncio.get_running_loop().sock_recv(client, 1 << 16) == data.upper()
    return source


@pytest.mark.parametrize(
    ("host", "asked"),
    [(ANY, "127.0.0.5"), (HERE, HERE), ("::", "::1"), ("::1", "::1"), ("::", "127.0.0.5")],
)
def test_a_datagram_is_answered_from_the_address_it_was_sent_to(host: str, asked: str) -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        with client_of(place, asked) as client:
            await answered(place, client, b"hello")

    told(story, host)


def test_many_clients_get_their_own_answers() -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
        try:
            for number, client in enumerate(clients):
                client.setblocking(False)
                client.connect((HERE, place.port))
                client.send(b"%d" % number)
            for _ in clients:
                question, source = await loop.sock_recvfrom(place.server, 100)
                place.server.sendto(b"answer to " + question, source)
            answers = [await loop.sock_recv(client, 100) for client in clients]
            assert answers == [b"answer to %d" % number for number in range(100)]
        finally:
            for client in clients:
                client.close()

    told(story)


@pytest.mark.parametrize("size", [0, 1, 65_507])
def test_datagrams_of_every_size_are_carried(size: int) -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        with client_of(place) as client:
            await answered(place, client, b"x" * size)

    told(story)


def test_a_client_keeps_its_source_while_it_speaks_and_loses_it_when_silent() -> None:
    async def story(place: Carried, clock: Clock) -> None:
        with client_of(place) as client:
            first = await answered(place, client, b"one")
            clock.now += IDLE_SECONDS - 1
            place.relay.tick()
            assert await answered(place, client, b"two") == first
            clock.now += IDLE_SECONDS - 1
            place.relay.tick()
            assert await answered(place, client, b"three") == first
            clock.now += IDLE_SECONDS
            place.relay.tick()
            await asyncio.sleep(0)  # sockets are closed after the batch
            place.server.connect(first)
            place.server.send(b"too late")
            with pytest.raises(ConnectionRefusedError):  # nobody listens any more where the client came from
                await asyncio.get_running_loop().sock_recv(place.server, 1)

    told(story)


def test_what_the_server_sends_keeps_a_client_too() -> None:
    async def story(place: Carried, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        with client_of(place) as client:
            source = await answered(place, client, b"subscribe")
            for _ in range(3):
                clock.now += IDLE_SECONDS - 1
                place.relay.tick()
                place.server.sendto(b"news", source)
                assert await loop.sock_recv(client, 100) == b"news"

    told(story)


def kept_from_others() -> socket.socket:
    """A port that nobody else is given, and where nobody listens: the socket that has it is connected elsewhere."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((HERE, 0))
    made.connect((HERE, 9))
    return made


def test_a_server_that_is_not_there_yet_does_not_end_the_port() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with Relay(make_socket) as relay, asyncio.timeout(PATIENCE):
            vacant = kept_from_others()
            address = vacant.getsockname()
            listener = bound(socket.SOCK_DGRAM)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(listener.getsockname())
                relay.serve(host_port(listener, address[1]), [listener.detach()])
                for _ in range(3):
                    client.send(b"refused")
                    await asyncio.sleep(0)
                with vacant, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                    server.setblocking(False)
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    server.bind(address)
                    client.send(b"hello")
                    while (await loop.sock_recvfrom(server, 100))[0] != b"hello":
                        pass

    asyncio.run(story())


def test_a_client_that_is_gone_does_not_end_the_port() -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        with client_of(place) as gone:
            _, source = await place.asked(gone, b"and away")
        for _ in range(3):
            place.server.sendto(b"too late", source)
        with client_of(place) as client:
            await answered(place, client, b"hello")

    told(story)


def test_one_client_too_many_replaces_the_one_silent_for_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "CLIENTS", 2)

    async def story(place: Carried, _clock: Clock) -> None:
        with client_of(place) as one, client_of(place) as two, client_of(place) as three:
            source_of_one = await answered(place, one, b"one")
            source_of_two = await answered(place, two, b"two")
            assert await answered(place, one, b"one again") == source_of_one
            await answered(place, three, b"three")
            assert await answered(place, one, b"one at last") == source_of_one
            assert await answered(place, two, b"two again") != source_of_two

    told(story)


def test_a_new_target_is_for_old_clients_too() -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        with client_of(place) as client, bound(socket.SOCK_DGRAM) as elsewhere:
            await answered(place, client, b"hello")
            with bound(socket.SOCK_DGRAM) as like:
                value = host_port(like, port_of(elsewhere))
            place.served.retarget(value)
            client.send(b"you too")
            assert await loop.sock_recv(elsewhere, 100) == b"you too"

    told(story)


def test_a_port_without_target_is_held_and_never_read() -> None:
    async def story() -> None:
        async with Relay(make_socket) as relay:
            listener = bound(socket.SOCK_DGRAM)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, listener.dup() as same:
                client.sendto(b"unread", listener.getsockname())
                relay.serve(host_port(listener, None), [listener.detach()])
                for _ in range(3):
                    await asyncio.sleep(0)
                same.setblocking(False)
                async with asyncio.timeout(PATIENCE):
                    assert await asyncio.get_running_loop().sock_recv(same, 100) == b"unread"

    asyncio.run(story())


def test_a_port_that_is_no_longer_served_is_free() -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        with client_of(place) as client:
            await answered(place, client, b"hello")
        place.served.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((ANY, place.port))

    told(story)


def test_a_retired_port_reads_nothing_and_still_answers() -> None:
    async def story(place: Carried, _clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        with client_of(place) as client:
            _, source = await place.asked(client, b"question")
            place.served.retire()
            client.send(b"for the next")
            place.server.sendto(b"answer", source)
            assert await loop.sock_recv(client, 100) == b"answer"
            with pytest.raises(BlockingIOError):
                place.server.recv(100)

    told(story)


def test_a_retired_port_is_free_once_its_clients_are_silent() -> None:
    """It may be published anew while connections of other ports keep the retired process alive for days."""

    async def story(place: Carried, clock: Clock) -> None:
        with client_of(place) as client:
            await answered(place, client, b"hello")
        place.served.retire()
        clock.now += IDLE_SECONDS
        place.relay.tick()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((ANY, place.port))

    told(story)


def test_an_answer_is_bound_to_the_interface_for_ipv6_alone() -> None:
    """A link-local address means nothing without it; an IPv4 client may be behind another interface than it came by."""
    interface = struct.pack("=i", 7)
    for address, kept in (("fe80::1", interface), ("::ffff:10.0.0.1", bytes(4))):
        packed = socket.inet_pton(socket.AF_INET6, address)
        got = (socket.IPPROTO_IPV6, udp.IPV6_PKTINFO, packed + interface)
        assert udp._spoken_to([got]) == ((*got[:2], packed + kept),)

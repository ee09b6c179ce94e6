"""What the relay does when no more sockets can be made."""

import asyncio
import errno
import logging
import os
import socket

import pytest

from linkspan.dataplane.relay import Relay, tcp
from linkspan.dataplane.relay.overload import QUIET_SECONDS, Overload
from linkspan.dataplane.relay.poller import Handler, Poller
from tests.support.patience import PATIENCE
from tests.support.relays import HERE, bound, host_port, make_socket, port_of


class Shortage:
    """Makes sockets, except for a while."""

    def __init__(self, error: int) -> None:
        self.failures = 3
        self._error = error

    def __call__(self, namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        if self.failures:
            self.failures -= 1
            raise OSError(self._error, os.strerror(self._error))
        return make_socket(namespace, family, kind)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EIO])
def test_a_client_waits_until_there_are_sockets_again(
    error: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "PAUSE_SECONDS", 0.01)

    async def story() -> bytes:
        loop = asyncio.get_running_loop()
        with bound(socket.SOCK_STREAM) as server:
            async with Relay(Shortage(error)) as relay, asyncio.timeout(PATIENCE):
                listener = bound(socket.SOCK_STREAM)
                port = port_of(listener)
                relay.serve(host_port(listener, port_of(server)), [listener.detach()])
                with socket.create_connection((HERE, port)) as client:
                    client.sendall(b"hello")
                    accepted, _ = await loop.sock_accept(server)
                    with accepted:
                        return await loop.sock_recv(accepted, 10)

    assert asyncio.run(story()) == b"hello"
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"relay: new connections have to wait: {os.strerror(error)}"
    ]


def test_a_datagram_is_lost_and_the_next_one_is_carried() -> None:
    async def story() -> None:
        loop, shortage = asyncio.get_running_loop(), Shortage(errno.EMFILE)
        with bound(socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            async with Relay(shortage) as relay, asyncio.timeout(PATIENCE):
                listener = bound(socket.SOCK_DGRAM)
                client.connect(listener.getsockname())
                relay.serve(host_port(listener, port_of(server)), [listener.detach()])
                for number in range(4):
                    client.send(b"%d" % number)
                assert await loop.sock_recv(server, 10) == b"3"

    asyncio.run(story())


def test_a_client_that_cannot_be_watched_is_lost_and_the_next_one_served(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, add = list[int](), Poller.add

    def refuse(self: Poller, number: int, events: int, handler: Handler) -> None:
        if refused == [0]:
            refused.append(number)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        refused[:] = refused or [0]
        add(self, number, events, handler)

    async def story() -> None:
        loop, raised = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, context: raised.append(str(context["exception"])))
        with bound(socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            async with Relay(make_socket) as relay, asyncio.timeout(PATIENCE):
                listener = bound(socket.SOCK_DGRAM)
                client.connect(listener.getsockname())
                relay.serve(host_port(listener, port_of(server)), [listener.detach()])
                client.send(b"lost")
                client.send(b"carried")
                assert await loop.sock_recv(server, 10) == b"carried"
        assert raised == []

    monkeypatch.setattr(Poller, "add", refuse)
    asyncio.run(story())


def test_a_burst_is_logged_once_and_the_next_one_again(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    overload = Overload(lambda: now)
    for step in (0.0, QUIET_SECONDS, QUIET_SECONDS, QUIET_SECONDS + 1, QUIET_SECONDS):
        now += step
        overload.note(OSError(errno.EMFILE, "Too many open files"))
    assert len(caplog.records) == 2

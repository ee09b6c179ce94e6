"""The process of the data plane as a daemon finds it, in this process."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from linkspan.dataplane.link import Link
from linkspan.dataplane.names.core import Names
from linkspan.dataplane.relay import Relay
from linkspan.dataplane.server import Server
from linkspan.dataplane.services import Services
from linkspan.dataplane.wire import Counts, Stats
from linkspan.model.dataplane import HostPort, NameEntry, NameZone
from linkspan.model.errors import UnavailableError
from linkspan.model.ports import PortRange, Protocol
from tests.support.patience import PATIENCE
from tests.support.relays import make_socket

ZONE = NameZone("n", "shop", "o")
PORT = HostPort(Protocol.SCTP, ip_address("192.0.2.1"), PortRange(80, 80), "o")
"""Without sockets, on a kernel without SCTP."""


class Mistaken(Names):
    """A name server with a mistake."""

    def put(self, value: NameZone | NameEntry) -> None:
        raise KeyError(value.network)


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()
    lock = os.open(os.devnull, os.O_RDONLY)
    async with Relay(make_socket) as relay, Mistaken(make_socket) as names, asyncio.TaskGroup() as group:
        services = Services(relay, names)
        server = Server(services, listener, path, build="", lock=lock, idle_seconds=9, grace_seconds=0)
        group.create_task(server.run())
        yield
        server.end()


def test_a_mistake_with_one_service_is_logged_and_the_rest_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "socket"

    async def story() -> None:
        async with asyncio.timeout(PATIENCE), serving(path), asyncio.TaskGroup() as group:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            end.connect(str(path))
            link = Link(end)
            group.create_task(link.run())
            with pytest.raises(UnavailableError, match="zone n: KeyError"):
                await link.change([(ZONE, ()), (PORT, ())], ())
            assert await link.ask(Stats(), Counts) == (Counts({"port": 1}, 0), ())
            link.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())
    assert "KeyError: 'n'" in caplog.text

"""The data plane of an engine without a daemon does what the process does."""

import os
import socket

import pytest

from linkspan.dataplane.local import LocalDataPlane
from linkspan.dataplane.ports import MakeSocket
from linkspan.model.errors import NotFoundError, UnavailableError
from linkspan.model.ports import Protocol
from tests.support.packets import bound
from tests.support.planes import PUBLISHED, UDP_PORT, PlaneHost, Sockets, close, inodes, port, traffic


def maker(host: PlaneHost) -> MakeSocket:
    return lambda _, family, kind: host.site.visit(lambda: socket.socket(family, kind))


async def test_it_serves_names_and_relayed_ports(host: PlaneHost) -> None:
    sockets = host.everything()
    async with LocalDataPlane.open(maker(host)) as plane:
        await plane.change(list(sockets.items()), ())
        async with traffic(host.ways) as seen:
            pass
        assert seen.failures == []
        assert (await plane.trace("s1", "web", "A")).status == "NOERROR"
        with pytest.raises(NotFoundError):
            await plane.trace("nobody", "web", "A")
    close(sockets)


async def test_what_it_holds_is_taken_with_descriptors_of_the_callers_own(host: PlaneHost) -> None:
    sockets = host.bind(port(80))
    async with LocalDataPlane.open(maker(host)) as plane:
        await plane.change(list(sockets.items()), ())
        held = await plane.take()
    assert inodes(held[port(80).key][1]) == inodes(sockets[port(80)])
    close(sockets)
    close(dict(held.values()))


async def test_its_end_frees_the_ports(host: PlaneHost) -> None:
    sockets = host.everything()
    async with LocalDataPlane.open(maker(host)) as plane:
        await plane.change(list(sockets.items()), ())
        close(sockets)
        with pytest.raises(OSError, match="in use"):
            bound(host.site, PUBLISHED, UDP_PORT, "udp")
    bound(host.site, PUBLISHED, UDP_PORT, "udp").close()


async def test_what_is_refused_is_an_error_and_the_rest_is_done(host: PlaneHost) -> None:
    sctp = port(9, relay=9, protocol=Protocol.SCTP)
    sockets: Sockets = {sctp: [os.open("/dev/null", os.O_RDONLY)], **host.bind(port(80))}
    async with LocalDataPlane.open(maker(host)) as plane:
        with pytest.raises(UnavailableError, match="SCTP"):
            await plane.change(list(sockets.items()), ())
        assert (await plane.load()).services == {"port": 1}
    close(sockets)

"""The process itself: how it starts, holds, refuses and ends."""

import asyncio
import os
import resource
import signal
import socket

import pytest

from linkspan.dataplane import client
from linkspan.dataplane.starting import Place
from linkspan.model.errors import InvalidError, NotFoundError, UnavailableError
from linkspan.model.ports import Protocol
from tests.support.packets import bound
from tests.support.planes import ENTRY, PUBLISHED, ZONE, PlaneHost, Sockets, close, inodes, port

pytestmark = pytest.mark.slow


async def test_it_starts_in_the_hosts_namespace_and_in_a_session_of_its_own(host: PlaneHost) -> None:
    async with host.daemon():
        assert host.pid is not None
        assert host.network == host.site.namespace.stat().st_ino
        assert os.getsid(host.pid) != os.getsid(0)
        assert host.place.socket.stat().st_mode & 0o777 == 0o600


async def test_a_daemon_that_comes_again_finds_the_same_sockets(host: PlaneHost) -> None:
    sockets = {**host.bind(port(80), port(8000, 8002)), ZONE: [], ENTRY: []}
    async with host.daemon() as plane:
        await plane.change(list(sockets.items()), ())
        pid = host.pid

    async with host.daemon() as plane:
        held = await plane.take()

    assert host.pid == pid
    assert {service: inodes(descriptors) for service, descriptors in held.values()} == {
        service: inodes(descriptors) for service, descriptors in sockets.items()
    }
    close(sockets)
    close(dict(held.values()))


async def test_the_process_alone_keeps_a_port_until_it_is_dropped(host: PlaneHost) -> None:
    published = port(80)
    async with host.daemon() as plane:
        sockets = host.bind(published)
        await plane.change(list(sockets.items()), ())
        close(sockets)
        with pytest.raises(OSError, match="in use"):
            bound(host.site, PUBLISHED, 80)
        await plane.change((), [published.key])
        bound(host.site, PUBLISHED, 80).close()


async def test_a_range_of_thousands_of_ports_is_one_service(host: PlaneHost) -> None:
    published = port(20_000, 22_999)
    sockets = host.bind(published)
    async with host.daemon() as plane:
        await plane.change(list(sockets.items()), ())
        held = await plane.take()
    assert inodes(held[published.key][1]) == inodes(sockets[published])
    close(sockets)
    close(dict(held.values()))


async def test_more_than_there_is_room_for_is_refused_and_what_is_held_stays(host: PlaneHost) -> None:
    first, many = port(80), port(20_000, 20_299)
    sockets = host.bind(first, many)
    async with host.daemon() as plane:
        await plane.change([(first, sockets[first])], ())
        assert host.pid is not None
        pid = host.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (100, 100))
        with pytest.raises(UnavailableError, match="room"):
            await plane.change([(many, sockets[many])], ())
        counts = await plane.stats()
    assert (counts.services, counts.sockets, host.pid) == ({"port": 1}, 1, pid)
    close(sockets)


async def test_a_daemon_is_heard_when_there_is_no_room_for_one_more_connection(host: PlaneHost) -> None:
    async with host.daemon() as plane:
        await plane.change([(ZONE, ())], ())
        full = host.pid
    host.leave_no_room()
    for _ in range(2):
        async with host.daemon() as plane:
            assert (await plane.stats()).services == {"zone": 1}
    assert host.pid == full
    assert "Too many open files" in host.log()


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00", b"\x00garbage", b"\x00\x92\x01\x81", b"\x01", b"\x00" + bytes(40_000)]
)
async def test_garbage_ends_a_connection_and_nothing_else(host: PlaneHost, garbage: bytes) -> None:
    async with host.daemon() as plane:
        pid = host.pid
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(str(host.place.socket))
            stranger.send(garbage)
        await plane.change([(ZONE, ())], ())
        assert (await plane.stats()).services == {"zone": 1}
        assert host.pid == pid


async def test_the_daemon_that_came_last_is_heard(host: PlaneHost) -> None:
    async with host.daemon() as plane:
        await plane.change([(ZONE, ())], ())
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.setblocking(False)
            other.connect(str(host.place.socket))
            # The first is cut off, and comes back at once: then it is the last.
            assert (await plane.stats()).services == {"zone": 1}
            assert await asyncio.get_running_loop().sock_recv(other, 1) == b""


async def test_a_process_that_nobody_needs_ends(host: PlaneHost) -> None:
    async with host.daemon("--idle-seconds", "0.1"):
        pid = host.pid
    assert pid is not None
    await host.gone(pid)
    assert not host.place.socket.exists()


async def test_a_process_that_serves_something_goes_on_alone(host: PlaneHost) -> None:
    async with host.daemon("--idle-seconds", "0.05") as plane:
        await plane.change([(ZONE, ())], ())
        pid = host.pid
    await asyncio.sleep(0.3)  # six times as long as it would wait
    assert host.pid == pid


async def test_a_process_that_nobody_can_reach_any_more_ends(host: PlaneHost) -> None:
    async with host.daemon("--idle-seconds", "0.1", "--grace-seconds", "0.1") as plane:
        await plane.change([(ZONE, ())], ())
        pid = host.pid
    assert pid is not None
    host.place.socket.unlink()
    await host.gone(pid)


async def test_sigterm_ends_it_in_order(host: PlaneHost) -> None:
    async with host.daemon() as plane:
        await plane.change([(ZONE, ())], ())
        pid = host.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    await host.gone(pid)
    assert 'msg="the data plane has ended"' in host.log()
    assert not host.place.socket.exists()


async def test_a_process_that_is_stuck_is_replaced(host: PlaneHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GREETING", 0.2)
    monkeypatch.setattr("linkspan.dataplane.starting.ENDING", 0.2)
    async with host.daemon():
        stuck = host.pid
    assert stuck is not None
    os.kill(stuck, signal.SIGSTOP)
    async with host.daemon() as plane:
        assert not await plane.take()
        assert host.pid not in (None, stuck)
    await host.gone(stuck)


async def test_a_process_that_cannot_start_is_an_error_that_names_its_log(host: PlaneHost) -> None:
    with pytest.raises(UnavailableError) as failure:
        async with host.daemon("--no-such-option", "1"):
            pass
    assert str(host.place.log) in (failure.value.hint or "")
    assert "no-such-option" in host.log()


async def test_an_exec_root_that_is_too_long_for_a_socket_is_an_error_that_says_so(host: PlaneHost) -> None:
    host.place = Place(host.place.exec_root / ("x" * 100))
    with pytest.raises(UnavailableError, match=r"x: AF_UNIX path too long"):
        async with host.daemon():
            pass


async def test_a_trace_comes_from_the_process(host: PlaneHost) -> None:
    sockets = host.everything()
    async with host.daemon() as plane:
        await plane.change(list(sockets.items()), ())
        trace = await plane.trace("s1", "web", "A")
        assert trace.status == "NOERROR" and "10.0.0.2" in trace.answers[0] and trace.steps
        with pytest.raises(NotFoundError):
            await plane.trace("nobody", "web", "A")
        with pytest.raises(InvalidError):
            await plane.trace("s1", "web", "NOSUCHTYPE")
    close(sockets)


async def test_what_is_refused_is_an_error_and_the_rest_is_done(host: PlaneHost) -> None:
    sctp = port(9, relay=9, protocol=Protocol.SCTP)
    sockets: Sockets = {sctp: [os.open("/dev/null", os.O_RDONLY)], ZONE: []}
    async with host.daemon() as plane:
        with pytest.raises(UnavailableError, match="SCTP"):
            await plane.change(list(sockets.items()), ())
        assert (await plane.stats()).services == {"zone": 1}
    close(sockets)

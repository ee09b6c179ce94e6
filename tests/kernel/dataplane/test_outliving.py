"""The process outlives the daemon, is outlived by it, and is replaced, without a client that notices."""

import asyncio
import os
import signal
import time

import pytest

from linkspan.dataplane import client, starting, wire
from linkspan.dataplane.link import Link, LostError
from linkspan.dataplane.ports import Held
from linkspan.model.dataplane import NameEntry
from linkspan.model.errors import UnavailableError
from linkspan.model.ports import Protocol
from tests.support.packets import ask, serving
from tests.support.planes import (
    ENTRY,
    PUBLISHED,
    TCP_PORT,
    ZONE,
    PlaneHost,
    Sockets,
    close,
    doomed_daemon,
    inodes,
    is_within_a_second,
    port,
    traffic,
    wanted,
)

pytestmark = pytest.mark.slow


async def test_nobody_notices_that_the_daemon_is_killed_and_another_comes(host: PlaneHost) -> None:
    daemon = await doomed_daemon(host)
    pid = host.pid
    async with traffic(host.ways) as seen:
        for _ in range(3):
            daemon.kill()
            await daemon.wait()
            async with host.daemon() as plane:
                held = await plane.take()
                changed = NameEntry(ENTRY.network, "s2", ("api",), ENTRY.addresses, "owner")
                await plane.change([(changed, ())], [])
                await plane.change([], [changed.key])
                close(dict(held.values()))
            await seen.goes_on()
            daemon = await doomed_daemon(host)
    assert seen.failures == []
    assert host.pid == pid
    daemon.kill()
    await daemon.wait()


async def test_nobody_notices_an_upgrade(host: PlaneHost, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = host.everything()
    async with host.daemon() as plane:
        await plane.change(list(sockets.items()), ())
    close(sockets)
    processes = {host.pid}
    async with traffic(host.ways) as seen:
        for version in ("newer", "newest"):
            monkeypatch.setattr(starting, "build_id", lambda version=version: version)
            async with host.daemon() as plane:
                held = await plane.take()
                assert len(held) == len(sockets)
                close(dict(held.values()))
                processes.add(host.pid)
            await seen.goes_on(5)
    assert seen.failures == []
    assert len(processes) == 3


async def test_the_old_process_ends_with_its_last_connection(host: PlaneHost, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = host.everything()
    async with host.daemon("--grace-seconds", "0.1") as plane:
        await plane.change(list(sockets.items()), ())
        old = host.pid
    assert old is not None
    async with traffic(host.ways):
        monkeypatch.setattr(starting, "build_id", lambda: "newer")
        async with host.daemon():
            await asyncio.sleep(0.5)
            os.kill(old, 0)
    await host.gone(old)
    close(sockets)


async def test_an_old_process_retires_by_itself_when_the_upgrade_was_broken_off(
    host: PlaneHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = host.everything()
    async with host.daemon("--grace-seconds", "0.1", "--idle-seconds", "0.2") as plane:
        await plane.change(list(sockets.items()), ())
        old = host.pid
    assert old is not None
    monkeypatch.setattr(starting, "build_id", lambda: "newer")
    monkeypatch.setattr(client, "Retire", wire.Stats)  # as if the daemon had been killed before it could ask for it
    async with host.daemon() as plane:
        assert (await plane.stats()).sockets == sum(map(len, sockets.values()))
        await host.gone(old)
        assert host.pid not in (None, old)
    close(sockets)


async def test_a_killed_process_is_back_within_a_second_with_the_same_sockets(host: PlaneHost) -> None:
    published = port(TCP_PORT, relay=7000)
    sockets = {**host.bind(published), ZONE: [], ENTRY: []}
    async with host.daemon() as plane:
        plane.wanted = lambda: wanted(sockets)
        await plane.change(list(sockets.items()), ())
        assert host.pid is not None
        with serving(host.site, 7000, address="127.0.0.2", name="web"):
            killed = time.monotonic()
            os.kill(host.pid, signal.SIGKILL)
            # The connection waits in the queue of the socket, which is the daemon's as well.
            assert await ask(host.site, PUBLISHED, TCP_PORT) == "web 127.0.0.1"
            assert await is_within_a_second(time.monotonic() - killed)
        held = await plane.take()
        assert inodes(held[published.key][1]) == inodes(sockets[published])
        assert (await plane.stats()).services == {"port": 1, "zone": 1, "name": 1}
    close(dict(held.values()))
    close(sockets)


async def test_a_change_while_the_process_is_dead_is_made_when_it_is_back(host: PlaneHost) -> None:
    async with host.daemon() as plane:
        plane.wanted = lambda: wanted({ZONE: []})
        await plane.change([(ZONE, ())], ())
        assert host.pid is not None
        os.kill(host.pid, signal.SIGKILL)
        await plane.change([(ENTRY, ())], ())
        assert (await plane.stats()).services == {"zone": 1, "name": 1}


async def test_a_process_that_gets_stuck_is_ended_and_the_change_it_kept_waiting_made_by_another(
    host: PlaneHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "HEARTBEAT", 0.2)
    monkeypatch.setattr(client, "GREETING", 0.2)
    monkeypatch.setattr(starting, "ENDING", 0.2)
    sockets = host.everything()
    async with host.daemon() as plane:
        plane.wanted = lambda: wanted(sockets)
        stuck = host.pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)
        await plane.change(list(sockets.items()), ())
        monkeypatch.undo()  # the next one is not to be taken for stuck because the machine is busy
        await host.gone(stuck)
        assert (await plane.stats()).services
        assert host.pid not in (None, stuck)
    close(sockets)


async def test_what_was_dropped_in_vain_is_dropped_when_the_process_is_connected_to_again(host: PlaneHost) -> None:
    sockets: Sockets = {ZONE: [], ENTRY: []}
    async with host.daemon() as plane:
        await plane.change(list(sockets.items()), ())
        plane.wanted = lambda: wanted({ZONE: []})
        other = starting.connect(host.place)  # ends the connection that there is
        assert other is not None
        with other:
            await plane._lost.wait()
            assert (await plane.stats()).services == {"zone": 1}


async def test_an_old_process_that_nothing_can_be_taken_from_is_ended(
    host: PlaneHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take(_: Link) -> Held:
        raise UnavailableError("it holds what this daemon does not know")

    async with host.daemon() as plane:
        await plane.change([(ZONE, ())], ())
        old = host.pid
    monkeypatch.setattr(starting, "build_id", lambda: "newer")
    monkeypatch.setattr(Link, "take", take)
    async with host.daemon():
        assert host.pid not in (None, old)


async def test_a_new_process_that_ends_while_it_takes_over_is_unavailable(
    host: PlaneHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change(*_: object) -> None:
        raise LostError("it has closed the connection")

    async with host.daemon() as plane:
        await plane.change([(ZONE, ())], ())
    monkeypatch.setattr(starting, "build_id", lambda: "newer")
    monkeypatch.setattr(Link, "change", change)
    with pytest.raises(UnavailableError, match=r"cannot be started in .*: it has closed the connection"):
        async with host.daemon():
            pass


async def test_one_that_is_refused_does_not_keep_the_others_from_coming_back(host: PlaneHost) -> None:
    sctp = port(9, relay=9, protocol=Protocol.SCTP)
    sockets: Sockets = {sctp: [os.open("/dev/null", os.O_RDONLY)], ZONE: []}
    async with host.daemon() as plane:
        plane.wanted = lambda: wanted(sockets)
        assert host.pid is not None
        os.kill(host.pid, signal.SIGKILL)
        await plane.change([(ENTRY, ())], ())
        assert (await plane.stats()).services == {"zone": 1, "name": 1}
    close(sockets)

"""The kernel tells of rules that others delete, and of nothing else."""

import asyncio
from collections.abc import Iterator

import pytest

from linkspan.kernel import native
from linkspan.kernel.alarm import Alarm
from linkspan.kernel.process import run_tool
from linkspan.kernel.thread import KernelThread
from tests.support.patience import PATIENCE


def nft(thread: KernelThread, script: str) -> None:
    thread.call(lambda: run_tool(("nft", script)))


@pytest.fixture
def thread() -> Iterator[KernelThread]:
    """A thread in a namespace with two tables."""
    thread = KernelThread(None)
    thread.call(native.unshare)
    for table in ("ours", "others"):
        nft(thread, f"add table inet {table}; add chain inet {table} c; add rule inet {table} c accept")
    yield thread
    thread.close()


@pytest.fixture
def alarm(thread: KernelThread) -> Iterator[Alarm]:
    alarm = thread.call(lambda: Alarm(("ours",)))
    yield alarm
    alarm.close()


@pytest.mark.parametrize("script", ["flush ruleset", "delete table inet ours", "flush chain inet ours c"])
def test_deletions_are_told_once(thread: KernelThread, alarm: Alarm, script: str) -> None:
    assert not alarm.told()
    nft(thread, script)
    assert alarm.told()
    assert not alarm.told()


@pytest.mark.parametrize("script", ["delete table inet others", "add rule inet ours c drop", "add table ip ours"])
def test_tables_of_others_and_additions_are_not(thread: KernelThread, alarm: Alarm, script: str) -> None:
    nft(thread, script)
    assert not alarm.told()


def test_our_own_changes_are_not(thread: KernelThread, alarm: Alarm) -> None:
    with alarm.silenced():
        nft(thread, "flush chain inet ours c")
    assert not alarm.told()
    nft(thread, "delete table inet ours")
    assert alarm.told()


def test_more_than_can_be_kept_is_told(thread: KernelThread, alarm: Alarm) -> None:
    numbers = ", ".join(map(str, range(20_000)))
    nft(thread, f"add set inet others s {{ type mark; elements = {{ {numbers} }}; }}")
    assert alarm.told()


def test_whoever_waits_is_woken_when_the_deletions_are_over(thread: KernelThread, alarm: Alarm) -> None:
    async def story() -> None:
        async with asyncio.timeout(PATIENCE):
            waiting = asyncio.create_task(alarm.rung())
            await asyncio.sleep(0)
            await asyncio.to_thread(nft, thread, "flush chain inet ours c")
            await asyncio.to_thread(nft, thread, "delete table inet ours")
            await waiting
            assert not alarm.told()

    asyncio.run(story())

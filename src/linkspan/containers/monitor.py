"""The two processes of a running container, held so that their ids cannot come to mean others.

A process id may be used again as soon as its process has been reaped; a descriptor of the process never means another.
So the descriptor is opened first, and then it is checked whose it is: conmon's command line names the container's
bundle, and the first process of the container is conmon's child.
"""

import asyncio
import os
import select
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from linkspan.containers.layout import Places
from linkspan.containers.waiting import readable

DRAIN_SECONDS = 10.0
"""How long conmon may take to hand over the last output after the container's end."""

EXECVE_SECONDS = 10.0
"""How long a runtime that has let its process go may take until that executes the container's program, as when the
disk is slow."""
_EXECVE_PAUSE = 0.001


class Monitor:
    """A running conmon and the container's first process, as descriptors."""

    def __init__(self, monitor: int, first: int | None) -> None:
        self._monitor = monitor
        self._first = first
        self._let_go = False
        self._done: asyncio.Future[bool] | None = None

    @classmethod
    def find(cls, places: Places, pid: int) -> Self | None:
        """The conmon of a bundle, and the container's first process `pid`; None when conmon is gone."""
        monitor = _monitor_pid(places)
        descriptor = _open(monitor)
        if descriptor is None:
            return None
        if str(places.bundle) not in _command_line(monitor):
            os.close(descriptor)
            return None
        first = _open(pid)
        if first is not None and _parent(pid) != monitor:
            os.close(first)
            first = None
        return cls(descriptor, first)

    async def ended(self, hung: Callable[[], None]) -> bool:
        """Wait for the end of conmon, which comes after that of the container and of its output.

        False when `let_go` was called instead. `hung` is called when conmon is still there some seconds after the
        container's first process: somebody who is attached does not read.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._done = done
        if self._let_go:
            return False
        timer: list[asyncio.TimerHandle] = []

        def first_ended() -> None:
            assert self._first is not None
            loop.remove_reader(self._first)
            timer.append(loop.call_later(DRAIN_SECONDS, hung))

        loop.add_reader(self._monitor, _set, done, True)
        if self._first is not None:
            loop.add_reader(self._first, first_ended)
        try:
            return await done
        finally:
            loop.remove_reader(self._monitor)
            if self._first is not None:
                loop.remove_reader(self._first)
            for handle in timer:
                handle.cancel()

    def let_go(self) -> None:
        """Stop waiting; the processes stay."""
        self._let_go = True
        if self._done is not None:
            _set(self._done, False)

    def alive(self) -> bool:
        """Whether the container's first process has not ended: its number cannot mean another then."""
        if self._first is None:
            return False
        poll = select.poll()
        poll.register(self._first, select.POLLIN)
        return not poll.poll(0)

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process; nothing happens when it has ended."""
        _send(self._first, number)

    def kill(self) -> None:
        """End both processes."""
        for descriptor in (self._first, self._monitor):
            _send(descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Close the descriptors; the processes stay."""
        for descriptor in (self._monitor, self._first):
            if descriptor is not None:
                os.close(descriptor)


def _set(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _send(descriptor: int | None, number: int) -> None:
    if descriptor is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid) if pid > 0 else None
    except ProcessLookupError:
        return None


def _monitor_pid(places: Places) -> int:
    try:
        return int((places.bundle / "conmon.pid").read_text())
    except (OSError, ValueError):
        return 0


def _command_line(pid: int | str) -> list[str]:
    """The arguments of a process; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])


def image(pid: int) -> bytes:
    """Stands for the program a process executes: another after every `execve`, even of the same file.

    It is the auxiliary vector, which the kernel lays out anew each time, at random addresses. Nothing when the process
    is gone or may not be looked at.
    """
    try:
        return Path(f"/proc/{pid}/auxv").read_bytes()
    except OSError:
        return b""


async def executed(pid: int, before: bytes) -> None:
    """Wait until a process executes another program than that of `before`, or is gone.

    It comes within a few milliseconds.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(EXECVE_SECONDS):
            while before and image(pid) == before:  # noqa: ASYNC110 - nothing could set an event
                await asyncio.sleep(_EXECVE_PAUSE)


async def end_strays(below: Path, ids: frozenset[str]) -> None:
    """Kill every program whose arguments name one of the bundles `below`, and wait until it is gone.

    Those are monitors, and what had just been started to become one, of containers that were never finished.
    """
    await end_processes(
        [pid for pid, id in _users_of(below) if id in ids],
        lambda pid: any(_names(argument, below) in ids for argument in _command_line(pid)),
    )


async def end_processes(pids: Iterable[int], still_meant: Callable[[int], bool] = lambda _: True) -> None:
    """Kill processes, and wait until they are gone; `still_meant` is asked once a process cannot become another."""
    descriptors = []
    for pid in pids:
        if (descriptor := _open(pid)) is not None:
            descriptors.append(descriptor)
            if still_meant(pid):
                _send(descriptor, signal.SIGKILL)
            else:
                os.close(descriptors.pop())
    try:
        async with asyncio.TaskGroup() as tasks:
            for descriptor in descriptors:
                tasks.create_task(readable(descriptor), name="the end of a process")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def named_by_programs(paths: Collection[Path]) -> set[Path]:
    """Which of some paths an argument of a running program names; a monitor's name its bundle."""
    wanted = {str(path): path for path in paths}
    pids = os.listdir("/proc") if wanted else []  # noqa: PTH208 - thousands of names
    said = (argument for name in pids if name.isdecimal() for argument in _command_line(name))
    return {wanted[argument] for argument in said if argument in wanted}


def _users_of(below: Path) -> Iterator[tuple[int, str]]:
    """Processes with an argument that names something under a directory, and the name's first part."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - thousands of names
        if name.isdecimal():
            for argument in _command_line(name):
                if id := _names(argument, below):
                    yield int(name), id
                    break


def _names(argument: str, below: Path) -> str:
    prefix = f"{below}/"
    return argument.removeprefix(prefix).partition("/")[0] if argument.startswith(prefix) else ""

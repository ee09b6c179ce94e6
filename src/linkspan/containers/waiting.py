"""Waiting for file descriptors in the event loop: pipes of the monitor, descriptors of processes, changes of a log."""

import asyncio
import os
from typing import Any

_CHUNK = 4096


async def readable(fd: int) -> None:
    """Wait until `fd` can be read: until a process has ended, for the descriptor of a process."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def either(fd: int, future: "asyncio.Future[Any]") -> None:
    """Wait until `fd` can be read or `future` is done."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, wake)
    future.add_done_callback(wake)
    try:
        await ready
    finally:
        future.remove_done_callback(wake)
        loop.remove_reader(fd)


class Incoming:
    """A pipe from a program to us. `far` is the end the program inherits."""

    def __init__(self) -> None:
        self._near, self.far = os.pipe()
        self._data = b""
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        os.set_blocking(self._near, False)

    def handed_over(self) -> None:
        """The program has its end: ours of it is closed, so that its death is the end of the stream."""
        if self.far >= 0:
            os.close(self.far)
            self.far = -1

    async def line(self, limit: int) -> bytes:
        """The next line, with its end; what there is when the other side closes, at the limit, or when given up."""
        while b"\n" not in self._data and len(self._data) < limit and not self._given_up.done():
            await either(self._near, self._given_up)
            try:
                read = os.read(self._near, _CHUNK)
            except BlockingIOError:
                continue
            if not read:
                break
            self._data += read
        line, end, self._data = self._data.partition(b"\n")
        return line + end

    def give_up(self) -> None:
        """Wait no longer for a line."""
        if not self._given_up.done():
            self._given_up.set_result(None)

    def close(self) -> None:
        """Close both ends."""
        self.handed_over()
        if self._near >= 0:
            os.close(self._near)
            self._near = -1


class Outgoing:
    """A pipe from us to a program. `far` is the end the program inherits."""

    def __init__(self) -> None:
        self.far, self._near = os.pipe()

    def handed_over(self) -> None:
        """The program has its end."""
        if self.far >= 0:
            os.close(self.far)
            self.far = -1

    def signal(self) -> None:
        """Let the program go on; it may be gone already."""
        try:
            os.write(self._near, b"\n")
        except BrokenPipeError:
            self.close()

    def close(self) -> None:
        """Close both ends."""
        self.handed_over()
        if self._near >= 0:
            os.close(self._near)
            self._near = -1

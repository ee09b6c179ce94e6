"""Between a client's connection and the streams of a process."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from linkspan.api.calls import Call
from linkspan.api.hijack import HEAD, MULTIPLEXED, RAW, RawStream, frame
from linkspan.api.ports import Streams
from linkspan.model.containers import LogChunk
from linkspan.model.errors import InvalidError

_KEY = re.compile(r"ctrl-([a-z@\[\\\]^_])|(.)")
DETACH_KEYS = "ctrl-p,ctrl-q"


def content_type(call: Call, *, tty: bool) -> str:
    """What a stream is: raw for terminals, and for clients from before API 1.42, which know no other name."""
    return RAW if tty or call.version < (1, 42) else MULTIPLEXED


def detach_keys(text: str, called: str = "detach") -> bytes:
    """`ctrl-p,ctrl-q` as the bytes a terminal sends; errors call them as Docker does for that request."""
    keys = bytearray()
    for part in (text or DETACH_KEYS).split(","):
        match = _KEY.fullmatch(part)
        if match is None or not part.isascii():
            raise InvalidError(f"Invalid {called} keys ({text}) provided", field="detachKeys", value=text)
        keys.append(ord(match[1].upper()) & 0x1F if match[1] else ord(part))
    return bytes(keys)


class Escape:
    """Finds the detach keys in what a client types, also when they come one by one."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the process, and whether the keys were typed. The beginning of the keys is held back."""
        data = self._held + data
        self._held = b""
        found = data.find(self._keys)
        if found >= 0:
            return data[:found], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                self._held = data[-length:]
                return data[:-length], False
        return data, False


@dataclass(frozen=True)
class Manner:
    """How a client is connected: whether it types, on a terminal, and whether the input ends when it stops."""

    stdin: bool
    tty: bool
    ends_input: bool
    keys: bytes = b""


async def connect(raw: RawStream, streams: Streams, manner: Manner) -> None:
    """Copy in both directions until the process has ended, the client has gone, or has detached."""
    async with asyncio.TaskGroup() as tasks:
        output = tasks.create_task(_copy_out(raw, streams, tty=manner.tty), name="output of a process")
        if manner.stdin:
            copying = tasks.create_task(_copy_in(raw, streams, manner, output), name="input of a process")
            output.add_done_callback(lambda _: copying.cancel())


async def _copy_out(raw: RawStream, streams: Streams, *, tty: bool) -> None:
    with suppress(ConnectionError):  # the client has gone
        async for stream, data in streams:
            await raw.write(data if tty else frame(stream, data))


async def _copy_in(raw: RawStream, streams: Streams, manner: Manner, output: "asyncio.Task[None]") -> None:
    """Whatever is typed; its end closes the input of the process, or else means that the client leaves."""
    escape = Escape(manner.keys)
    while data := await raw.read():
        detached = False
        if manner.tty and manner.keys:
            data, detached = escape.feed(data)
        if data:
            await streams.write(data)
        if detached:
            output.cancel()
            return
    if manner.ends_input and not manner.tty:
        await streams.close_stdin()
    else:
        output.cancel()


def framed(chunk: LogChunk, *, tty: bool) -> bytes:
    """What was written before, a frame for each line, as clients expect who take one for the other."""
    if tty:
        return b"".join(chunk.lines)
    head, stream = HEAD.pack, chunk.stream
    return b"".join([head(stream, len(line)) + line for line in chunk.lines])

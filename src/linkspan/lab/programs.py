"""Programs run in one place: on a host of the lab, or in a sandbox of an engine."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from linkspan.engine.ports import Process, Stream


class Spawn(Protocol):
    """Starts a program somewhere; streams are as `asyncio.create_subprocess_exec` takes them."""

    async def __call__(
        self, argv: Sequence[str], *, stdin: Stream = None, stdout: Stream = None, stderr: Stream = None
    ) -> Process: ...


class ProgramFailedError(Exception):
    """A program ended with another status than 0; `output` is what it printed."""

    def __init__(self, argv: Sequence[str], status: int, output: str) -> None:
        super().__init__(f"{' '.join(argv)}: exit status {status}: {output.strip()}")
        self.status = status
        self.output = output


class Place:
    """Where programs run. Those that are still running are ended by `end`."""

    def __init__(self, name: str, spawn: Spawn) -> None:
        self.name = name
        self._spawn = spawn
        self._running: list[Process] = []

    async def start(self, *argv: str) -> Process:
        """Start a program; what it prints can be read with `communicate`."""
        process = await self._spawn(
            argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._running.append(process)
        return process

    async def run(self, *argv: str) -> str:
        """Run a program to its end and return what it printed; raises `ProgramFailedError`."""
        process = await self.start(*argv)
        output, _ = await process.communicate()
        self._running.remove(process)
        text = output.decode(errors="replace")
        if process.returncode:
            raise ProgramFailedError(argv, process.returncode, text)
        return text

    async def succeeds(self, *argv: str) -> bool:
        """Whether a program ends with status 0."""
        try:
            await self.run(*argv)
        except ProgramFailedError:
            return False
        return True

    async def end(self) -> None:
        """Kill what is still running, and wait for it."""
        for process in self._running:
            if process.returncode is None:
                process.kill()
        for process in self._running:
            await process.wait()
        self._running.clear()

"""One daemon for all tests of a module, which then must not disturb each other: a machine in a thread of its own.

Tests that need a daemon of their own, or another one, take the fixture `machine` instead.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.clients.machine import DockerMachine, Outcome
from tests.support.images import Picture, archive

Result = TypeVar("Result")


class SharedMachine:
    """A machine with a daemon; calls wait until they are done."""

    def __init__(self, machine: DockerMachine, loop: asyncio.AbstractEventLoop) -> None:
        self.machine = machine
        self.root = machine.root
        self._loop = loop

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine that runs where the machine is."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a function where the machine is."""
        self._loop.call_soon_threadsafe(function)

    def run(self, *argv: str, stdin: bytes = b"") -> Outcome:
        """Run a program on the machine."""
        return self.wait(self.machine.run(*argv, stdin=stdin))

    def docker(self, *words: str, stdin: bytes = b"") -> Outcome:
        """Run the docker command."""
        return self.run(*self.machine.docker_command(*words), stdin=stdin)

    def done(self, *words: str, stdin: bytes = b"") -> str:
        """What the docker command prints when it succeeds."""
        outcome = self.docker(*words, stdin=stdin)
        assert outcome.status == 0, (words, outcome)
        return outcome.out

    def play(self, lines: "Iterable[Line]") -> None:
        """Run one command after the other; each has to say and to end as it should."""
        for line in lines:
            outcome = self.docker(*line.words, stdin=line.stdin)
            assert outcome.status == line.status, (line, outcome)
            assert re.fullmatch(line.out, outcome.out, re.DOTALL), (line, outcome.out)
            assert re.search(line.err, outcome.err), (line, outcome.err)

    def load(self, pictures: Iterable[tuple[Picture, Sequence[str]]]) -> None:
        """Load images."""
        self.done("load", stdin=archive(pictures))


@dataclass(frozen=True)
class Line:
    """A docker command, how it ends, and patterns: of all that it prints, and of something that it complains about."""

    words: tuple[str, ...]
    status: int = 0
    out: str = ".*"
    err: str = ""
    stdin: bytes = b""


def line(command: str, out: str = ".*", *, status: int = 0, err: str = "", stdin: bytes = b"") -> Line:
    """A command by its words, separated by blanks; a bar stands for a blank inside a word."""
    return Line(tuple(word.replace("|", " ") for word in command.split()), status, out, err, stdin)


@contextmanager
def shared_machine(
    root: Path, pictures: Iterable[tuple[Picture, Sequence[str]]], *flags: str
) -> Iterator[SharedMachine]:
    """A daemon with these images while the block runs."""
    started: Future[tuple[SharedMachine, asyncio.Event]] = Future()

    async def serve() -> None:
        stopping = asyncio.Event()
        async with DockerMachine(root) as machine:
            await machine.serve(*flags)
            started.set_result((SharedMachine(machine, asyncio.get_running_loop()), stopping))
            await stopping.wait()

    with ThreadPoolExecutor(1, "machine") as threads:
        serving = threads.submit(lambda: asyncio.run(serve()))
        either: list[Future[Any]] = [started, serving]
        wait(either, return_when=FIRST_COMPLETED)
        if serving.done():
            serving.result()
        found, stopping = started.result()
        try:
            found.load(pictures)
            yield found
        finally:
            found.call_soon(stopping.set)
            serving.result()

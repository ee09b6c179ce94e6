"""What running containers use, which processes they have, and how large they are."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from linkspan.containers.context import Context
from linkspan.containers.failures import not_running
from linkspan.containers.initlayer import PATHS
from linkspan.containers.spec import PATH, cgroup_of
from linkspan.containers.trees import tree_size
from linkspan.model.containers import Container
from linkspan.model.errors import InvalidError, NotFoundError, UnavailableError
from linkspan.model.usage import Usage

PERIOD = 1.0
"""Seconds between two measurements."""
_WIDE = {"PATH": PATH, "COLUMNS": "65536"}
"""Without a terminal, ps may cut its lines at 80 columns or not, as it was built."""
_RENAMED_PID = re.compile(r"[pP][iI][dD]\s*=")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a container used at a time; None when it does not run."""

    time: datetime
    usage: Usage | None


class Meter:
    """Measures."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def measure(self, reference: str) -> Measurement:
        """What a container uses now."""
        container = self._context.register.get(reference).container
        if not container.state.running:
            return Measurement(self._context.surroundings.now(), None)
        links = container.wanted.mode != "host"
        usage = await self._context.host.usage(cgroup_of(container), container.state.pid, links=links)
        return Measurement(self._context.surroundings.now(), usage)

    async def follow(self, reference: str) -> AsyncIterator[Measurement]:
        """A measurement every second until the container is gone; it may start and end meanwhile."""
        id = self._context.register.get(reference).container.id
        while True:
            try:
                yield await self.measure(id)
            except NotFoundError:
                return
            await asyncio.sleep(PERIOD)

    async def processes(self, reference: str, arguments: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The columns of `ps arguments`, and a row for each process of a running container. See `rows`."""
        container = self._context.register.get(reference).container
        if not container.state.running:
            raise not_running(container)
        if _RENAMED_PID.search(arguments):
            text = f'specifying "{arguments}" is not allowed: the column of process ids has to be named PID'
            raise InvalidError(text, field="ps_args", value=arguments)
        pids = await self._context.host.processes(cgroup_of(container))
        found = rows(await self._ps((arguments or "-ef").split()), frozenset(pids))
        self._context.announce(container, "top")
        return found

    async def _ps(self, arguments: Sequence[str]) -> str:
        if any("\0" in word for word in arguments):
            raise InvalidError("invalid ps_args: they hold a NUL", field="ps_args")
        pipe = asyncio.subprocess.PIPE
        try:
            process = await self._context.host.spawn(
                ["ps", *arguments],
                sandbox=None,
                env=_WIDE,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
            )
        except NotFoundError as error:
            raise UnavailableError("the program ps is missing", hint="install the package procps") from error
        out, said = await process.communicate()
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip().splitlines()[:1]
            raise InvalidError(f"ps: {''.join(reason)}", field="ps_args", value=" ".join(arguments))
        return out.decode(errors="replace")

    async def sizes(self, container: Container) -> tuple[int, int]:
        """Bytes that a container has written, and those with its root file system."""
        written = await asyncio.to_thread(tree_size, self._context.layout.of(container.id).upper, PATHS)
        return written, written + await asyncio.to_thread(tree_size, Path(container.wanted.rootfs))


def rows(text: str, pids: frozenset[int]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """What ps printed, as titles and rows of the processes `pids`; the last column may have spaces."""
    titles, *lines = text.splitlines() or [""]
    names = titles.split()
    if "PID" not in names:
        raise InvalidError("Couldn't find PID field in ps output", field="ps_args")
    at = names.index("PID")
    split = [line.split(maxsplit=len(names) - 1) for line in lines]
    return names, [row for row in split if len(row) > at and row[at].isdecimal() and int(row[at]) in pids]

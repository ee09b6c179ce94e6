"""Sandboxes for the programs of builds: what `RUN` reaches is what a container on that network would reach.

Such a sandbox has the label of a container that does not exist. So a crash leaves none: with the sandboxes of
containers that do not run, the next start takes it away.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from linkspan.containers.checks import CONTAINER_MODE, with_mode
from linkspan.containers.context import Context
from linkspan.containers.resolvconf import HostFile
from linkspan.containers.sandboxes import LABEL
from linkspan.model.builds import BuildNetwork
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import ConflictError, NotFoundError
from linkspan.model.requests import CreateSandbox, RemoveSandbox
from linkspan.tasks import Tasks

_HOST = "host"


class BuildSandboxes:
    """Makes them, each for as long as a build runs."""

    def __init__(self, context: Context, tasks: Tasks) -> None:
        self._context = context
        self._tasks = tasks

    @asynccontextmanager
    async def joined(self, mode: str) -> AsyncIterator[BuildNetwork]:
        """A network under Docker's name of a mode. Raises what the engine refuses, in Docker's words."""
        wanted = with_mode(CreateContainer("build", "/", (), mode=mode))
        if wanted.mode == _HOST:
            yield BuildNetwork()
            return
        id = self._context.surroundings.new_id()
        try:
            yield await self._join(id, wanted)
        finally:
            await self._tasks.carry_out(self._leave(id), f"leave the sandbox of build {id[:12]}")

    async def _join(self, id: str, wanted: CreateContainer) -> BuildNetwork:
        engine, mode = self._context.engine, wanted.mode
        if mode.startswith(CONTAINER_MODE):
            owner = self._context.register.get(mode.removeprefix(CONTAINER_MODE)).container
            if owner.id not in engine.sandboxes:
                raise ConflictError(f"container {owner.id} is not running", field="networkmode", value=mode)
            mode = f"{CONTAINER_MODE}{owner.id}"
        request = CreateSandbox(
            name=f"build-{id[:12]}",
            mode="" if wanted.endpoints else mode,
            networks=wanted.endpoints,
            labels={LABEL: id},
            id=id,
        )
        sandbox = await engine.apply(request)
        shown = engine.sandboxes[sandbox.shares or id]  # who shares a network shares its names
        file = HostFile(text=self._context.resolution.resolv_conf(replace(wanted, mode=""), shown))
        return BuildNetwork(
            str(engine.sandbox(id).namespace),
            servers=tuple(file.values("nameserver")),
            search=tuple(file.values("search")),
            options=tuple(file.values("options")),
        )

    async def _leave(self, id: str) -> None:
        with suppress(NotFoundError):  # it was refused
            await self._context.engine.apply(RemoveSandbox(id))

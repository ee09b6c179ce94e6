"""The sandboxes of containers: made at start, released at exit, kept while another container lives in them.

A container's sandbox has the container's id, so that whatever carries a sandbox's mark can be traced to its container,
and what a crash left behind can be told from what is in use. A sandbox that others share outlives the exit of its
container: a restart finds it again, so `--network container:X` survives a restart of X. The last to leave removes it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from linkspan.containers.checks import CONTAINER_MODE, has_own_network
from linkspan.containers.proxied import proxied
from linkspan.containers.register import Life, Register
from linkspan.containers.resolution import chose_ndots
from linkspan.engine.core import Engine
from linkspan.model.containers import Container
from linkspan.model.errors import ConflictError, LinkspanError, NotFoundError
from linkspan.model.requests import CreateSandbox, EndpointRequest, RemoveSandbox, RenameSandbox
from linkspan.model.sandboxes import Sandbox

log = logging.getLogger(__name__)

LABEL = "org.linkspan.container"
"""The label of a container's sandbox; its value is the container's id."""


class Sandboxes:
    """Enters and leaves sandboxes."""

    def __init__(self, engine: Engine, register: Register) -> None:
        self._engine = engine
        self._register = register

    def owner(self, container: Container) -> Life | None:
        """The container whose namespace this one shares; `ConflictError`, in Docker's words, unless that one runs."""
        if not container.wanted.mode.startswith(CONTAINER_MODE):
            return None
        reference = container.wanted.mode.removeprefix(CONTAINER_MODE)
        owner = self._register.get(reference)
        if not owner.running:
            raise _not_running(owner.container)
        return owner

    async def enter(self, container: Container) -> Sandbox:
        """The sandbox of a container that starts: the one that was kept for it, or a new one.

        Raises what the engine refuses, in Docker's words.
        """
        kept = self._engine.sandboxes.get(container.id)
        if kept is not None:
            return kept
        wanted = container.wanted
        mode, owner = wanted.mode, self.owner(container)
        if owner is not None:
            mode = f"{CONTAINER_MODE}{owner.container.id}"
        own = has_own_network(wanted.mode)
        name = self._free_name(container)
        request = CreateSandbox(
            name=name,
            mode="" if own else mode,
            networks=self._endpoints(container, name) if own else (),
            publish=wanted.publish if own else (),
            labels={LABEL: container.id},
            id=container.id,
            unconnected=own and not wanted.endpoints,  # it has left all its networks
            hostname=wanted.hostname if own else "",
            dns=wanted.dns if own else (),
            ndots=own and chose_ndots(wanted),
            proxy_protocol=proxied(wanted) if own else (),
        )
        try:
            return await self._engine.apply(request)
        except NotFoundError as error:
            if owner is not None:  # it has ended since
                raise _not_running(owner.container) from error
            raise _explained(error) from error
        except LinkspanError as error:
            raise _explained(error) from error

    def _endpoints(self, container: Container, name: str) -> Sequence[EndpointRequest]:
        """How to join its networks; the container is found by its name also when its sandbox has another."""
        endpoints = container.wanted.endpoints
        if name == container.name:
            return endpoints
        named = {network.name for network in self._engine.networks.values() if network.answers_names}
        named |= {network.id for network in self._engine.networks.values() if network.answers_names}
        return [
            replace(each, aliases=(container.name, *each.aliases)) if each.network in named else each
            for each in endpoints
        ]

    def _free_name(self, container: Container) -> str:
        """The container's name, or its id while an older sandbox still has that name."""
        sandboxes = self._engine.sandboxes.values()
        taken = any(sandbox.name == container.name and sandbox.id != container.id for sandbox in sandboxes)
        return container.id if taken else container.name

    async def rename(self, container: Container) -> None:
        """Let the sandbox of a container that was renamed have its name too, by which others find it."""
        sandbox = self._engine.sandboxes.get(container.id)
        if sandbox is not None and sandbox.name != (name := self._free_name(container)):
            await self._engine.apply(RenameSandbox(container.id, name))

    async def leave(self, container: Container) -> str | None:
        """Release the sandbox of a container that has ended; returns its id when others keep it in use."""
        sandbox = self._engine.sandboxes.get(container.id)
        if sandbox is None:
            return None
        try:
            await self._engine.apply(RemoveSandbox(container.id))
        except NotFoundError:
            return None
        except ConflictError:
            return container.id
        if sandbox.shares is not None:
            await self._leave_owner(sandbox.shares)
        return None

    async def _leave_owner(self, id: str) -> None:
        """Take away a sandbox whose container has ended, when the last that shared it has left."""
        owner = self._register.lives.get(id)
        if owner is None:
            await self._remove_unused(id)
            return
        async with owner.lock:
            if not owner.running:
                await self._remove_unused(id)
                if self._register.has(owner):  # it may have been removed while we waited
                    await self._register.save(owner, replace(owner.container, sandbox=None))

    async def _remove_unused(self, id: str) -> None:
        sandbox = self._engine.sandboxes.get(id)
        if sandbox is None or (LABEL, id) not in sandbox.labels:
            return
        try:
            await self._engine.apply(RemoveSandbox(id))
        except (NotFoundError, ConflictError):  # somebody was faster, or somebody else still shares it
            return

    def strays(self) -> Sequence[str]:
        """Sandboxes of containers that do not run, those that share another's first."""
        found = [
            sandbox
            for sandbox in self._engine.sandboxes.values()
            if (LABEL, sandbox.id) in sandbox.labels and not self._runs(sandbox.id)
        ]
        return [sandbox.id for sandbox in sorted(found, key=lambda sandbox: sandbox.shares is None)]

    def _runs(self, id: str) -> bool:
        life = self._register.lives.get(id)
        return life is not None and life.running

    async def sweep(self) -> None:
        """Take away the sandboxes that no running container is in: all at once, since the engine makes one change of
        what it is asked for together.
        """
        async with asyncio.TaskGroup() as tasks:
            for id in self.strays():  # the engine decides in this order
                tasks.create_task(self._sweep_away(id), name=f"sweep away {id[:12]}")

    async def _sweep_away(self, id: str) -> None:
        try:
            await self._remove_unused(id)
        except LinkspanError:
            log.exception("the sandbox of container %s could not be taken away", id[:12])


def _not_running(container: Container) -> ConflictError:
    return ConflictError(
        "cannot join network namespace of a non running container: "
        f"container {container.name} is {container.state.status}",
        field="mode",
        value=container.wanted.mode,
        hint=f"start {container.name} first",
    )


def _explained(error: LinkspanError) -> LinkspanError:
    """The same error in the words of `docker start`."""
    error.message = f"failed to set up container networking: {error.message}"
    error.args = (error.message,)
    return error

"""Starting a container: network, files, root file system, process, in this order, and back when one of them fails."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from linkspan.containers.context import Context
from linkspan.containers.failures import OTHER, RuntimeFailureError, exit_status, start_error
from linkspan.containers.hostnames import own_hostname
from linkspan.containers.layout import Places
from linkspan.containers.limits import Json
from linkspan.containers.monitor import Monitor, end_strays
from linkspan.containers.parts import unpin_parts
from linkspan.containers.provision import provided
from linkspan.containers.register import Life
from linkspan.containers.rootfs import mount_root
from linkspan.containers.spec import Setting, spec
from linkspan.containers.users import find_user
from linkspan.model.containers import Container, ContainerState, CreateContainer, MountKind, Status
from linkspan.model.errors import ConflictError, LinkspanError, UnavailableError
from linkspan.model.health import Health
from linkspan.model.sandboxes import Sandbox

log = logging.getLogger(__name__)


class Starter:
    """Starts containers. The caller holds the lock of the life."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def start(self, life: Life, *, restarts: int = 0) -> bool:
        """Start; False when it runs already. Returns once the process has been let go, with `life.monitor` set.

        Raises `InvalidError` for a program that cannot be executed, and what the engine refuses; the container then
        has an exit status and the text of the error, as in Docker, and nothing else is left.
        """
        if life.container.state.status is Status.PAUSED:
            raise ConflictError("cannot start a paused container, try unpause instead", field="container")
        if life.running:
            return False
        if life.leaving:
            raise ConflictError("container is marked for removal and cannot be started", field="container")
        try:
            monitor, state = await self._launch(life)
        except LinkspanError as error:
            await self._note(life, error)
            raise
        health = Health() if life.container.wanted.health is not None else None
        state = replace(state, restarts=restarts, health=health, finished=life.container.state.finished)
        container = replace(life.container, state=state, sandbox=life.container.id)
        try:
            await self._context.register.save(life, container)
        except LinkspanError:
            monitor.close()
            await self._take_back(life.container)
            raise
        life.monitor = monitor
        self._context.resolution.started(container)
        self._context.announce(container, "start")
        return True

    async def _launch(self, life: Life) -> tuple[Monitor, ContainerState]:
        container, context = life.container, self._context
        conmon = context.conmon
        context.links.check(container)
        sandbox = await context.sandboxes.enter(container)
        try:
            places = await self._prepare(container, sandbox)
            pid = await conmon.create(container, places)
            await unpin_parts(context.host, places)
            monitor = Monitor.find(places, pid)
            if monitor is None:
                raise RuntimeFailureError("the monitor ended at once")
            try:
                for attachment in life.attachments:
                    await attachment.connect(places.bundle)
                started = context.surroundings.now()
                await conmon.start(container.id, pid)
            except BaseException:
                monitor.close()
                raise
        except RuntimeFailureError as failure:
            await self._take_back(container)
            raise start_error(str(failure)) from failure
        except OSError as error:
            await self._take_back(container)
            raise UnavailableError(f"cannot prepare container {container.name}: {error}") from error
        except BaseException:
            await self._take_back(container)
            raise
        return monitor, ContainerState(Status.RUNNING, pid, started=started)

    async def _prepare(self, container: Container, sandbox: Sandbox) -> Places:
        """Everything up to the runtime: the files, the root file system, and its description."""
        context = self._context
        wanted = container.wanted
        _make_sources(wanted)
        places = await mount_root(context, container)
        owner = context.sandboxes.owner(container)
        if owner is None:
            hostname, files = own_hostname(container), files_of(places)
            context.resolution.write(container, sandbox)
        else:  # who shares a network shares its names
            hostname, files = own_hostname(owner.container), files_of(context.layout.of(owner.container.id))
        setting = Setting(
            rootfs=places.rootfs,
            files=files,
            namespace=context.engine.sandbox(sandbox.id).namespace,
            hostname=hostname,
            user=find_user(wanted.user, places.rootfs, wanted.group_add),
            abilities=context.abilities,
        )
        write_json(places.config, spec(container, await provided(context, container, places, setting)))
        return places

    async def _take_back(self, container: Container) -> None:
        """Undo a start. What cannot be undone now is taken away at the next start of ours."""
        context = self._context
        try:
            await end_strays(context.layout.bundles, frozenset({container.id}))
            await context.clear(container.id)
            await context.remove_bundle(container.id)
        except (LinkspanError, RuntimeFailureError, OSError):
            log.exception("a start of %s could not be undone", container.name)
        await context.sandboxes.leave(container)

    async def _note(self, life: Life, error: LinkspanError) -> None:
        """Keep why it could not be started."""
        life.end_streams()
        cause = error.__cause__
        status = exit_status(str(cause)) if isinstance(cause, RuntimeFailureError) else OTHER
        state = replace(life.container.state, exit_code=status, error=error.message)
        if state.status is Status.RESTARTING:
            state = replace(state, status=Status.EXITED)
        await self._context.register.save(life, replace(life.container, state=state, sandbox=None))


def files_of(places: Places) -> Mapping[str, Path]:
    """What is mounted over the files of the root file system."""
    return {
        "/etc/resolv.conf": places.resolv_conf,
        "/etc/hostname": places.hostname,
        "/etc/hosts": places.hosts,
    }


def _make_sources(wanted: CreateContainer) -> None:
    for mount in wanted.mounts:
        if mount.kind is MountKind.BIND and mount.create and not Path(mount.source).exists():
            Path(mount.source).mkdir(parents=True, exist_ok=True)


def write_json(path: Path, document: Json) -> None:
    """Write a document for the runtime."""
    path.write_text(json.dumps(document, indent=1))

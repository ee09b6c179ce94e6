"""What the parts of the room work with, and what several of them do."""

import asyncio
from contextlib import suppress

from linkspan.containers.conmon import Conmon
from linkspan.containers.layout import Layout, Places
from linkspan.containers.links import Links
from linkspan.containers.parts import remove_pins, unpin_parts
from linkspan.containers.ports import Host, Store
from linkspan.containers.register import Register
from linkspan.containers.resolution import ResolutionFiles
from linkspan.containers.runtime import find_programs
from linkspan.containers.sandboxes import Sandboxes
from linkspan.containers.spec import cgroup, cgroup_of
from linkspan.containers.trees import remove_tree
from linkspan.containers.volumes import Volumes
from linkspan.engine.core import Engine
from linkspan.engine.ports import Surroundings
from linkspan.model.containers import Abilities, Container
from linkspan.model.events import Event


class Context:
    """The engine, the machine, the register, and where everything is."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        store: Store,
        layout: Layout,
        surroundings: Surroundings,
        runtime: str,
    ) -> None:
        self.engine = engine
        self.host = host
        self.layout = layout
        self.surroundings = surroundings
        self.register = Register(store)
        self.sandboxes = Sandboxes(engine, self.register)
        self.links = Links(engine, self.register)
        self.resolution = ResolutionFiles(engine, layout, self.links)
        self.volumes = Volumes(engine, host, store, layout, surroundings, self.register)
        self.abilities = Abilities()
        self._runtime = runtime
        self._conmon: Conmon | None = None

    @property
    def conmon(self) -> Conmon:
        """The monitor and the runtime; `UnavailableError` when one is not installed."""
        if self._conmon is None:
            programs = find_programs(unified=self.abilities.unified, wanted=self._runtime)
            self._conmon = Conmon(self.host, programs, self.layout.runtime_root)
        return self._conmon

    def runtime(self) -> str:
        """The path of the OCI runtime; `UnavailableError` when there is none."""
        return find_programs(unified=self.abilities.unified, wanted=self._runtime).runtime

    def announce(self, container: Container, action: str, **attributes: str) -> None:
        """Announce what happened to a container, with the attributes Docker gives."""
        wanted = container.wanted
        described = {**wanted.labels, "image": wanted.origin, "name": container.name, **attributes}
        self.engine.announce(
            Event("container", action, container.id, self.surroundings.now(), tuple(sorted(described.items())))
        )

    async def clear(self, id: str) -> None:
        """Take away what the kernel and the exec root hold of a container that does not run, but for its sandbox."""
        places = self.layout.of(id)
        if places.bundle.exists() or (self.layout.runtime_root / id).exists():
            life = self.register.lives.get(id)
            await self.conmon.delete(id, cgroup(id) if life is None else cgroup_of(life.container))
            await self.host.unmount(places.rootfs)
            await self.host.unmount(places.shm)
            await unpin_parts(self.host, places)

    async def remove_bundle(self, id: str) -> None:
        """Delete the bundle of a container that was cleared."""
        await asyncio.to_thread(_remove_bundle, self.layout.of(id))

    async def remove_data(self, id: str) -> None:
        """Delete what a container has written."""
        await asyncio.to_thread(remove_tree, self.layout.of(id).data)


def _remove_bundle(places: Places) -> None:
    remove_pins(places.parts)
    with suppress(FileNotFoundError):
        places.rootfs.rmdir()  # refuses when something is still mounted, which must not be deleted
    remove_tree(places.bundle)

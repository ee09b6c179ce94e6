"""A machine in a lab with an engine and containers on it, for one test: everything is gone afterwards."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from linkspan.containers.core import Containers
from linkspan.engine.core import Engine
from linkspan.lab.hosts import Host, Lab, lab
from linkspan.model.containers import Container, CreateContainer, ExecRequest, Status
from linkspan.model.errors import NotFoundError
from linkspan.model.events import Event
from linkspan.wiring import open_kernel, open_with_images
from tests.support.patience import PATIENCE

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "cat chmod echo env false grep head hostname httpd id ip kill ls mkdir mount nc ping ps pwd readlink rm sh sleep "
    "sort stat stty tail test touch tr true tty wc wget"
).split()
CGROUPS = Path("/sys/fs/cgroup")


def make_rootfs(directory: Path) -> Path:
    """A root file system with busybox."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "home/ann"):
        (directory / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, directory / "bin/busybox")
    for name in APPLETS:
        (directory / "bin" / name).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\nann:x:1000:\nsailors:x:70:ann\n")
    (directory / "bin/not-executable").write_text("#!/bin/sh\n")
    directory.chmod(0o755)
    return directory


class ContainerHost:
    """The engine and the containers; `open` starts them, again after `close`."""

    engine: Engine
    containers: Containers

    def __init__(self, root: Path, hosts: Lab) -> None:
        self.root = root
        self.rootfs = make_rootfs(root / "rootfs")
        self.data_root, self.exec_root = root / "data", root / "exec"
        self.machine: Host = hosts.machine
        self.neighbour: Host = hosts.neighbour
        self.events: list[Event] = []
        self._opened = AsyncExitStack()

    async def open(self) -> None:
        """Start; what ran before is taken over."""
        self.engine, self.containers, _ = await self._opened.enter_async_context(
            open_with_images(data_root=self.data_root, exec_root=self.exec_root, namespace=self.machine.namespace)
        )
        listening = self.engine.events()
        tasks = await self._opened.enter_async_context(asyncio.TaskGroup())
        task = tasks.create_task(self._listen(listening), name="events")
        self._opened.callback(task.cancel)

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.events.append(event)

    async def close(self) -> None:
        """Stop; containers go on."""
        await self._opened.aclose()

    def wanted(self, *argv: str, **fields: Any) -> CreateContainer:
        """A request for a container with the busybox root file system."""
        fields.setdefault("rootfs", str(self.rootfs))
        return CreateContainer(argv=argv or ("sleep", "1000"), **{"name": "", **fields})

    async def create(self, *argv: str, **fields: Any) -> Container:
        return await self.containers.create(self.wanted(*argv, **fields))

    async def run(self, *argv: str, **fields: Any) -> Container:
        """Create and start."""
        container = await self.create(*argv, **fields)
        await self.containers.start(container.id)
        return self.containers.get(container.id)

    async def output(self, *argv: str, **fields: Any) -> str:
        """What a container writes until it ends."""
        container = await self.create(*argv, **fields)
        ended = self.containers.wait(container.id, "next-exit")
        await self.containers.start(container.id)
        await asyncio.wait_for(ended, PATIENCE)
        text = "".join(line.decode() for _, line in await self.log(container.id))
        await self.containers.remove(container.id)
        return text

    async def log(self, reference: str, **selection: Any) -> list[tuple[int, bytes]]:
        """What a container has written: each line with its stream."""
        chunks = self.containers.logs(reference, **selection)
        return [(chunk.stream, line) async for chunk in chunks for line in chunk.lines]

    async def exec(self, reference: str, *argv: str, **fields: Any) -> tuple[int | None, bytes]:
        """The exit status and the output of one more process."""
        session = await self.containers.exec_create(reference, ExecRequest(argv, **fields))
        streams = await self.containers.exec_start(session.id)
        assert streams is not None
        said = b"".join([data async for _, data in streams])
        return self.containers.exec(session.id).exit_code, said

    async def until_written(self, reference: str, text: str) -> None:
        """Wait until a running container has written something."""
        seen = ""
        async with asyncio.timeout(PATIENCE):
            async for chunk in self.containers.logs(reference, follow=True):
                seen += b"".join(chunk.lines).decode()
                if text in seen:
                    return
        raise AssertionError(f"{reference} ended without writing {text!r}: {seen!r}")

    async def settle(self, id: str) -> None:
        """Wait until what is being done about a container that has ended is done."""
        life = self.containers._register.lives[id]
        if self.ended(id):
            await self.containers.wait(id)
        async with life.lock:  # its status comes before its bundle goes
            return

    def ended(self, id: str) -> bool:
        """Whether a container that is remembered as running has ended, which is being dealt with."""
        life = self.containers._register.lives[id]
        return life.running and life.monitor is None

    def happened(self) -> list[str]:
        """The events so far, without those about sandboxes."""
        return [f"{event.type} {event.action}" for event in self.events if event.type != "sandbox"]

    def leftovers(self) -> list[str]:
        """Everything of containers that do not run that is still on the machine."""
        running = {each.id for each in self.containers.all() if each.state.status is Status.RUNNING}
        known = {each.id for each in self.containers.all()}
        bundles = self.exec_root / "containers"
        groups = {name for root in (CGROUPS, *CGROUPS.iterdir()) for name in names(root / "linkspan")}
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        found = {
            "bundle": names(bundles),
            "runtime": names(self.exec_root / "runtime"),
            "mount": [Path(path).parent.name for path in mounted if Path(path).is_relative_to(bundles)],
            "sandbox": list(self.engine.sandboxes),
            "process": users_of(bundles),
            "group": [id for id in groups if id in self.seen()],
        }
        wrong = [f"{kind} {id[:12]}" for kind, ids in found.items() for id in ids if id not in running]
        missing = [f"no {kind} {id[:12]}" for kind, ids in found.items() for id in running if id not in ids]
        data = [f"data {id[:12]}" for id in names(self.data_root / "containers") if id not in known]
        return sorted({*wrong, *missing, *data})

    def seen(self) -> set[str]:
        """The ids of every container there has been."""
        return {event.actor for event in self.events if event.type == "container"} | {
            each.id for each in self.containers.all()
        }

    async def empty(self) -> None:
        """Remove every container."""
        for container in self.containers.all():
            try:
                await self.containers.remove(container.id, force=True)
            except NotFoundError:  # it was about to remove itself
                continue


def names(directory: Path) -> Sequence[str]:
    return os.listdir(directory) if directory.is_dir() else ()  # noqa: PTH208 - names are what is wanted


def users_of(bundles: Path) -> list[str]:
    """The containers whose bundles the arguments of running programs name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_text(errors="replace").split("\0")
        except OSError:
            continue
        named = [argument for argument in arguments if argument.startswith(f"{bundles}/")]
        found += [argument.removeprefix(f"{bundles}/").partition("/")[0] for argument in named[:1]]
    return found


@asynccontextmanager
async def container_host(root: Path) -> AsyncIterator[ContainerHost]:
    """Opened, and emptied at the end; nothing may be left over then."""
    async with lab(open_kernel) as hosts:
        place = ContainerHost(root, hosts)
        await place.open()
        try:
            yield place
            await place.empty()
            assert place.leftovers() == []
        finally:
            await place.empty()
            await place.close()

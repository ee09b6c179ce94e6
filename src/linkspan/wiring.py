"""The composition root for library use: here, and nowhere else, the real parts are chosen and put together."""

import os
import secrets
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from linkspan.containers import packing
from linkspan.containers.core import Containers
from linkspan.dataplane.client import RemoteDataPlane
from linkspan.dataplane.local import LocalDataPlane
from linkspan.engine.core import Engine as CoreEngine
from linkspan.engine.ports import Surroundings
from linkspan.images.buildah import Buildah
from linkspan.images.core import Images
from linkspan.images.core import Surroundings as ImageSurroundings
from linkspan.images.skopeo import Skopeo
from linkspan.images.umoci import Umoci
from linkspan.kernel.firewall import FirewallFactory, succeeding
from linkspan.kernel.iptables import IptablesFirewall
from linkspan.kernel.linux import LinuxKernel
from linkspan.kernel.nftables import NftablesFirewall
from linkspan.model.config import Config, FirewallBackend
from linkspan.model.errors import InvalidError
from linkspan.model.images import ImageUse
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.store.locking import lock
from linkspan.store.sqlite import SqliteStore

DATA_ROOT = Path("/var/lib/linkspan")
EXEC_ROOT = Path("/run/linkspan")


def new_id() -> str:
    """64 random hex digits."""
    return secrets.token_hex(32)


def new_mac() -> str:
    """A random hardware address: locally administered, unicast (as Docker has chosen them since version 28)."""
    first, *rest = secrets.token_bytes(6)
    return ":".join(f"{byte:02x}" for byte in (first & 0xFC | 0x02, *rest))


SURROUNDINGS = Surroundings(now=lambda: datetime.now(UTC), new_id=new_id, new_mac=new_mac)


class DataPlane(StrEnum):
    """Who serves host ports and names: this process, or a helper process that outlives it."""

    LOCAL = "local"
    REMOTE = "remote"


class Engine(CoreEngine):
    """The engine on the real kernel, with SQLite."""

    @staticmethod
    @asynccontextmanager
    async def open(
        *,
        data_root: Path | str = DATA_ROOT,
        exec_root: Path | str = EXEC_ROOT,
        namespace: Path | str | None = None,
        config: Config | None = None,
        surroundings: Surroundings = SURROUNDINGS,
    ) -> AsyncIterator["Engine"]:
        """Open the engine of a data root and keep it open until the block ends; what it built stays.

        `data_root` remembers desired state, `exec_root` (on a file system that a reboot empties) pins namespaces;
        `namespace` is the network namespace that plays the host, by default the process's own. Whatever was changed by
        others since the last time is repaired, and listed in `healed`.

        Raises `ConflictError` when another engine owns a root or the bridge, `UnavailableError` when a
        privilege, program or kernel feature is missing.
        """
        async with _parts(data_root, exec_root, namespace, config or Config(), surroundings) as (engine, _, _):
            yield engine


@asynccontextmanager
async def open_with_images(
    *,
    data_root: Path | str = DATA_ROOT,
    exec_root: Path | str = EXEC_ROOT,
    namespace: Path | str | None = None,
    config: Config | None = None,
    surroundings: Surroundings = SURROUNDINGS,
    runtime: str = "",
    data_plane: DataPlane = DataPlane.LOCAL,
    insecure_registries: Collection[str] = (),
) -> AsyncIterator[tuple[Engine, Containers, Images]]:
    """The engine of a data root, as `Engine.open` opens it, containers in its sandboxes, and what they are made from.

    `runtime` is the name or path of an OCI runtime; empty takes the best that works on this machine. A remote
    `data_plane` goes on when the block ends: it answers names and relays ports until the next one takes over.
    `insecure_registries` (`host:port`, or prefixes of addresses) may speak plain HTTP, or TLS with any certificate.
    """
    parts = _parts(data_root, exec_root, namespace, config or Config(), surroundings, data_plane)
    async with parts as (engine, kernel, store):
        containers = Containers(
            engine,
            host=kernel,
            store=store,
            data_root=Path(data_root),
            exec_root=Path(exec_root),
            surroundings=surroundings,
            runtime=runtime,
        )
        images = Images(
            data_root=Path(data_root),
            store=store,
            transport=Skopeo(kernel, insecure_registries),
            unpacker=Umoci(kernel),
            builds=(
                Buildah(kernel, containers.runtime),
                partial(unpack_context, kernel),
                containers.build_sandboxes,
            ),
            surroundings=ImageSurroundings(surroundings.now, lambda: image_uses(containers), engine.announce),
        )
        async with containers.running(), images.running():
            yield engine, containers, images


def unpack_context(kernel: LinuxKernel, archive: Path, into: Path) -> None:
    """See `linkspan.images.ports.ContextUnpacker`."""
    root = os.open(into, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with archive.open("rb") as file:
            packing.unpack(root, kernel.open_inside, packing.Manner("/"), file)
    except OSError as error:
        raise InvalidError(f"cannot unpack the build context: {error.strerror}", field="body") from error
    finally:
        os.close(root)


def image_uses(containers: Containers) -> Iterator[ImageUse]:
    """The containers that were made from images."""
    for container in containers.all():
        wanted = container.wanted
        if wanted.image_id:
            yield ImageUse(container.id, wanted.image_id, wanted.rootfs, container.state.pid != 0)


@asynccontextmanager
async def _parts(
    data_root: Path | str,
    exec_root: Path | str,
    namespace: Path | str | None,
    config: Config,
    surroundings: Surroundings,
    data_plane: DataPlane = DataPlane.LOCAL,
) -> AsyncIterator[tuple[Engine, LinuxKernel, SqliteStore]]:
    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(Path(data_root), new_id=surroundings.new_id)
        stack.push_async_callback(store.close)
        # What is pinned there, and the data plane of it, carry no mark: they are taken for this engine's.
        stack.callback(os.close, await lock(Path(exec_root, "engine.lock"), field="exec_root", mode=0o755))
        kernel = await open_kernel(
            namespace=Path(namespace) if namespace is not None else None,
            exec_root=Path(exec_root),
            engine_id=store.engine_id,
            firewall=config.firewall,
            before=FirewallBackend(await store.recall("firewall") or config.firewall),
        )
        stack.push_async_callback(kernel.close)
        await stack.enter_async_context(_serving(data_plane, kernel, Path(exec_root)))
        engine = Engine(
            kernel=kernel, store=store, firewall=planned_firewall(config), config=config, surroundings=surroundings
        )
        await stack.enter_async_context(engine.running())
        if not engine.problems:  # else what the backend before left may still be there
            await store.remember("firewall", config.firewall)
        yield engine, kernel, store


@asynccontextmanager
async def _serving(kind: DataPlane, kernel: LinuxKernel, exec_root: Path) -> AsyncIterator[None]:
    """Have what the kernel holds served until the block ends, or beyond."""
    if kind is DataPlane.LOCAL:
        async with LocalDataPlane.open(kernel.make_socket) as local, kernel.served_by(local, outlives=False):
            yield
    else:
        async with RemoteDataPlane.open(exec_root, kernel.spawn) as remote:
            remote.wanted = kernel.wanted
            async with kernel.served_by(remote, outlives=True):
                yield


_FIREWALLS: dict[FirewallBackend, FirewallFactory] = {
    FirewallBackend.NFTABLES: NftablesFirewall,
    FirewallBackend.IPTABLES: IptablesFirewall,
}


async def open_kernel(
    *,
    namespace: Path | None,
    exec_root: Path,
    engine_id: str = "lab",
    firewall: FirewallBackend = FirewallBackend.NFTABLES,
    before: FirewallBackend | None = None,
) -> LinuxKernel:
    """The kernel of this machine in one network namespace (None: the process's own), without an engine above it.

    `before` is the firewall backend that was used last; what another one left behind is seen and can be removed.
    """
    make = _FIREWALLS[firewall]
    if before is not None and before is not firewall:
        make = succeeding(make, _FIREWALLS[before])
    return await LinuxKernel.open(namespace=namespace, exec_root=exec_root, engine_id=engine_id, firewall=make)


def planned_firewall(config: Config) -> Firewall:
    """The pure half of the configured backend."""
    if config.firewall is FirewallBackend.IPTABLES:
        return Iptables(userland_proxy=config.userland_proxy, bridge=config.bridge)
    return Nftables()

"""What a container is given of the machine at its start, besides its network and root file system."""

import resource
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from linkspan.containers.context import Context
from linkspan.containers.devices import find_devices, find_numbers
from linkspan.containers.inits import find_init
from linkspan.containers.layout import Places
from linkspan.containers.parts import pin_part
from linkspan.containers.register import Life
from linkspan.containers.seccomp import default_profile
from linkspan.containers.security import security
from linkspan.containers.spec import Setting
from linkspan.model.containers import Abilities, Container, CreateContainer, MountKind
from linkspan.model.errors import ConflictError, UnavailableError

_HOST_SHM = Path("/dev/shm")  # noqa: S108 - the mount point of the machine's shared memory
_CONTAINER = "container:"


async def provided(context: Context, container: Container, places: Places, setting: Setting) -> Setting:
    """A setting with everything that has to be looked up now. Raises `LinkspanError`."""
    wanted = container.wanted
    _check_raised(wanted, context.abilities)
    await context.volumes.enter(container, places.rootfs)
    unfiltered = wanted.privileged or security(wanted.security).seccomp
    return replace(
        setting,
        namespaces=dict(_namespaces(context, container)),
        seccomp="" if unfiltered else default_profile(),
        init=find_init() if wanted.init else None,
        shm=await _shared_memory(context, container, places),
        volumes=await _volumes(context, wanted, places),
        devices=() if wanted.privileged else find_devices(wanted.devices),
        numbers=find_numbers(wanted.resources),
    )


async def _volumes(context: Context, wanted: CreateContainer, places: Places) -> Mapping[str, Path]:
    """What is mounted of volumes, by where."""
    found: dict[str, Path] = {}
    for number, mount in enumerate(wanted.mounts):
        if mount.kind is MountKind.VOLUME:
            place = context.layout.volume(mount.source)
            if mount.subpath:
                place = await pin_part(context.host, place, mount.subpath, places.parts / str(number))
            found[mount.target] = place
    return found


def _check_raised(wanted: CreateContainer, abilities: Abilities) -> None:
    """Without CAP_SYS_RESOURCE, nobody can be given more than we have; the runtime would say so in riddles."""
    if "CAP_SYS_RESOURCE" in abilities.capabilities:
        return
    for limit in wanted.ulimits:
        _, most = resource.getrlimit(getattr(resource, f"RLIMIT_{limit.name.upper()}"))
        if most != resource.RLIM_INFINITY and (limit.hard == -1 or limit.hard > most):
            raise UnavailableError(
                f"ulimit {limit.name}={limit.soft}:{limit.hard} is above the daemon's own limit of {most}, and the "
                "daemon lacks CAP_SYS_RESOURCE",
                field="ulimits",
                hint=f"ask for at most {most}, or give the daemon CAP_SYS_RESOURCE",
            )
    own = int(Path("/proc/self/oom_score_adj").read_text())
    if wanted.oom_score_adj < own:
        raise UnavailableError(
            f"an oom-score-adj of {wanted.oom_score_adj} is below the daemon's own, {own}, and the daemon lacks "
            "CAP_SYS_RESOURCE",
            field="oom_score_adj",
            hint="give the daemon CAP_SYS_RESOURCE",
        )


def _namespaces(context: Context, container: Container) -> Mapping[str, Path | None]:
    """By kind, what is not the container's own: the host's (None), or that of another container."""
    wanted = container.wanted
    found: dict[str, Path | None] = {}
    for kind, mode in (("ipc", wanted.ipc), ("pid", wanted.pid), ("uts", wanted.uts)):
        if mode == "host":
            found[kind] = None
        elif mode.startswith(_CONTAINER):
            owner = _owner(context, mode, kind)
            found[kind] = Path(f"/proc/{owner.container.state.pid}/ns/{kind}")
    return found


def _owner(context: Context, mode: str, kind: str) -> Life:
    """The container whose namespace is shared; `ConflictError`, in Docker's words, unless it runs and may be joined."""
    owner = context.register.get(mode.removeprefix(_CONTAINER))
    if not owner.running:
        raise ConflictError(
            f"cannot join {kind.upper()} of a non running container: {owner.container.id}", field=kind, value=mode
        )
    if kind == "ipc" and owner.container.wanted.ipc not in ("shareable", "host"):
        raise ConflictError(
            f"cannot join IPC of a container {owner.container.id}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)",
            field=kind,
            value=mode,
        )
    return owner


async def _shared_memory(context: Context, container: Container, places: Places) -> Path | None:
    """What is mounted at /dev/shm, unless it is the container's own and nobody else's."""
    mode = container.wanted.ipc
    if mode == "host":
        return _HOST_SHM
    if mode.startswith(_CONTAINER):
        owner = _owner(context, mode, "ipc").container
        return _HOST_SHM if owner.wanted.ipc == "host" else context.layout.of(owner.id).shm
    if mode != "shareable":
        return None
    await context.host.mount_tmpfs(places.shm, size=container.wanted.shm_size)
    return places.shm

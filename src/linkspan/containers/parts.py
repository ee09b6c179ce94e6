"""Parts of volumes: `--mount type=volume,volume-subpath=…`.

What is in a volume belongs to the containers that have it, so a path in it may lead anywhere through links, and may
change while it is followed. The kernel follows it with the volume as `/` (openat2(2)), and what it finds is held by a
descriptor, and mounted by that: nothing outside can be reached, whoever changes links meanwhile.
"""

import asyncio
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linkspan.containers.layout import Places
from linkspan.containers.packing import opened
from linkspan.containers.ports import Host
from linkspan.model.errors import NotFoundError

_LOOK = os.O_PATH | os.O_CLOEXEC


@contextmanager
def opened_part(host: Host, volume: Path, subpath: str) -> Iterator[Path]:
    """A path to a part of a volume that is right while the block runs. Raises `NotFoundError` in Docker's words."""
    with opened(os.open(volume, _LOOK | os.O_DIRECTORY)) as root:
        try:
            part = host.open_inside(root, subpath, _LOOK)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise NotFoundError(f"cannot access path {volume}/{subpath}: {reason}", field="mounts") from error
        with opened(part):
            yield Path(f"/proc/self/fd/{part}")


async def pin_part(host: Host, volume: Path, subpath: str, pin: Path) -> Path:
    """Mount a part of a volume where the runtime, which takes paths alone, finds it: at `pin`, which is made."""
    with opened_part(host, volume, subpath) as part:
        await asyncio.to_thread(_make_pin, part, pin)
        await host.mount_bind(part, pin, read_only=False)
    return pin


def _make_pin(part: Path, pin: Path) -> None:
    pin.parent.mkdir(mode=0o700, exist_ok=True)
    if stat.S_ISDIR(part.stat().st_mode):
        pin.mkdir()
    else:
        pin.touch()


async def unpin_parts(host: Host, places: Places) -> None:
    """Take the pins of a container away: what the runtime has mounted from them stays."""
    if not places.parts.exists():  # most containers have none: the machine's mounts need not be read for each start
        return
    for pin in await host.mounts(places.parts):
        await host.unmount(pin)
    await asyncio.to_thread(remove_pins, places.parts)


def remove_pins(parts: Path) -> None:
    """Delete the mount points. Each by itself: one that is still mounted must not be deleted, and refuses."""
    with suppress(FileNotFoundError):
        for pin in parts.iterdir():
            if pin.is_dir():
                pin.rmdir()
            else:
                pin.unlink()
        parts.rmdir()

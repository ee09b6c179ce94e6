"""What Docker puts into every root file system: mount points, /etc/mtab, and /.dockerenv, by which programs know it.

Source: moby's daemon/initlayer. What the image has there stays. It is made once, before the first start.
"""

import os
from pathlib import Path

from linkspan.containers.users import inside

_DIRECTORIES = ("/dev/pts", "/dev/shm", "/proc", "/sys")  # noqa: S108 - mount points inside
_FILES = ("/.dockerenv", "/dev/console", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_LINKS = (("/etc/mtab", "/proc/mounts"),)

PATHS = frozenset((*_DIRECTORIES, *_FILES, *(path for path, _ in _LINKS), "/dev", "/etc"))
"""All of it, with the directories it is in."""


def make_init_layer(rootfs: Path) -> None:
    """Make what is missing in a mounted root file system. Raises OSError."""
    for path in _DIRECTORIES:
        inside(rootfs, path).mkdir(mode=0o755, parents=True, exist_ok=True)
    for path in _FILES:
        if not os.path.lexists(place := _place(rootfs, path)):
            place.touch(mode=0o755)
    for path, target in _LINKS:
        if not os.path.lexists(place := _place(rootfs, path)):
            place.symlink_to(target)


def _place(rootfs: Path, path: str) -> Path:
    """The last part is not followed: where a link stands, something is there."""
    above, _, name = path.rpartition("/")
    directory = inside(rootfs, above)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return directory / name

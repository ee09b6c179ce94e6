"""Directories with everything in them."""

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Delete a directory with everything in it; nothing to do when it is gone."""
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def tree_size(place: Path, besides: Collection[str] = ()) -> int:
    """Bytes of the files below a directory, each counted once, without directories, as Docker counts.

    What vanishes meanwhile is left out, and so are the paths `besides`, as they are seen from the directory.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, _, files in os.walk(place):
        inside = directory.removeprefix(str(place))
        for name in files:
            if f"{inside}/{name}" in besides:
                continue
            with suppress(OSError):
                found = os.lstat(f"{directory}/{name}")
                if (key := (found.st_dev, found.st_ino)) not in seen:
                    seen.add(key)
                    total += found.st_size
    return total

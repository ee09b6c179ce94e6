"""Directories with everything in them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Delete a directory with everything in it; nothing to do when it is gone."""
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def tree_size(place: Path) -> int:
    """Bytes of everything below a directory, each file counted once; what vanishes meanwhile is left out."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, names, files in os.walk(place):
        for name in (*names, *files):
            with suppress(OSError):
                found = os.lstat(f"{directory}/{name}")
                if (key := (found.st_dev, found.st_ino)) not in seen:
                    seen.add(key)
                    total += found.st_size
    return total

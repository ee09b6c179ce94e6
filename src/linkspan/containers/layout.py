"""Where a container's files are.

What must survive a reboot is under the data root: the writable layer, the log, and the files that are mounted over
those of the root file system. What a reboot ends anyway is under the exec root: the bundle of the runtime and the
monitor, with the mounted root file system. Every directory bears the container's id, so that leftovers can be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one container."""

    data: Path
    bundle: Path

    @property
    def upper(self) -> Path:
        """The writable layer."""
        return self.data / "upper"

    @property
    def work(self) -> Path:
        """The directory overlayfs needs beside the writable layer."""
        return self.data / "work"

    @property
    def log(self) -> Path:
        """What the process wrote, with times; where the log is rotated, the newest file of it."""
        return self.data / "log"

    def numbered_log(self, number: int) -> Path:
        """The name under which a file of a log that is rotated stays."""
        return self.data / f"log.{number}"

    @property
    def spare_log(self) -> Path:
        """What conmon opens to begin a new file of the log, before it renames that to `log`."""
        return self.data / "log.tmp"

    @property
    def hosts(self) -> Path:
        """Mounted over /etc/hosts."""
        return self.data / "hosts"

    @property
    def resolv_conf(self) -> Path:
        """Mounted over /etc/resolv.conf."""
        return self.data / "resolv.conf"

    @property
    def resolv_conf_digests(self) -> Path:
        """Digests of the texts that we last wrote to it."""
        return self.data / "resolv.conf.hash"

    @property
    def hostname(self) -> Path:
        """Mounted over /etc/hostname."""
        return self.data / "hostname"

    @property
    def rootfs(self) -> Path:
        """Where the root file system is mounted."""
        return self.bundle / "rootfs"

    @property
    def shm(self) -> Path:
        """Shared memory that other containers may share, mounted on the host."""
        return self.bundle / "shm"

    @property
    def config(self) -> Path:
        """The runtime's description of the container."""
        return self.bundle / "config.json"

    @property
    def parts(self) -> Path:
        """Where parts of volumes are mounted while a container starts."""
        return self.bundle / "parts"

    def exec(self, id: str) -> Path:
        """The bundle of one more process."""
        return self.bundle / f"exec-{id[:12]}"

    def execs(self) -> Sequence[Path]:
        """The bundles of all further processes."""
        return sorted(self.bundle.glob("exec-*"))


class Layout:
    """The directories of all containers of one engine."""

    def __init__(self, data_root: Path, exec_root: Path) -> None:
        self._data = data_root.absolute() / "containers"
        self.volumes = data_root.absolute() / "volumes"
        self.bundles = exec_root.absolute() / "containers"
        self.runtime_root = exec_root.absolute() / "runtime"

    def of(self, id: str) -> Places:
        """The paths of the container with that id."""
        return Places(self._data / id, self.bundles / id)

    def volume(self, name: str) -> Path:
        """The content of a volume."""
        return self.volumes / name / "_data"

    def leftovers(self) -> Sequence[str]:
        """The ids that the exec root knows."""
        return sorted({*_names(self.bundles), *_names(self.runtime_root)})

    def with_data(self) -> Sequence[str]:
        """The ids that the data root knows."""
        return _names(self._data)


def _names(directory: Path) -> Sequence[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else ()

"""Whether the host forwards, and whether it does because of us.

That it was us is noted by an empty file for each family, just before the switch: a firewall that is flushed does not
take it along, a change of the backend neither, and a reboot empties the exec root together with the switch. A note
whose switch is off again is void.
"""

from collections.abc import Iterable
from pathlib import Path

from linkspan.kernel import files
from linkspan.model.addressing import VERSIONS, Version
from linkspan.plan.objects import HOST, KernelObject, Sysctl

_SETTING: dict[Version, str] = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


class Forwarding:
    """The switches of the host, with the notes about them in `directory`. To be used on the kernel thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on(self) -> tuple[Version, ...]:
        """The families that are forwarded."""
        return tuple(version for version in VERSIONS if _is_on(version))

    def by_us(self) -> tuple[Version, ...]:
        """Those of them that we switched on."""
        for version in VERSIONS:
            if not _is_on(version):
                self._note(version).unlink(missing_ok=True)
        return tuple(version for version in VERSIONS if self._note(version).exists())

    def note(self, settings: Iterable[KernelObject]) -> None:
        """Note the switches among the settings that are about to be turned on."""
        turned = {item.name for item in settings if isinstance(item, Sysctl) and item.where == HOST}
        for version in VERSIONS:
            if _SETTING[version] in turned and not _is_on(version):
                self._directory.mkdir(parents=True, exist_ok=True)
                self._note(version).touch()

    def _note(self, version: Version) -> Path:
        return self._directory / f"ipv{version}"


def _is_on(version: Version) -> bool:
    try:
        return files.read(f"/proc/sys/{_SETTING[version].replace('.', '/')}").strip() != "0"
    except OSError:  # the kernel has no IPv6
        return False

"""What the API tells about the machine it runs on: looked up once, at start, but for what changes."""

import os
import platform
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_BRIDGED = {
    4: Path("/proc/sys/net/bridge/bridge-nf-call-iptables"),
    6: Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
}
_FORWARDING = {4: Path("/proc/sys/net/ipv4/ip_forward"), 6: Path("/proc/sys/net/ipv6/conf/all/forwarding")}


@dataclass(frozen=True)
class Host:
    """The machine, and where the engine keeps its things. `programs` maps what is needed to its package."""

    data_root: Path
    version: str
    name: str = field(default_factory=socket.gethostname)
    kernel: str = field(default_factory=platform.release)
    machine: str = field(default_factory=platform.machine)
    python: str = field(default_factory=platform.python_version)
    system: str = ""
    system_version: str = ""
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    memory: int = field(default_factory=lambda: os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cgroup: str = ""
    programs: Mapping[str, str] = field(default_factory=dict)

    def missing_packages(self) -> list[str]:
        """Packages whose programs are not installed."""
        return sorted({package for program, package in self.programs.items() if shutil.which(program) is None})

    def forwards(self, version: int) -> bool:
        """Whether the kernel forwards packets of a family."""
        return _is_on(_FORWARDING[version])

    def filters_bridged(self, version: int) -> bool:
        """Whether bridged frames of a family pass the rules of the firewall."""
        return _is_on(_BRIDGED[version])


def _is_on(switch: Path) -> bool:
    try:
        return switch.read_text().strip() != "0"
    except OSError:
        return False


def look(data_root: Path, version: str, *, programs: Mapping[str, str] | None = None) -> Host:
    """The machine as it is."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return Host(
        data_root,
        version,
        system=release.get("PRETTY_NAME", "Linux"),
        system_version=release.get("VERSION_ID", ""),
        cgroup="2" if unified else "1",
        programs=programs or {},
    )

"""Finding the programs that run containers.

conmon watches a container and outlives us; the OCI runtime, runc or crun, makes it. crun is the faster, but where
version 1 of control groups is mounted, alone or beside version 2, it refuses to work (crun 1.8: `cgroups in hybrid mode
not supported`), so it is taken only on a machine with version 2 alone. Both speak the same command line.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from linkspan.model.errors import UnavailableError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for: the PATH of a service or of a user's shell may have no sbin."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The absolute paths of the programs."""

    monitor: str
    runtime: str


def find_programs(*, unified: bool, wanted: str = "", path: str = _PATH) -> Programs:
    """The monitor, and the runtime: the wanted one (a name or a path), or the best that works here.

    Raises `UnavailableError` that names what to install.
    """
    monitor = shutil.which("conmon", path=path)
    if monitor is None:
        raise UnavailableError(
            "the program conmon is missing, which watches containers", hint="install the package conmon"
        )
    candidates = (wanted,) if wanted else ("crun", "runc") if unified else ("runc",)
    for name in candidates:
        runtime = shutil.which(name, path=path)
        if runtime is not None:
            return Programs(monitor, runtime)
    raise UnavailableError(
        f"no program to run containers with: there is no {' and no '.join(candidates)}",
        hint=f"install the package {Path(candidates[-1]).name}",
    )

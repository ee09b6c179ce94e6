"""The small process that reaps orphans and passes signals on, for `--init`."""

import shutil
from pathlib import Path

from linkspan.model.errors import UnavailableError

INSIDE = "/sbin/docker-init"
"""Where it is inside, as in Docker."""

_PROGRAMS = ("docker-init", "tini-static", "catatonit")
"""All linked statically: the root file system may have no libraries."""
_PATH = "/usr/libexec/docker:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_init(path: str = _PATH) -> Path:
    """The program on the host; `UnavailableError` names what to install."""
    for name in _PROGRAMS:
        found = shutil.which(name, path=path)
        if found is not None:
            return Path(found).resolve()
    raise UnavailableError(
        f"no init program for --init: there is no {', no '.join(_PROGRAMS)}",
        hint="install the package tini or catatonit",
        field="init",
    )

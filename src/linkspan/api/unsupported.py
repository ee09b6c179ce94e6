"""What Docker's clients can ask of a container and nothing here gives: refused where Docker would, else said so."""

from linkspan.api.bodies.containers import HostConfig
from linkspan.model.errors import InvalidError

_RUNTIMES = frozenset({"", "runc", "crun", "io.containerd.runc.v2"})
"""Names under which clients ask for the one runtime of the machine."""
_NO_WEIGHTS = (
    "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."
)
_NO_PORTS = "Published ports are discarded when using host network mode"


def check_supported(host: HostConfig) -> None:
    """Raises `InvalidError`, in Docker's words, for a runtime or a quota that is not there."""
    if host.runtime not in _RUNTIMES:
        raise InvalidError(f"unknown or invalid runtime name: {host.runtime}", field="Runtime", value=host.runtime)
    if host.isolation.lower() not in ("", "default"):
        text = f"invalid isolation: \"{host.isolation}\" - linux only supports 'default'"
        raise InvalidError(text, field="Isolation", value=host.isolation)
    if host.storage_opt:
        raise InvalidError(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option", field="StorageOpt"
        )


def ignored(host: HostConfig) -> list[str]:
    """Warnings about what was asked for and has no effect."""
    given = {
        "limits of kernel memory": bool(host.kernel_memory),
        "namespaces of users": host.userns_mode not in ("", "host"),
    }
    found = [f"{what} are not supported: ignored" for what, wanted in given.items() if wanted]
    found += [_NO_WEIGHTS] if host.blkio_weight_device else []
    return [*found, _NO_PORTS] if host.network_mode == "host" and host.port_bindings else found

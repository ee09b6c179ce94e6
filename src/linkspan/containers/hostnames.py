"""What a container calls itself."""

import socket

from linkspan.model.containers import Container


def own_hostname(container: Container) -> str:
    """What was asked for, the host's name in its network, else the short id."""
    wanted = container.wanted
    return wanted.hostname or (socket.gethostname() if wanted.mode == "host" else container.id[:12])

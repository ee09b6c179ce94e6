"""`python -m linkspan.daemon.dataplane`: the process of the data plane, which the daemon starts and which outlives it.

The composition root of that process. What only some services need is imported when they do, since 1,000 relayed ports
are to fit into 40 MiB and a published port is to wait for nobody.
"""

import asyncio
import gc
import getopt
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from linkspan.daemon import logs
from linkspan.dataplane.names.core import Names
from linkspan.dataplane.relay import Relay
from linkspan.dataplane.server import Server
from linkspan.dataplane.services import Services

log = logging.getLogger("linkspan.daemon.dataplane")  # __name__ is __main__

OPTIONS = ("path=", "build=", "lock=", "listener=", "idle-seconds=", "grace-seconds=", "log-level=")
DEFAULTS = {"--idle-seconds": "10", "--grace-seconds": "10", "--log-level": "info"}


def main(argv: Sequence[str]) -> int:
    """Serve until there is nothing left to do. Started by `linkspan.dataplane.starting` only."""
    given, _ = getopt.getopt(list(argv), "", OPTIONS)
    options = DEFAULTS | dict(given)
    logs.start(options["--log-level"])
    os.chdir("/")
    Path("/proc/self/comm").write_text("linkspan-data")  # at most 15 bytes
    os.pwrite(int(options["--lock"]), f"{os.getpid()}\n".encode().ljust(16), 0)  # all the room there is
    _raise_open_files_limit()
    gc.freeze()
    asyncio.run(_serve(options))
    return 0


async def _serve(options: Mapping[str, str]) -> None:
    listener = socket.socket(fileno=int(options["--listener"]))
    async with Relay(_socket_in) as relay, Names(_socket_in) as names:
        server = Server(
            Services(relay, names),
            listener,
            Path(options["--path"]),
            build=options["--build"],
            lock=int(options["--lock"]),
            idle_seconds=float(options["--idle-seconds"]),
            grace_seconds=float(options["--grace-seconds"]),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.end)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        log.info("the data plane serves at %s", options["--path"])
        await server.run()
    log.info("the data plane has ended")


def _socket_in(namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    if namespace is None:
        return socket.socket(family, kind)
    from linkspan.kernel.visiting import socket_in

    return socket_in(namespace, family, kind)


def _raise_open_files_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

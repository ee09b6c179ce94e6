"""A relay in a process of its own: `python -m tests.support.relay_process LISTENER TARGET_PORT DESCRIPTORS`.

LISTENER is an inherited descriptor, DESCRIPTORS how many the process may have open. It writes `ready`, and relays until
its standard input ends.
"""

import asyncio
import logging
import resource
import socket
import sys

from linkspan.dataplane.relay import Relay
from tests.support.relays import host_port, make_socket


async def main(listener: int, target: int, descriptors: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    async with Relay(make_socket) as relay:
        with socket.socket(fileno=listener) as given:
            value = host_port(given, target)
            relay.serve(value, [given.detach()])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
        await ended.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*map(int, sys.argv[1:])))

"""Two small servers of the bench: `python -m bench.nameserver upstream ADDRESS`, and `... update`.

`upstream` gives every question the same address, as a resolver far away would, in the least time that Python needs.
`update` serves 10,000 names at 127.0.0.1 port 5300 and changes one of them again and again. Once it serves it writes a
line; when its input ends, the seconds that each change took, as JSON.
"""

import asyncio
import json
import os
import socket
import sys
import time
from ipaddress import ip_address

from linkspan.dataplane.names.core import Names
from linkspan.model.dataplane import NameEntry, NameZone, Resolver

NAMES = 10_000
PORT = 5300
_PAUSE = 0.01
_RECORD = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2\x50"  # A, one hour, 192.0.2.80
_NETWORK = "1" * 64


def upstream(address: str) -> None:
    """Answers until it is killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        print(flush=True)
        while True:
            data, client = server.recvfrom(512)
            end = data.index(0, 12) + 5
            server.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:end] + _RECORD, client)


async def update() -> None:
    """See above."""
    times: list[float] = []
    async with Names(lambda _, family, kind: socket.socket(family, kind)) as names:
        names.put(NameZone(_NETWORK, "net", "bench"))
        for number in range(NAMES):
            names.put(_entry(number, number))
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        for each in (udp, tcp):
            each.bind(("127.0.0.1", PORT))
        tcp.listen()
        names.serve(Resolver("box", (_NETWORK,), "bench"), udp.detach(), tcp.detach(), None)
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        print(flush=True)
        while not ended.done():
            entry = _entry(17, len(times))
            start = time.perf_counter()
            names.put(entry)
            times.append(time.perf_counter() - start)
            await asyncio.sleep(_PAUSE)
    print(json.dumps(times))


def _entry(number: int, address: int) -> NameEntry:
    names = (f"name{number}", f"alias{number}", f"{number:012x}", "web")[: 4 if number == 17 else 3]
    return NameEntry(_NETWORK, f"sandbox{number}", names, (ip_address(0x0A000000 + address % 65536),), "bench")


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[-1])})
    if sys.argv[1] == "upstream":
        upstream(sys.argv[2])
    else:
        asyncio.run(update())

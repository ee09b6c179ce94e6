"""Programs of bench/relay.py: `python -m bench.relayends server|relay|ports|transfer|requests ...`.

`server PORT` answers requests and closes, or counts what is transferred and throws it away, as the first byte says.
`relay PORT ADDRESS PORT` relays from 127.0.0.1. Both write an empty line when they serve, and end with their input.

`ports COUNT` relays so many ports, in a process that has loaded what the data plane's has. It prints the bytes of
memory that it takes: its own, and its share of what is shared (PSS).

`transfer PORT BYTES` and `requests PORT COUNT` are clients; they print the seconds it took.
"""

import asyncio
import gc
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import linkspan.daemon.dataplane  # noqa: F401 - what the process loads takes memory
from linkspan.dataplane.relay import Relay
from linkspan.model.dataplane import HostPort
from linkspan.model.ports import PortRange, Protocol

HERE = "127.0.0.1"
AT_ONCE = 32
"""Requests under way at the same time."""
_PIECE = 256 * 1024
_REQUEST, _TRANSFER = b"r" * 80, b"t" * _PIECE
_ANSWER = b"a" * 200


def server(port: str) -> None:
    """Answer until the input ends."""
    listener = socket.create_server(("", int(port)), backlog=1024)
    listener.setblocking(False)
    waiting: dict[int, socket.socket] = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    print(flush=True)
    while True:
        for number, _ in poll.poll():
            if number == 0:
                return
            if number == listener.fileno():
                client, _ = listener.accept()
                poll.register(client, select.EPOLLIN)
                waiting[client.fileno()] = client
            else:
                poll.unregister(number)
                _answer(waiting.pop(number))


def _answer(client: socket.socket) -> None:
    if client.recv(len(_REQUEST)).startswith(b"t"):
        Thread(target=_swallow, args=(client,), daemon=True).start()
    else:
        client.send(_ANSWER)
        client.close()


def _swallow(client: socket.socket) -> None:
    """Throw away without copying, so that the relay is what takes time."""
    client.setblocking(True)
    buffer = bytearray(1 << 20)
    while client.recv_into(buffer, 0, socket.MSG_TRUNC):
        pass
    client.close()


async def relay(port: str, address: str, target: str) -> None:
    """Relay until the input ends."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    async with Relay(_make_socket) as made:
        _serve(made, int(port), address, int(target))
        print(flush=True)
        await ended.wait()


async def ports(count: str) -> None:
    """Measure."""
    async with Relay(_make_socket) as made:
        for port in range(20_000, 20_000 + int(count)):
            _serve(made, port, HERE, 80)
        print(_memory())


def _memory() -> int:
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _serve(made: Relay, port: int, address: str, target: int) -> None:
    listener = socket.create_server((HERE, port), backlog=1024)
    to = (ip_address(address), PortRange(target, target))
    made.serve(HostPort(Protocol.TCP, ip_address(HERE), PortRange(port, port), "bench", to), [listener.detach()])


def _make_socket(_namespace: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    return socket.socket(family, kind)


def transfer(port: str, count: str) -> None:
    """One connection. The end is awaited: everything has arrived."""
    start = time.perf_counter()
    with socket.create_connection((HERE, int(port))) as client:
        for _ in range(int(count) // _PIECE):
            client.sendall(_TRANSFER)
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
    print(time.perf_counter() - start)


def requests(port: str, count: str) -> None:
    """Connect, ask, read to the end, close; some at a time."""
    left, poll, clients = int(count), select.epoll(), dict[int, socket.socket]()
    start = time.perf_counter()
    while left or clients:
        while left and len(clients) < AT_ONCE:
            client = socket.create_connection((HERE, int(port)))
            client.send(_REQUEST)
            poll.register(client, select.EPOLLIN)
            clients[client.fileno()] = client
            left -= 1
        for number, _ in poll.poll():
            if not clients[number].recv(4096):
                clients.pop(number).close()
    print(time.perf_counter() - start)


PROGRAMS: Mapping[str, Callable[..., object]] = {
    "server": server,
    "relay": lambda *words: asyncio.run(relay(*words)),
    "ports": lambda *words: asyncio.run(ports(*words)),
    "transfer": transfer,
    "requests": requests,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])

"""Real packets without programs: sockets of this process that belong to other namespaces.

A socket stays for ever in the namespace it was made in, so a test's one event loop can be every server and every
client. A server answers each connection or datagram with its own name and the client's address as it sees it:
`web 192.0.2.2`.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from linkspan.kernel.process import Process, Stream, spawn
from linkspan.kernel.thread import enter, visit
from linkspan.lab.programs import Place
from tests.support.patience import PATIENCE, SHORT

Value = TypeVar("Value")

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


_TOTAL_RETRANSMISSIONS = 100
"""Where `tcpi_total_retrans` stands in `struct tcp_info` of linux/tcp.h."""


class Site(Place):
    """A namespace to run programs in and to make sockets in."""

    def __init__(self, name: str, namespace: Path) -> None:
        async def start(
            argv: Sequence[str], *, stdin: Stream = None, stdout: Stream = None, stderr: Stream = None
        ) -> Process:
            return await spawn(argv, namespace, stdin=stdin, stdout=stdout, stderr=stderr)

        super().__init__(name, start)
        self.namespace = namespace

    def visit(self, function: Callable[[], Value]) -> Value:
        """Call a function on a thread inside the namespace."""

        def call() -> Value:
            enter(self.namespace)
            return function()

        return visit(call)

    def socket(self, version: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket of this namespace."""
        made = self.visit(lambda: socket.socket(FAMILIES[version], kind, protocol))
        made.setblocking(False)
        return made

    def sysctl(self, name: str, value: str) -> None:
        """Set a kernel setting of the namespace (dots part the name)."""
        self.visit(lambda: Path("/proc/sys", *name.split(".")).write_text(value))

    def setting(self, name: str) -> str:
        """Read a kernel setting of the namespace."""
        return self.visit(lambda: Path("/proc/sys", *name.split(".")).read_text().strip())


def retransmissions(side: socket.socket) -> int:
    """Segments that TCP had to send again."""
    info = side.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    count: int = struct.unpack_from("=I", info, _TOTAL_RETRANSMISSIONS)[0]
    return count


def bound(site: Site, address: str, port: int, protocol: str = "tcp") -> socket.socket:
    """A socket that has the port, or OSError; a TCP one listens."""
    version = ip_address(address).version
    taken = site.socket(version, KINDS[protocol])
    try:
        if version == 6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address, port))
        if protocol == "tcp":
            taken.listen(64)
    except OSError:
        taken.close()
        raise
    return taken


@contextmanager
def serving(site: Site, port: int, protocol: str = "tcp", address: str = "0.0.0.0", name: str = "") -> Iterator[None]:
    """A server at `port`; `name` is what it calls itself, by default the name of its place."""
    listener = bound(site, address, port, protocol)
    said = name or site.name
    loop = asyncio.get_running_loop()
    answer = _answer_connection if protocol == "tcp" else _answer_datagram
    loop.add_reader(listener, lambda: answer(listener, said))
    try:
        yield
    finally:
        loop.remove_reader(listener)
        listener.close()


def _answer_connection(listener: socket.socket, name: str) -> None:
    with suppress(OSError):
        connection, client = listener.accept()
        with connection:
            connection.sendall(f"{name} {client[0]}".encode())


def _answer_datagram(listener: socket.socket, name: str) -> None:
    with suppress(OSError):
        _, client = listener.recvfrom(64)
        listener.sendto(f"{name} {client[0]}".encode(), client)


async def ask(
    site: Site, address: object, port: int, protocol: str = "tcp", *, patience: float = PATIENCE, source: str = ""
) -> str | None:
    """What a server answers to a client at `site`; None when there is no answer, for whatever reason."""
    version = ip_address(str(address)).version
    with site.socket(version, KINDS[protocol]) as client:
        if source:
            client.bind((source, 0))
        return await _converse(client, (str(address), port), patience)


async def _converse(client: socket.socket, server: tuple[str, int], patience: float) -> str | None:
    loop = asyncio.get_running_loop()
    answer = b""
    try:
        async with asyncio.timeout(patience):
            await loop.sock_connect(client, server)
            if client.type == socket.SOCK_DGRAM:
                await loop.sock_sendall(client, b"hello")
                return (await loop.sock_recv(client, 256)).decode()
            while part := await loop.sock_recv(client, 256):
                answer += part
    except (OSError, TimeoutError):
        return None
    return answer.decode() or None


async def silent(site: Site, address: object, port: int, protocol: str = "tcp", source: str = "") -> bool:
    """Whether a server stays out of reach."""
    return await ask(site, address, port, protocol, patience=SHORT, source=source) is None


async def pings(site: Site, address: object) -> bool:
    """Whether an echo request is answered in good time."""
    return await site.succeeds("ping", "-n", "-c", "1", "-W", str(PATIENCE), str(address))


async def no_ping(site: Site, address: object) -> bool:
    """Whether an echo request stays without answer."""
    return not await site.succeeds("ping", "-n", "-c", "1", "-W", str(SHORT), str(address))

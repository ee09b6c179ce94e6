"""A machine with a data plane's process on it, daemons that come and go, and traffic that must not notice.

The machine is a namespace with only its loopback. A "sandbox" is a server at 127.0.0.2; the ports it publishes are at
127.0.0.1, and its name server is at 127.0.0.11.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import dns.message

from linkspan.dataplane import starting
from linkspan.dataplane.client import RemoteDataPlane
from linkspan.dataplane.ports import Stream
from linkspan.dataplane.starting import Place
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.process import Process, spawn
from linkspan.model.dataplane import HostPort, NameEntry, NameZone, Resolver, Service
from linkspan.model.ports import PortRange, Protocol
from tests.support.packets import Site, bound
from tests.support.patience import PATIENCE

PUBLISHED, SANDBOX, RESOLVER = "127.0.0.1", "127.0.0.2", "127.0.0.11"
TCP_PORT, UDP_PORT, DNS_PORT = 8080, 8053, 40053
CLIENTS = 4
"""Of each kind, at the same time."""
ANSWERING = 0.05
"""Seconds that the sandbox takes for a datagram, so that there are always answers under way."""

ZONE = NameZone("n1", "shop", "owner")
ENTRY = NameEntry("n1", "s1", ("web",), (ip_address("10.0.0.2"),), "owner")

Sockets = Mapping[Service, Sequence[int]]
Once = Callable[[], Awaitable[None]]
Client = Callable[["Ways"], AbstractAsyncContextManager[Once]]


def port(first: int, last: int = 0, *, relay: int = 0, protocol: Protocol = Protocol.TCP) -> HostPort:
    """Published ports, relayed to those of the sandbox from `relay` on."""
    ports = PortRange(first, last or first)
    target = (ip_address(SANDBOX), PortRange(relay, relay + len(ports) - 1)) if relay else None
    return HostPort(protocol, ip_address(PUBLISHED), ports, "owner", target)


class PlaneHost:
    """The machine."""

    def __init__(self, namespace: Path, exec_root: Path) -> None:
        self.site = Site("host", namespace)
        self.place = Place(exec_root)

    @property
    def ways(self) -> "Ways":
        """Those of `everything`."""
        published = (self.site, PUBLISHED, TCP_PORT, UDP_PORT, self.site, SANDBOX)
        return Ways(*published, self.site, (RESOLVER, DNS_PORT), ENTRY.names[0], str(ENTRY.addresses[0]))

    @property
    def pid(self) -> int | None:
        """The data plane's process."""
        return starting.holder(self.place)

    @property
    def network(self) -> int:
        """The network namespace of that process."""
        return Path(f"/proc/{self.pid}/ns/net").stat().st_ino

    def leave_no_room(self) -> None:
        """Let the process have no descriptor more than it has, but for what it keeps in reserve."""
        assert self.pid is not None
        held = Path(f"/proc/{self.pid}/fd").iterdir()
        reserve = max(int(path.name) for path in held if str(path.readlink()) == os.devnull)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (reserve + 1, reserve + 1))

    def log(self) -> str:
        """What the process has said."""
        return self.place.log.read_text()

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """As `LinuxKernel.spawn`."""
        return await spawn(
            argv, self.site.namespace, env=env, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
        )

    def daemon(self, *extra: str) -> AbstractAsyncContextManager[RemoteDataPlane]:
        """A daemon's data plane, in this process."""
        return RemoteDataPlane.open(self.place.exec_root, self.spawn, extra)

    def bind(self, *services: HostPort) -> dict[Service, list[int]]:
        """Services with their sockets."""
        return {service: self._bound(service) for service in services}

    def _bound(self, service: HostPort) -> list[int]:
        kind = "udp" if service.protocol is Protocol.UDP else "tcp"
        ports = range(service.ports.first, service.ports.last + 1)
        return [bound(self.site, PUBLISHED, number, kind).detach() for number in ports]

    def bind_resolver(self) -> list[int]:
        """Sockets for a resolver, and the namespace."""
        udp, tcp = (bound(self.site, RESOLVER, DNS_PORT, kind).detach() for kind in ("udp", "tcp"))
        return [udp, tcp, os.open(self.site.namespace, os.O_RDONLY)]

    def everything(self) -> dict[Service, list[int]]:
        """A relayed port of either kind, and a name that can be asked for, with their sockets."""
        ports = self.bind(port(TCP_PORT, relay=7000), port(UDP_PORT, relay=7001, protocol=Protocol.UDP))
        return {**ports, Resolver("s1", ("n1",), "owner", forward=False): self.bind_resolver(), ZONE: [], ENTRY: []}

    async def gone(self, pid: int) -> None:
        """Wait until a process has ended."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, ended.set)
        try:
            async with asyncio.timeout(PATIENCE):
                await ended.wait()
        finally:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)

    def end(self) -> None:
        """End every process of this machine's data plane, also a retired one."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if os.fsencode(self.place.socket) in path.read_bytes().split(b"\0"):
                    os.kill(int(path.parent.name), signal.SIGKILL)


@contextmanager
def plane_host(tmp_path: Path) -> Iterator[PlaneHost]:
    """A machine, and nothing left of it afterwards."""
    hosts = Namespaces(tmp_path / "hosts")
    name = uuid.uuid4().hex
    hosts.create(name).close()
    host = PlaneHost(hosts.path(name), tmp_path / "exec")
    try:
        yield host
    finally:
        host.end()
        hosts.remove(name)


def close(sockets: Sockets) -> None:
    """Close a daemon's descriptors."""
    for descriptors in sockets.values():
        for descriptor in descriptors:
            os.close(descriptor)


def wanted(sockets: Sockets) -> dict[tuple[str, ...], tuple[Service, Sequence[int]]]:
    """As `RemoteDataPlane.wanted` has it."""
    return {service.key: (service, descriptors) for service, descriptors in sockets.items()}


def inodes(descriptors: Sequence[int]) -> list[int]:
    """Which sockets these are."""
    return [os.fstat(descriptor).st_ino for descriptor in descriptors]


class Traffic:
    """What clients have seen."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._news = asyncio.Condition()

    async def succeeded(self, kind: str) -> None:
        """One more."""
        async with self._news:
            self.done[kind] += 1
            self._news.notify_all()

    async def failed(self, why: str) -> None:
        """One that did not."""
        async with self._news:
            self.failures.append(why)
            self._news.notify_all()

    async def goes_on(self, times: int = 2) -> None:
        """Wait until each kind has succeeded some more times, or one has failed."""
        before = Counter(self.done)
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(
                lambda: self.failures or all(self.done[kind] >= before[kind] + times for kind in _KINDS)
            )


@dataclass(frozen=True)
class Ways:
    """Where clients and servers are: servers at `address`, which is published to the clients; a name to ask for."""

    clients: Site
    published: str
    tcp: int
    udp: int
    servers: Site
    address: str
    asking: Site
    resolver: tuple[str, int]
    name: str
    answer: str

    @property
    def version(self) -> int:
        """The family of the clients."""
        return ip_address(self.published).version

    @contextmanager
    def client(self, kind: int, port: int) -> Iterator[socket.socket]:
        """A socket for clients; a datagram socket is connected."""
        with self.clients.socket(self.version, kind) as made:
            if kind == socket.SOCK_DGRAM:
                made.connect((self.published, port))
            yield made


@asynccontextmanager
async def traffic(ways: Ways) -> AsyncIterator[Traffic]:
    """Connections, connections that stay, datagrams and questions, as fast as they are answered, until the block ends.

    It begins when each has succeeded, and ends when each has succeeded once more.
    """
    seen, stopping = Traffic(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        servers = [tasks.create_task(_tcp_server(ways)), tasks.create_task(_udp_server(ways))]
        clients = [
            tasks.create_task(_client(ways, kind, make, seen, stopping))
            for kind, make in _KINDS.items()
            for _ in range(CLIENTS)
        ]
        await seen.goes_on()
        yield seen
        await seen.goes_on()
        stopping.set()
        await asyncio.wait(clients)
        for server in servers:
            server.cancel()


async def _client(ways: Ways, kind: str, make: Client, seen: Traffic, stopping: asyncio.Event) -> None:
    async with make(ways) as once:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(PATIENCE):
                    await once()
                await seen.succeeded(kind)
            except (OSError, TimeoutError, AssertionError, EOFError) as error:
                await seen.failed(f"{kind} {seen.done[kind] + 1}: {type(error).__name__} {error}")
                return


async def _exchange(client: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, data)
    answer = await loop.sock_recv(client, 1024)
    assert answer == data, answer


@asynccontextmanager
async def _connections(ways: Ways) -> AsyncIterator[Once]:
    async def once() -> None:
        with ways.client(socket.SOCK_STREAM, ways.tcp) as client:
            await asyncio.get_running_loop().sock_connect(client, (ways.published, ways.tcp))
            await _exchange(client, b"connection")

    yield once


@asynccontextmanager
async def _stream(ways: Ways) -> AsyncIterator[Once]:
    with ways.client(socket.SOCK_STREAM, ways.tcp) as client:
        await asyncio.get_running_loop().sock_connect(client, (ways.published, ways.tcp))
        yield lambda: _exchange(client, b"stream")


@asynccontextmanager
async def _datagrams(ways: Ways) -> AsyncIterator[Once]:
    with ways.client(socket.SOCK_DGRAM, ways.udp) as client:
        yield lambda: _exchange(client, b"datagram")


@asynccontextmanager
async def _questions(ways: Ways) -> AsyncIterator[Once]:
    with ways.asking.socket(4, socket.SOCK_DGRAM) as client:
        client.connect(ways.resolver)

        async def once() -> None:
            question = dns.message.make_query(ways.name, "A")
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, question.to_wire())
            answer = dns.message.from_wire(await loop.sock_recv(client, 4096))
            assert answer.id == question.id and ways.answer in str(answer.answer[0]), answer

        yield once


_KINDS: dict[str, Client] = {
    "connection": _connections,
    "stream": _stream,
    "datagram": _datagrams,
    "question": _questions,
}


async def _tcp_server(ways: Ways) -> None:
    server = await asyncio.start_server(_echo, sock=bound(ways.servers, ways.address, 7000))
    async with server:
        await server.serve_forever()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()


async def _udp_server(ways: Ways) -> None:
    loop = asyncio.get_running_loop()
    with bound(ways.servers, ways.address, 7001, "udp") as server:
        while True:
            data, client = await loop.sock_recvfrom(server, 1024)
            loop.call_later(ANSWERING, server.sendto, data, client)


async def is_within_a_second(took: float) -> bool:
    """Whether a process that was back after so many seconds was in time, or as late as all are on a machine so busy.

    The program itself takes 0.13 s of the processor to start, so a machine with nothing else to do needs 0.2.
    """
    limit = 1.0
    for _ in range(3):
        if took < limit:
            return True
        began = time.monotonic()
        process = await spawn((sys.executable, "-c", "import linkspan.daemon.dataplane"), None)
        assert await process.wait() == 0
        limit = max(limit, 3 * (time.monotonic() - began))
    return took < limit


async def doomed_daemon(host: PlaneHost) -> Process:
    """A daemon in a process of its own that has put everything, from what it found there, and waits to be killed."""
    process = await spawn(
        (sys.executable, "-m", "tests.support.planes", str(host.site.namespace), str(host.place.exec_root)),
        None,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def _be_a_daemon(namespace: Path, exec_root: Path) -> None:
    host = PlaneHost(namespace, exec_root)
    async with host.daemon() as plane:
        held = await plane.take()
        sockets = dict(held.values()) or host.everything()
        plane.wanted = lambda: wanted(sockets)
        await plane.change(list(sockets.items()), ())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_be_a_daemon(*map(Path, sys.argv[1:])))

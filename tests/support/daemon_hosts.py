"""A machine in the lab whose daemon is started, killed and started again, and a client of its API.

Daemons are forked by a fork_server (see there), one at a time, always on the same roots.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from linkspan.containers.spec import cgroup
from linkspan.dataplane.starting import Place, holder
from linkspan.kernel import native
from linkspan.kernel.cgroups import remove_cgroup
from linkspan.kernel.mounts import mounts, unmount
from linkspan.kernel.process import spawn
from linkspan.lab.hosts import lab
from linkspan.wiring import open_kernel
from tests.conftest import ROOT
from tests.support.bystanders import Traffic
from tests.support.container_hosts import make_rootfs, names
from tests.support.inventory import Answers, Inventory, Json
from tests.support.packets import Site
from tests.support.patience import PATIENCE

PAUSE = 0.02
"""Seconds between two tries to reach a server: no event tells that a program in a container listens."""


class RefusedError(Exception):
    """The daemon refused a request."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what}: {status} {message}")
        self.status = status


class GoneError(Exception):
    """The daemon died before it answered."""


class Api:
    """Requests to one daemon."""

    def __init__(self, socket: Path) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket), limit=0))

    async def close(self) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer: decoded JSON, or bytes of anything else, or None.

        Raises `RefusedError` for a status from 400 on. `GoneError` means that the daemon was gone before the status
        came; an answer that breaks off after it is an answer, without content. `TimeoutError` is nobody's death.
        """
        async with asyncio.timeout(PATIENCE):
            return await self._request(method, path, body)

    async def _request(self, method: str, path: str, body: Json | None) -> Any:
        if self._session.closed:  # whoever asks next hears of the death later than who waited for it
            raise GoneError(f"{method} {path}")
        try:
            async with self._session.request(method, f"http://api/v1.47{path}", json=body) as reply:
                data = b""
                with suppress(aiohttp.ClientError, OSError):
                    data = await reply.read()
        except (aiohttp.ClientError, OSError) as error:
            raise GoneError(f"{method} {path}") from error
        if reply.status >= 400:
            raise RefusedError(f"{method} {path}", reply.status, data.decode(errors="replace"))
        if reply.content_type != "application/json":
            return data
        try:
            return json.loads(data)
        except ValueError:
            return None

    async def get(self, path: str) -> Any:
        return await self.request("GET", path)

    async def post(self, path: str, body: Json | None = None) -> Any:
        return await self.request("POST", path, body)

    async def delete(self, path: str) -> Any:
        return await self.request("DELETE", path)

    async def answers(self) -> Answers:
        """Every container and every network, inspected."""
        containers = [
            await self.get(f"/containers/{each['Id']}/json") for each in await self.get("/containers/json?all=1")
        ]
        networks = [await self.get(f"/networks/{each['Id']}") for each in await self.get("/networks")]
        return Answers(containers, networks)

    async def exec(self, container: str, *argv: str) -> bytes:
        """What one more process writes."""
        body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True}
        session = await self.post(f"/containers/{container}/exec", body)
        said: bytes = await self.post(f"/exec/{session['Id']}/start", {})
        return said

    async def log(self, container: str) -> bytes:
        """What a container has written, in the frames of Docker's streams."""
        said: bytes = await self.get(f"/containers/{container}/logs?stdout=1&stderr=1")
        return said


class ForkServer:
    """The process that forks daemons and bystanders."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def call(self, name: str, **arguments: Any) -> Any:
        """Ask for something, and wait for the reply."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([name, arguments])}\n".encode())
        async with asyncio.timeout(PATIENCE):
            reply = await self._process.stdout.readline()
        assert reply, "the fork_server has died"
        return json.loads(reply)

    async def close(self) -> None:
        """End it with its children."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class DaemonHost:
    """The machine, and at most one daemon at a time."""

    api: Api

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rootfs = make_rootfs(root / "rootfs")
        self.data_root, self.exec_root = root / "data", root / "exec"
        self._socket, self._log = root / "docker.sock", root / "daemon.log"
        self._runs = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        hosts = await self._stack.enter_async_context(lab(open_kernel))
        self.machine = Site("machine", hosts.machine.namespace)
        self.neighbour = Site("neighbour", hosts.neighbour.namespace)
        self.address = str(hosts.machine.v4)
        self.inventory = Inventory(hosts.machine.namespace, self.data_root, self.exec_root)
        self._supervisor = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._supervisor.setblocking(False)
        self._supervisor.bind(str(self.root / "notify"))
        program = (sys.executable, "-m", "tests.support.fork_server")
        self._fork_server = ForkServer(await spawn(program, self.machine.namespace, cwd=ROOT, stdin=PIPE, stdout=PIPE))
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            if self._runs:
                await self.end(signal.SIGKILL)
        finally:
            await self._fork_server.close()
            await self._clear()
            await self._stack.aclose()

    async def _clear(self) -> None:
        """Take away what a failed test has left."""
        bundles = self.exec_root / "containers"
        _kill(pids_of(bundles))
        if (data_plane := holder(Place(self.exec_root))) is not None:
            _kill([data_plane])
        async with asyncio.timeout(PATIENCE):
            for id in names(bundles):
                while (members := remove_cgroup(cgroup(id))) is not None:
                    _kill(members)
                    await asyncio.sleep(PAUSE)
        for path in mounts(bundles):
            unmount(path)
        for pin in (self.exec_root / "netns").glob("*"):
            with suppress(OSError):  # a plain file
                native.detach_mount(pin)

    def log(self) -> str:
        """What the daemons have said."""
        return self._log.read_text() if self._log.exists() else ""

    async def launch(self, *doomed: str) -> None:
        """Fork a daemon, without waiting until it serves. `doomed`: a phase, and `before` or `after`."""
        with suppress(BlockingIOError):
            while self._supervisor.recv(4096):
                pass
        roots = ["--data-root", str(self.data_root), "--exec-root", str(self.exec_root)]
        files = ["--pidfile", str(self.root / "pid"), "-H", f"unix://{self._socket}"]
        env = {"NOTIFY_SOCKET": str(self.root / "notify")}
        await self._fork_server.call("start", argv=[*roots, *files], env=env, log=str(self._log), doomed=doomed)
        self._runs = True
        self.api = Api(self._socket)

    async def ready(self, patience: float = PATIENCE) -> bool:
        """Wait until the daemon says that it serves; whether it did within `patience`."""
        try:
            async with asyncio.timeout(patience):
                said = await asyncio.get_running_loop().sock_recv(self._supervisor, 4096)
        except TimeoutError:
            return False
        assert said == b"READY=1", said
        return True

    async def serve(self, *doomed: str) -> Api:
        """A daemon that serves, and a client of it."""
        await self.launch(*doomed)
        assert await self.ready(), f"it does not serve:\n{self.log()[-4000:]}"
        return self.api

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the daemon a signal; how it ended."""
        status: int = await self._fork_server.call("end", number=number)
        return await self._gone(status)

    async def ended(self) -> int:
        """Wait for the end of a daemon that ends by itself; how it ended."""
        return await self._gone(await self._fork_server.call("ended"))

    async def _gone(self, status: int) -> int:
        self._runs = False
        await self.api.close()
        return status

    async def create(self, name: str, *argv: str, **fields: Any) -> str:
        """A container with our root file system; its id."""
        body = {"Rootfs": str(self.rootfs), "Cmd": list(argv), **fields}
        answer = await self.api.post(f"/containers/create?name={name}", body)
        id: str = answer["Id"]
        return id

    async def run(self, name: str, *argv: str, **fields: Any) -> str:
        """Create and start; the id."""
        id = await self.create(name, *argv, **fields)
        await self.api.post(f"/containers/{id}/start")
        return id

    def pin(self, id: str) -> Path:
        """The network namespace of a container."""
        return self.exec_root / "netns" / id[:12]

    async def talk(self, host: str, **ids: str) -> None:
        """Let the containers `client`, `server` and `outsider` talk, as `bystanders` do."""
        await self._fork_server.call("talk", host=host, **{name: str(self.pin(id)) for name, id in ids.items()})

    async def traffic(self) -> Traffic:
        """What the bystanders have exchanged so far."""
        return Traffic(*await self._fork_server.call("report"))


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pids_of(bundles: Path) -> list[int]:
    """The processes whose arguments name something below a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{bundles}/".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


async def page(site: Site, address: str, port: int, path: str = "/id", patience: float = PATIENCE) -> str:
    """A page of a web server, asked for until it answers; a refused connection is no answer yet."""
    async with asyncio.timeout(patience):
        while True:
            with suppress(ConnectionError):
                if (found := await _page(site, address, port, path)) is not None:
                    return found
            await asyncio.sleep(PAUSE)


async def _page(site: Site, address: str, port: int, path: str) -> str | None:
    loop, answer = asyncio.get_running_loop(), b""
    with site.socket(4, socket.SOCK_STREAM) as client:
        await loop.sock_connect(client, (address, port))
        await loop.sock_sendall(client, f"GET {path} HTTP/1.0\r\n\r\n".encode())
        while part := await loop.sock_recv(client, 4096):
            answer += part
    head, _, content = answer.decode().partition("\r\n\r\n")
    return content.strip() if " 200 " in head else None


def serving(word: str, port: int = 80) -> tuple[str, ...]:
    """The command of a container that serves a word at `/id`."""
    return ("sh", "-c", f"mkdir -p /www && echo {word} >/www/id && exec httpd -f -p {port} -h /www")


def publishing(host: int, target: int = 80) -> Mapping[str, Any]:
    """The part of `HostConfig` that publishes a port on the IPv4 addresses of the machine."""
    return {"PortBindings": {f"{target}/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(host)}]}}


@asynccontextmanager
async def daemon_host(root: Path) -> AsyncIterator[DaemonHost]:
    """A machine for one test; when it is left in peace, nothing of any container may be left."""
    async with DaemonHost(root) as place:
        try:
            yield place
        except BaseException as error:
            error.add_note(f"the daemon said:\n{place.log()[-6000:]}")
            raise

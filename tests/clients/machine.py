"""A machine in the lab, a daemon on it as a program of its own, and the docker command as its client."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from linkspan.dataplane.starting import Place, holder
from linkspan.kernel import native
from linkspan.kernel.process import spawn
from linkspan.lab.hosts import lab
from linkspan.wiring import open_kernel
from tests.support.container_hosts import make_rootfs
from tests.support.packets import Site
from tests.support.patience import PATIENCE


@dataclass(frozen=True)
class Outcome:
    """What a program printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed, decoded."""
        return json.loads(self.out)


def bracketed(listed: str) -> str:
    """Published ports as the docker command shows them since version 28: `[::]:80`, where it was `:::80`."""
    return re.sub(r"(?<!\[):::(?=\d)", "[::]:", listed)


async def until(stream: asyncio.StreamReader, line: bytes) -> None:
    """Read until a line has come. The end of what is said cannot be waited for: reading it again never waits."""
    said: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while (found := await stream.readline()) != line:
            assert found, f"it ended without saying {line!r}: {said}"
            said.append(found)


class Daemon:
    """A running daemon."""

    def __init__(self, process: Process, socket: Path, supervisor: socket.socket) -> None:
        self.process = process
        self.socket = socket
        self._supervisor = supervisor

    async def told(self) -> str:
        """What it tells its supervisor next."""
        async with asyncio.timeout(PATIENCE):
            return (await asyncio.get_running_loop().sock_recv(self._supervisor, 4096)).decode()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    async def end(self) -> int:
        """Ask it to end; returns its exit status."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


class DockerMachine:
    """The machine. `serve` starts a daemon with its roots in the test's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rootfs = make_rootfs(root / "rootfs")
        self.socket = root / "docker.sock"
        self.exec_root = root / "exec"
        self._stack = AsyncExitStack()
        self._daemons: list[Daemon] = []

    async def __aenter__(self) -> Self:
        hosts = await self._stack.enter_async_context(lab(open_kernel))
        self.site = Site(hosts.machine.name, hosts.machine.namespace)
        self.neighbour = Site(hosts.neighbour.name, hosts.neighbour.namespace)
        self.address = str(hosts.machine.v4)
        self._stack.push_async_callback(self.site.end)
        self._stack.push_async_callback(self.neighbour.end)
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._remove_everything()
        finally:
            if (data_plane := holder(Place(self.exec_root))) is not None:
                os.kill(data_plane, signal.SIGTERM)  # it would wait for the next daemon
            for pin in (self.exec_root / "netns").glob("*"):
                native.detach_mount(pin)
            await self._stack.aclose()

    async def _remove_everything(self) -> None:
        """No container may outlive its test."""
        if self._daemons and self._daemons[-1].process.returncode is not None:
            await self.serve()
        if self._daemons:
            for id in (await self.docker("ps", "-aq")).out.split():
                await self.docker("rm", "-f", id)
        for daemon in self._daemons:
            await daemon.end()

    def command(self, *flags: str) -> list[str]:
        """The command line of a daemon."""
        roots = ["--data-root", str(self.root / "data"), "--exec-root", str(self.exec_root)]
        files = ["--pidfile", str(self.root / "pid"), "-H", f"unix://{self.socket}"]
        return [sys.executable, "-m", "linkspan.daemon", *roots, *files, *flags]

    async def serve(self, *flags: str, prefix: Sequence[str] = ()) -> Daemon:
        """Start a daemon, and wait until it says that it is ready."""
        supervisor = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        supervisor.setblocking(False)
        address = self.root / f"notify{len(self._daemons)}"
        supervisor.bind(str(address))
        argv = ["env", f"NOTIFY_SOCKET={address}", *prefix, *self.command(*flags)]
        log = self._stack.enter_context((self.root / "daemon.log").open("ab"))
        process = await spawn(argv, self.site.namespace, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        daemon = Daemon(process, self.socket, supervisor)
        self._daemons.append(daemon)
        async with asyncio.TaskGroup() as tasks:
            ready = tasks.create_task(daemon.told())
            ended = tasks.create_task(process.wait())
            await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            ended.cancel()
        assert process.returncode is None and ready.result() == "READY=1", self.log()
        return daemon

    def log(self) -> str:
        """What the daemons have said."""
        return (self.root / "daemon.log").read_text()

    async def run(self, *argv: str, stdin: bytes = b"") -> Outcome:
        """Run a program on the machine."""
        pipe = asyncio.subprocess.PIPE
        process = await spawn(argv, self.site.namespace, stdin=pipe, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(errors="replace").strip(), err.decode(errors="replace").strip())

    def docker_command(self, *words: str, env: Mapping[str, str] = {}) -> list[str]:
        """The docker command with its words; its home is the test's directory."""
        variables = [f"{name}={value}" for name, value in env.items()]
        return ["env", f"HOME={self.root}", f"DOCKER_HOST=unix://{self.socket}", *variables, "docker", *words]

    async def docker(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] = {}) -> Outcome:
        """Run the docker command."""
        return await self.run(*self.docker_command(*words, env=env), stdin=stdin)

    async def start_docker(self, *words: str, env: Mapping[str, str] = {}) -> Process:
        """Start the docker command; what it prints can be read."""
        pipe = asyncio.subprocess.PIPE
        return await spawn(
            self.docker_command(*words, env=env), self.site.namespace, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def until_said(self, container: str, *lines: str) -> None:
        """Wait until a container has written some lines, to whichever of its outputs."""
        async with asyncio.timeout(PATIENCE):
            while not set(lines) <= set((await self._said(container)).splitlines()):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)

    async def _said(self, container: str) -> str:
        log = await self.docker("logs", container)
        assert log.status == 0, log.err
        return f"{log.out}\n{log.err}"

    async def create(self, name: str, *argv: str, **fields: Any) -> str:
        """A container with our root file system; the docker command has no words for that."""
        status, answer = await self.ask_to_create(name, *argv, **fields)
        assert status == 201, answer
        id: str = answer["Id"]
        return id

    async def ask_to_create(self, name: str, *argv: str, **fields: Any) -> tuple[int, Any]:
        """The status and the answer, whatever they are."""
        body = {"Rootfs": str(self.rootfs), "Cmd": list(argv), **fields}
        connector = aiohttp.UnixConnector(str(self.socket))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://api/v1.41/containers/create?name={name}", json=body) as reply,
        ):
            return reply.status, await reply.json()

    async def terminal(self, words: Sequence[str], *, until: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        """Run the docker command on a terminal: after each text is seen, type an answer."""
        near, far = pty.openpty()
        try:
            process = await spawn(self.docker_command(*words), self.site.namespace, stdin=far, stdout=far, stderr=far)
        finally:
            os.close(far)
        seen = b""
        try:
            async with asyncio.timeout(PATIENCE):
                for text, reply in until:
                    while text not in seen:
                        seen += await asyncio.to_thread(os.read, near, 4096)
                    seen = seen[seen.index(text) + len(text) :]
                    os.write(near, reply)
                return await process.wait(), seen
        finally:
            os.close(near)

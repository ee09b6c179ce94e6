"""A daemon on a host of the lab, and the `linkspan` command that talks to it.

Both run in sessions of their own (`setsid`): Ctrl-C on the terminal reaches every program of the demo's process group,
and the daemon has to outlive it until everything that was made is removed.
"""

import asyncio
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from linkspan.engine.ports import Process
from linkspan.lab.hosts import Host
from linkspan.lab.programs import ProgramFailedError
from linkspan.model.config import FirewallBackend

_LIMIT = 60.0
"""Seconds after which a command, or the start or the end of the daemon, has failed: a busy machine is slow."""
_PAUSE = 0.02
_PROGRAM = (sys.executable, "-m", "linkspan")


class Command:
    """The command, with its daemon. Whatever was started, `close` must follow."""

    def __init__(self, host: Host, root: Path, firewall: FirewallBackend) -> None:
        self._host = host
        self._root = root
        self._socket, self._log = root / "sock", root / "daemon.log"
        self.address = f"unix://{self._socket}"
        self.daemon_words = (
            *("daemon", f"--host={self.address}", f"--firewall-backend={firewall}"),
            *(f"--data-root={root / 'data'}", f"--exec-root={root / 'exec'}"),
            *(f"--pidfile={root / 'pid'}", f"--config-file={root / 'daemon.json'}"),
        )
        self._daemon: Process | None = None

    async def serve(self) -> None:
        """Start the daemon; the first command waits until it is ready."""
        (self._root / "daemon.json").write_text("{}")  # and not the file of a daemon that this computer may have
        into_the_log = ("sh", "-c", 'exec "$@" >>"$0" 2>&1', str(self._log))
        self._daemon = daemon = await self._host.start("setsid", *into_the_log, *_PROGRAM, *self.daemon_words)
        await self._listening(daemon)

    async def _listening(self, daemon: Process) -> None:
        """Wait until the socket is there."""
        async with asyncio.timeout(_LIMIT):
            while not self._socket.exists():
                if daemon.returncode is not None:
                    self._daemon = None
                    raise ProgramFailedError(["linkspan", "daemon"], daemon.returncode, self.log())
                await asyncio.sleep(_PAUSE)

    def log(self) -> str:
        """What the daemon has said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def run(self, *words: str) -> str:
        """Run `linkspan WORDS` and return what it prints; raises `ProgramFailedError`.

        When the caller is interrupted, the command still comes to its end: what it asks for is done, or not, and is not
        about to be done.
        """
        process = await self._host.start("setsid", "env", f"LINKSPAN_HOST={self.address}", *_PROGRAM, *words)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _LIMIT)
        except asyncio.CancelledError:
            await asyncio.wait_for(process.wait(), _LIMIT)
            raise
        text = output.decode(errors="replace")
        if process.returncode:
            raise ProgramFailedError(["linkspan", *words], process.returncode, text)
        return text

    def shown(self, *words: str) -> str:
        """The command line, as a person would type it after `export DEMO=DIRECTORY`."""
        return shlex.join(("linkspan", *words)).replace(str(self._root), "$DEMO")

    async def close(self) -> None:
        """Remove every container, and end the daemon."""
        if self._daemon is None:
            return
        if self._daemon.returncode is not None:  # it died: another one takes its containers over
            self._socket.unlink(missing_ok=True)
            await self.serve()
        daemon = self._daemon
        try:
            await self._listening(daemon)
            containers = (await self.run("ps", "-aq")).split()
            if containers:
                await self.run("rm", "-f", *containers)
        finally:
            if daemon.returncode is None:
                daemon.terminate()
            async with asyncio.timeout(_LIMIT):
                await daemon.wait()
                await self._end_helper()

    async def _end_helper(self) -> None:
        """End the process that serves names and ports, which outlives its daemon. It would see by itself that nobody
        needs it, but some seconds later.
        """
        if (helper := self._helper()) is None:
            return
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(helper, ended.set)
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(helper, signal.SIGTERM)
                await ended.wait()
        finally:
            loop.remove_reader(helper)
            os.close(helper)

    def _helper(self) -> int | None:
        """A descriptor of that process; None when it has ended, or never began."""
        try:
            helper = int((self._root / "exec" / "dataplane.lock").read_text())
            process = os.pidfd_open(helper)
            if os.fsencode(self._root) in Path(f"/proc/{helper}/cmdline").read_bytes():
                return process
        except (OSError, ValueError):
            return None
        os.close(process)
        return None

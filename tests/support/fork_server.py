"""A small process that has imported everything and forks daemons: `python -m tests.support.fork_server`.

Starting Python and importing takes longer than all that a daemon does until it is ready, and a test that kills two
hundred of them would do little else. A child forked here runs `linkspan.daemon.process.run`, as `linkspan daemon` does.
It can be doomed to die in a phase of the first start it is asked for: see `PHASES`.

Requests and replies are JSON, one per line. This process has a single thread, so that it can fork; that is why the
bystanders are its children too.
"""

import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from linkspan.containers import rootfs, starting
from linkspan.containers.conmon import Conmon
from linkspan.containers.context import Context
from linkspan.containers.register import Register
from linkspan.containers.resolution import ResolutionFiles
from linkspan.containers.sandboxes import Sandboxes
from linkspan.daemon.process import run
from linkspan.kernel.linux import LinuxKernel
from tests.support.bystanders import Bystanders, bystanders
from tests.support.packets import Site

PHASES: Mapping[str, tuple[Any, str]] = {
    "the sandbox": (Sandboxes, "enter"),
    "the directories": (rootfs, "_make_directories"),
    "the root file system": (LinuxKernel, "mount_overlay"),
    "the files": (ResolutionFiles, "write"),
    "the description": (starting, "write_json"),
    "the creation": (Conmon, "create"),
    "the first instruction": (Conmon, "start"),
    "the memory": (Register, "save"),
    "the announcement": (Context, "announce"),
}
"""What a start consists of, in its order: what is called for it, and on whom."""


def doom(phase: str, when: str) -> None:
    """Kill this process `before` or `after` the next call of a phase."""
    owner, name = PHASES[phase]
    call: Callable[..., Any] = getattr(owner, name)

    def before() -> None:
        if when == "before":
            die()

    async def coroutine(*arguments: Any, **named: Any) -> None:
        before()
        await call(*arguments, **named)
        die()

    def function(*arguments: Any, **named: Any) -> None:
        before()
        call(*arguments, **named)
        die()

    setattr(owner, name, coroutine if inspect.iscoroutinefunction(call) else function)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class ForkServer:
    """The children, and what is asked about them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._daemon = 0
        self._talking: Bystanders | None = None

    def start(self, argv: list[str], env: dict[str, str], log: str, doomed: list[str]) -> int:
        """Fork a daemon; its process id."""
        sys.stdout.flush()
        self._daemon = os.fork()
        if self._daemon == 0:
            _live(argv, env, log, doomed)
        return self._daemon

    def end(self, number: int) -> int:
        """Send the daemon a signal, and wait for its end; how it ended, negative for a signal."""
        with suppress(ProcessLookupError):
            os.kill(self._daemon, number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end of the daemon."""
        return os.waitstatus_to_exitcode(os.waitpid(self._daemon, 0)[1])

    def talk(self, host: str, **places: str) -> None:
        """Let bystanders talk; `places` are their namespaces."""
        sites = {name: Site(name, Path(place)) for name, place in places.items()}
        self._talking = self._stack.enter_context(bystanders(**sites, host=host))

    def report(self) -> list[int]:
        """Their traffic, as the fields of `Traffic`."""
        assert self._talking is not None
        return list(astuple(self._talking.report()))


def _live(argv: list[str], env: dict[str, str], log: str, doomed: list[str]) -> None:
    """What a daemon does; it never returns to the process it was born in."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), 1)
        os.dup2(1, 2)
        os.closerange(3, 64)
        os.environ.update(env)
        if doomed:
            doom(*doomed)
        status = run(argv)
    except BaseException:  # noqa: BLE001 - the child's last words
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    with ExitStack() as stack:
        fork_server = ForkServer(stack)
        for line in sys.stdin:
            name, arguments = json.loads(line)
            sys.stdout.write(f"{json.dumps(getattr(fork_server, name)(**arguments))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

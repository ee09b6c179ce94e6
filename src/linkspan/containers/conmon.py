"""Running containers with an OCI runtime under conmon.

Theory of operation. conmon is started once per container. It leaves our process (two forks, a session of its own),
calls `runtime create`, and tells over a pipe of ours the id of the container's first process, or why there is none.
From then on it holds the process's streams: it writes them to the log, and copies them to whoever connects to its
attach socket. When the process ends, it writes the exit status to a file and ends too. So a container depends on
nothing of ours, and whoever comes later finds out what happened. A process beside the first one (`docker exec`) gets a
conmon of its own, which waits for the first client before it starts, and sends the exit status over the pipe.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from linkspan.containers.failures import RuntimeFailureError, complaint
from linkspan.containers.layout import Places
from linkspan.containers.limits import Json
from linkspan.containers.logfiles import unwatched_limit
from linkspan.containers.monitor import end_processes, executed, image
from linkspan.containers.ports import Host
from linkspan.containers.runtime import Programs
from linkspan.containers.spec import PATH
from linkspan.containers.waiting import Incoming, Outgoing
from linkspan.model.containers import Container, ExecRequest
from linkspan.model.logdrivers import rotation

_QUIET = asyncio.subprocess.DEVNULL
_PIPE = asyncio.subprocess.PIPE

_ATTEMPTS = 20
_PAUSE = 0.02
"""How often, and after which seconds, what is left in the control group of a deleted container is killed."""

_FROZEN_SECONDS = 0.5
"""After which what was killed and is still there is taken for frozen."""

_MESSAGE_LIMIT = 64 * 1024
"""conmon quotes at most 8 KiB of a complaint."""


class Conmon:
    """The command lines of conmon and of the runtime."""

    def __init__(self, host: Host, programs: Programs, runtime_root: Path) -> None:
        self._host = host
        self._programs = programs
        self._root = runtime_root

    async def create(self, container: Container, places: Places) -> int:
        """Make a container from its bundle, up to its first instruction; returns the id of its first process.

        Raises `RuntimeFailureError`.
        """
        wanted = container.wanted
        argv = [
            *self._monitor(container.id, container.id, container.name, places.bundle, *_log(container, places)),
            *("--persist-dir", str(places.bundle)),
            # As in Docker, a terminal is never closed by a client that leaves: it may be attached to again.
            *streams(tty=wanted.tty, stdin=wanted.open_stdin, stay_open=wanted.tty or not wanted.stdin_once),
        ]
        with _incoming() as sync:
            said = await self._run(argv, {"_OCI_SYNCPIPE": sync}, places.bundle)
            return number(await sync.line(_MESSAGE_LIMIT), said)

    async def start(self, id: str, pid: int) -> None:
        """Let the first process of a created container run; returns once it executes the container's program.

        runc's own work is done a few milliseconds before that. Until then the process is still runc's, with the signal
        handlers of Go: a SIGTERM would end it with status 2, where the first process of a container ignores what it
        does not handle. Raises `RuntimeFailureError`.
        """
        before = image(pid)
        await self._runtime("start", id)
        await executed(pid, before)

    async def control(self, verb: str, id: str) -> None:
        """`pause` or `resume` a container. Raises `RuntimeFailureError`."""
        await self._runtime(verb, id)

    async def update(self, id: str, resources: Mapping[str, Json]) -> None:
        """Change the limits of a container. Raises `RuntimeFailureError`."""
        await self._runtime("update", "--resources", "-", id, stdin=json.dumps(resources).encode())

    async def delete(self, id: str, group: str) -> None:
        """Forget a container, and kill what is left of it in its control group; nothing to do when there is none."""
        # First, since runc sleeps 100 ms after a kill of its own; but what is frozen dies only when runc has thawed it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_FROZEN_SECONDS):
                await self._empty(group)
        if (self._root / id).exists():
            await self._runtime("delete", "--force", id)
        if not await self._empty(group):  # a runtime that was killed half-way leaves its control group
            raise RuntimeFailureError(f"the control group of {id[:12]} cannot be emptied")

    async def _empty(self, group: str) -> bool:
        """Kill what is in a control group, and remove that; whether it is gone."""
        for _ in range(_ATTEMPTS):
            members = await self._host.remove_cgroup(group)
            if members is None:
                return True
            await end_processes(members)
            await asyncio.sleep(_PAUSE)  # no event tells that version 1 of control groups considers one empty
        return False

    async def exec(self, container: str, id: str, request: ExecRequest, bundle: Path) -> "Session":
        """Prepare one more process from its bundle. It waits for `Session.start`."""
        session = Session()
        argv = [
            *self._monitor(container, id, id, bundle, "--log-path", "none"),
            *("--exec", "--exec-attach", "--exec-process-spec", str(bundle / "process.json")),
            *streams(tty=request.tty, stdin=request.attach_stdin, stay_open=False),
        ]
        try:
            await session.ready(await self._run(argv, session.pipes, bundle))
        except BaseException:
            session.close()
            raise
        return session

    def _monitor(self, container: str, id: str, name: str, bundle: Path, *log: str) -> Sequence[str]:
        return (
            *(self._programs.monitor, "--api-version", "1", "--cid", container, "--cuuid", id, "--name", name),
            *("--bundle", str(bundle), "--full-attach", *log, "--log-level", "error", "--no-sync-log"),
            *("--container-pidfile", str(bundle / "pid"), "--conmon-pidfile", str(bundle / "conmon.pid")),
            *("--runtime", self._programs.runtime, "--runtime-arg", "--root", "--runtime-arg", str(self._root)),
        )

    async def _run(self, argv: Sequence[str], pipes: Mapping[str, Incoming | Outgoing], bundle: Path) -> str:
        """Start conmon and wait until it has left our process; returns what it said.

        It works in the bundle: whatever else it writes, such as an empty file `oom`, is there.
        """
        descriptors = {name: pipe.far for name, pipe in pipes.items()}
        env = {"PATH": PATH, "TZ": "UTC", **{name: str(fd) for name, fd in descriptors.items()}}
        process = await self._host.spawn(
            argv,
            sandbox=None,
            env=env,
            cwd=bundle,
            stdin=_QUIET,
            stdout=_QUIET,
            stderr=_PIPE,
            pass_fds=tuple(descriptors.values()),
        )
        for pipe in pipes.values():
            pipe.handed_over()
        return (await process.communicate())[1].decode(errors="replace")

    async def _runtime(self, *arguments: str, stdin: bytes | None = None) -> None:
        argv = [self._programs.runtime, "--root", str(self._root), *arguments]
        incoming = _QUIET if stdin is None else _PIPE
        process = await self._host.spawn(
            argv, sandbox=None, env={"PATH": PATH}, stdin=incoming, stdout=_QUIET, stderr=_PIPE
        )
        said = (await process.communicate(stdin))[1].decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeFailureError(complaint(said))


class Session:
    """A process beside the first one, and the pipes to its conmon. Its pipes are closed by `close`."""

    def __init__(self) -> None:
        self._sync, self._attach, self._start = Incoming(), Incoming(), Outgoing()
        self._start.signal()  # conmon wants two: one to begin, and one to let the process run

    @property
    def pipes(self) -> Mapping[str, Incoming | Outgoing]:
        """By the names of the variables that tell conmon their descriptors."""
        return {"_OCI_SYNCPIPE": self._sync, "_OCI_STARTPIPE": self._start, "_OCI_ATTACHPIPE": self._attach}

    async def ready(self, said: str) -> None:
        """Wait until clients can connect."""
        number(await self._attach.line(_MESSAGE_LIMIT), said)

    async def start(self) -> int:
        """Let the process run; returns its id. Raises `RuntimeFailureError`."""
        self._start.signal()
        return number(await self._sync.line(_MESSAGE_LIMIT), "")

    async def ended(self) -> int:
        """The exit status, once there is one."""
        return number(await self._sync.line(_MESSAGE_LIMIT), "", refused=False)

    def let_go(self) -> None:
        """Wait no longer; the process goes on."""
        self._sync.give_up()

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self._sync, self._attach, self._start):
            pipe.close()


@contextmanager
def _incoming() -> Iterator[Incoming]:
    pipe = Incoming()
    try:
        yield pipe
    finally:
        pipe.close()


def _log(container: Container, places: Places) -> Sequence[str]:
    """Options of conmon for the log: see `rotating.py` for the size."""
    logging = container.wanted.logging
    if not logging.readable:
        return ("--log-path", "none")
    rotated = rotation(logging)
    limit = () if rotated is None else ("--log-size-max", str(unwatched_limit(rotated)))
    return ("--log-path", f"k8s-file:{places.log}", *limit)


def streams(*, tty: bool, stdin: bool, stay_open: bool) -> Sequence[str]:
    """Options of conmon for the streams of a process."""
    options = [option for option, wanted in (("--terminal", tty), ("--stdin", stdin)) if wanted]
    return [*options, "--leave-stdin-open"] if stdin and stay_open else options


def number(message: bytes, said: str, *, refused: bool = True) -> int:
    """What conmon reports: a process id or an exit status. Raises `RuntimeFailureError` when it reports a complaint.

    `said` is what it wrote on its standard error, for when there is no report at all.
    """
    try:
        report = json.loads(message)
        data, text = int(report["data"]), str(report.get("message") or "")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RuntimeFailureError(complaint(said)) from error
    if refused and data < 0:
        raise RuntimeFailureError(complaint(text))
    return data

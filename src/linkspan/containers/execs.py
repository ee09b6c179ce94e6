"""More processes in a running container (`docker exec`).

Sessions are remembered as long as this process lives, as in Docker; the processes themselves do not depend on it.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from linkspan.containers.attach import Attachment, resize
from linkspan.containers.conmon import Session
from linkspan.containers.context import Context
from linkspan.containers.failures import NOT_EXECUTABLE, RuntimeFailureError, exec_error, exit_status, not_running
from linkspan.containers.hostnames import own_hostname
from linkspan.containers.register import Life
from linkspan.containers.spec import exec_process
from linkspan.containers.starting import write_json
from linkspan.containers.trees import remove_tree
from linkspan.containers.users import find_user
from linkspan.model.containers import Exec, ExecRequest, Status
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError, UnavailableError
from linkspan.tasks import Tasks

START_SECONDS = 10.0
"""How long a resize waits for the start of the process (Docker's number)."""


@dataclass(eq=False, slots=True)
class _Session:
    life: Life
    value: Exec
    bundle: Path
    begun: bool = False
    process: Session | None = None
    failure: LinkspanError | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process runs, or is known never to."""


class Execs:
    """The sessions of all containers."""

    def __init__(self, context: Context, tasks: Tasks) -> None:
        self._context = context
        self._tasks = tasks
        self._sessions: dict[str, _Session] = {}
        self._letting_go = False

    def create(self, life: Life, reference: str, request: ExecRequest) -> Exec:
        """A session for a running container, which errors call as the caller did; its process waits for `start`."""
        _check_running(life, reference)
        if not request.argv or not request.argv[0]:
            raise InvalidError("No exec command specified", field="argv")
        if any("\0" in text for text in (*request.argv, *request.env, request.workdir, request.user)):
            raise InvalidError("invalid exec: a text holds a NUL", field="argv")
        id = self._context.surroundings.new_id()
        value = Exec(id, life.container.id, request)
        self._forget_ended()
        self._sessions[id] = _Session(life, value, self._context.layout.of(life.container.id).exec(id))
        self._announce(self._sessions[id], "exec_create")
        return value

    def _forget_ended(self) -> None:
        """Sessions of containers that are gone."""
        lives = self._context.register.lives
        self._sessions = {id: one for id, one in self._sessions.items() if one.value.container in lives}

    def get(self, id: str) -> Exec:
        """A session; `NotFoundError` in Docker's words."""
        return self._find(id).value

    def failure(self, id: str) -> LinkspanError | None:
        """Why the process of a session could not be started."""
        return self._find(id).failure

    def _find(self, id: str) -> _Session:
        session = self._sessions.get(id)
        if session is None:
            raise NotFoundError(f"No such exec instance: {id}", field="exec", value=id)
        return session

    async def start(self, id: str, *, detach: bool) -> Attachment | None:
        """Start the process of a session; with `detach` it is running when this returns.

        Raises why it could not be started; without `detach`, that can be read from the attachment, as in Docker.
        """
        session = self._find(id)
        _check_running(session.life, session.value.container)
        if session.begun:
            raise ConflictError(f"Error: Exec command {id} is already running", field="exec", value=id)
        session.begun = True
        request = session.value.request
        attachment = Attachment(
            stdin=request.attach_stdin,
            stdout=request.attach_stdout,
            stderr=request.attach_stderr,
            resize=partial(resize, session.bundle),
        )
        session.value = replace(session.value, running=True)
        session.life.execs.add(id)
        self._tasks.begin(self._run(session, None if detach else attachment), f"exec {id[:12]}")
        if detach:
            await session.settled.wait()
            if session.failure is not None:
                raise session.failure
            return None
        return attachment

    async def _run(self, session: _Session, attachment: Attachment | None) -> None:
        """The whole life of the process."""
        code = NOT_EXECUTABLE
        try:
            code = await self._supervise(session, attachment)
        except RuntimeFailureError as failure:
            code = exit_status(str(failure), NOT_EXECUTABLE)
            session.failure = exec_error(str(failure))
        except LinkspanError as error:
            session.failure = error
        except OSError as error:
            session.failure = UnavailableError(f"exec {session.value.id} cannot be prepared: {error}")
        finally:
            session.value = replace(session.value, running=False, exit_code=code)
            session.life.execs.discard(session.value.id)
            session.settled.set()
            if not self._letting_go:  # before whoever waits draws conclusions, as a health check does
                self._announce(session, "exec_die", exitCode=str(code))
            if attachment is not None:
                said = f"{session.failure}\r\n".encode()
                attachment.conclude(*(((1, said),) if session.failure is not None else ()))
        if not self._letting_go:
            await asyncio.to_thread(remove_tree, session.bundle)

    async def _supervise(self, session: _Session, attachment: Attachment | None) -> int:
        self._write_bundle(session)
        container, request = session.life.container, session.value.request
        process = await self._context.conmon.exec(container.id, session.value.id, request, session.bundle)
        session.process = process
        try:
            if attachment is not None:
                await attachment.connect(session.bundle)
            pid = await process.start()
            session.value = replace(session.value, pid=pid)
            self._announce(session, "exec_start")
            session.settled.set()
            return await process.ended()
        finally:
            session.process = None
            process.close()

    def _write_bundle(self, session: _Session) -> None:
        container, request = session.life.container, session.value.request
        rootfs = self._context.layout.of(container.id).rootfs
        user = find_user(request.user or container.wanted.user, rootfs, container.wanted.group_add)
        session.bundle.mkdir(mode=0o700)
        document = exec_process(container.wanted, request, user, own_hostname(container), self._context.abilities)
        write_json(session.bundle / "process.json", document)

    def let_go(self) -> None:
        """Stop waiting for processes; they go on."""
        self._letting_go = True
        for session in self._sessions.values():
            if session.process is not None:
                session.process.let_go()

    async def resize(self, id: str, height: int, width: int) -> None:
        """Tell the terminal of a session its size, once there is one."""
        session = self._find(id)
        try:
            async with asyncio.timeout(START_SECONDS):
                await session.settled.wait()
        except TimeoutError as error:
            raise ConflictError(f"exec {id} is not running, so its terminal has no size", field="exec") from error
        resize(session.bundle, height, width)

    def _announce(self, session: _Session, action: str, **attributes: str) -> None:
        program, *arguments = session.value.request.argv
        # Docker puts a space behind the program, whether arguments follow or not.
        shown = f"{action}: {program} {' '.join(arguments)}" if action != "exec_die" else action
        self._context.announce(session.life.container, shown, execID=session.value.id, **attributes)


def _check_running(life: Life, reference: str) -> None:
    if life.container.state.status is Status.PAUSED:
        raise ConflictError(f"Container {reference} is paused, unpause the container before exec", field="container")
    if not life.running:
        raise not_running(life.container)

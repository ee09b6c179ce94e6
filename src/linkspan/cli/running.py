"""`run`, `create`, `start`, `attach`, `exec`: containers and whoever holds on to their streams.

The order is Docker's: attach, then ask for the exit status, then start. So nothing that the container says is missed,
and its status is known even when it is removed at once.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from linkspan.cli.answers import Json, Record
from linkspan.cli.carrying import Carrier, Signals, acting_on
from linkspan.cli.client import Client, Hijacked, Query, RefusedError, quoted
from linkspan.cli.connection import Answer
from linkspan.cli.containers import each
from linkspan.cli.creating import attachments, create_body
from linkspan.cli.forms import detach_keys, file_lines
from linkspan.cli.grammar import Line, UsageError
from linkspan.cli.plans import PLAN, show_plan
from linkspan.cli.pulling import pull_image, tagged
from linkspan.cli.session import Session
from linkspan.cli.terminals import raw, window
from linkspan.model.errors import InvalidError, LinkspanError, UnavailableError

NOT_FOUND, NOT_EXECUTABLE, REFUSED = 127, 126, 125
_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_EXECUTABLE = ("permission denied", "is a directory")
_INSIST = 3
_FORWARDED = tuple(
    signal.Signals[f"SIG{name}"] for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "CONT")
)


class StartError(LinkspanError):
    """A container that could not be started; `exit_status` says how, as Docker's command does."""

    def __init__(self, error: RefusedError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.exit_status = start_status(error.message)


def start_status(message: str) -> int:
    """127 when there is no such program, 126 when it may not be executed, else 125."""
    if any(text in message for text in _NOT_FOUND):
        return NOT_FOUND
    return NOT_EXECUTABLE if any(text in message for text in _NOT_EXECUTABLE) else REFUSED


class Attachment(NamedTuple):
    """How the command holds on to a process. `path` is where its terminal is resized, `kill` where signals go."""

    path: str
    stdin: bool
    tty: bool
    keys: bytes
    kill: str = ""


def create(line: Line, session: Session) -> int:
    """Prints the id."""
    made = _created(line, session)
    if made is not None:
        session.say(made)
    return 0


def run(line: Line, session: Session) -> int:
    """Create, start, and stay until it ends; with `-d` print the id instead."""
    _check_terminal(line, stdin="stdin" in attachments(line))
    id = _created(line, session)
    if id is None:
        return 0
    if line.switch("detach"):
        _start(session.client, id)
        session.say(id)
        return 0
    streams = attachments(line)
    how = Attachment(
        f"/containers/{id}",
        "stdin" in streams,
        line.switch("tty"),
        detach_keys(line.text("detach-keys")),
        f"/containers/{id}/kill" if line.switch("sig-proxy", default=True) else "",
    )
    condition = "removed" if line.switch("rm") else "next-exit"
    return _hold(session.client, id, how, streams, condition, start=True)


def _created(line: Line, session: Session) -> str | None:
    """The id of a new container; None for a dry run."""
    body = create_body(line, session.environment)
    query = {"name": line.text("name")}
    if line.switch("dry-run"):
        show_plan(session, line, session.client.post(f"{PLAN}/containers/create", body, query))
        return None
    cidfile = line.text("cidfile")
    if cidfile and Path(cidfile).exists():
        raise InvalidError(f"the file {cidfile} exists", hint="remove it, or give another --cidfile", field="cidfile")
    made = Record(_made(line, session, body, {**query, "platform": line.text("platform")}))
    for warning in made.texts("Warnings"):
        session.warn(f"WARNING: {warning}")
    if cidfile:
        Path(cidfile).write_text(made.text("Id"))
    return made.text("Id")


def _made(line: Line, session: Session, body: Json, query: Query) -> Json:
    """What the daemon answers; an image that is not there is pulled, as `--pull` says."""
    image, policy = Record(body).text("Image"), line.text("pull", "missing")
    if policy not in ("always", "missing", "never"):
        raise InvalidError(f"invalid --pull {policy!r}", hint="always, missing or never", field="pull")
    if image and policy == "always":
        pull_image(session, image, line.text("platform"), quiet=line.switch("quiet"))
    try:
        return session.client.post("/containers/create", body, query)
    except RefusedError as error:
        if policy != "missing" or error.status != 404 or not error.message.startswith("No such image: "):
            raise
    session.warn(f"Unable to find image '{tagged(image)}' locally")
    pull_image(session, image, line.text("platform"), quiet=line.switch("quiet"))
    return session.client.post("/containers/create", body, query)


def _start(client: Client, id: str) -> None:
    try:
        client.post(f"/containers/{quoted(id)}/start")
    except RefusedError as error:
        raise StartError(error) from error


def start(line: Line, session: Session) -> int:
    """Prints the names; with `-a` or `-i` stays with the one container."""
    if line.switch("attach") or line.switch("interactive"):
        if len(line.arguments) > 1:
            raise InvalidError("only one container can be started and attached", field="container")
        return _started(line, session)
    return each(line, session, lambda name: session.client.post(f"/containers/{quoted(name)}/start"))


def _started(line: Line, session: Session) -> int:
    found = _inspected(session.client, line.arguments[0])
    config = found.record("Config")
    stdin = line.switch("interactive") and config.flag("OpenStdin")
    how = _attachment(line, found, stdin=stdin)
    streams = frozenset({"stdout", "stderr"} | ({"stdin"} if stdin else set()))
    condition = "removed" if found.record("HostConfig").flag("AutoRemove") else "next-exit"
    return _hold(session.client, found.text("Id"), how, streams, condition, start=True)


def attach(line: Line, session: Session) -> int:
    """Holds on to a container that runs."""
    found = _inspected(session.client, line.arguments[0])
    if not found.record("State").flag("Running"):
        raise UnavailableError(
            "You cannot attach to a stopped container, start it first", hint=f"linkspan start -a {line.arguments[0]}"
        )
    stdin = found.record("Config").flag("OpenStdin") and not line.switch("no-stdin")
    how = _attachment(line, found, stdin=stdin)
    _check_terminal(line, stdin=stdin, tty=how.tty)
    streams = frozenset({"stdout", "stderr"} | ({"stdin"} if stdin else set()))
    return _hold(session.client, found.text("Id"), how, streams, "not-running", start=False)


def _inspected(client: Client, name: str) -> Record:
    return Record(client.get(f"/containers/{quoted(name)}/json"))


def _attachment(line: Line, found: Record, *, stdin: bool) -> Attachment:
    path = f"/containers/{found.text('Id')}"
    kill = f"{path}/kill" if line.switch("sig-proxy", default=True) else ""
    keys = detach_keys(line.text("detach-keys"))
    return Attachment(path, stdin, found.record("Config").flag("Tty"), keys, kill)


def _check_terminal(line: Line, *, stdin: bool, tty: bool | None = None) -> None:
    """A person at a terminal, or a pipe without one: a container's terminal cannot be typed at through a pipe."""
    if stdin and (line.switch("tty") if tty is None else tty) and not sys.stdin.isatty():
        raise UsageError("the input device is not a TTY", hint="leave out -t")


def _hold(client: Client, id: str, how: Attachment, streams: frozenset[str], condition: str, *, start: bool) -> int:
    """Attach, start if wanted, carry, and return the exit status."""
    with ExitStack() as stack:
        query = {"stream": True, **dict.fromkeys(streams, True)}
        stream = client.hijack(f"/containers/{id}/attach", query) if streams else None
        if stream is not None:
            stack.callback(stream.close)
        ending = client.open("POST", f"/containers/{id}/wait", {"condition": condition})
        stack.callback(ending.close)
        signals = stack.enter_context(_signals(client, how))
        if start:
            _start(client, id)
        if stream is not None and _carried(client, stream, how, signals):
            return 0
        signals.wait(ending)
        return _exit_status(ending)


def _exit_status(ending: Answer) -> int:
    found = Record(json.loads(ending.read()))
    if reason := found.record("Error").text("Message"):
        raise UnavailableError(reason)
    return found.number("StatusCode")


def _carried(client: Client, stream: Hijacked, how: Attachment, signals: Signals) -> bool:
    """Until the streams end, with the terminal raw when there is one; True when the detach keys were typed."""
    if how.tty:
        _resize(client, how.path)
    terminal = how.tty and how.stdin and sys.stdin.isatty()
    carrier = Carrier(stream, signals, stdin=how.stdin, keys=how.keys if how.tty else b"")
    if not terminal:
        return carrier.run()
    with raw(sys.stdin.fileno()):
        return carrier.run()


def _resize(client: Client, path: str) -> None:
    """Tell the container's terminal how large ours is. A process that has ended has none."""
    size = window(0, 1, 2)
    if size is not None:
        with suppress(RefusedError):
            client.post(f"{path}/resize", None, {"h": size[0], "w": size[1]})


@contextmanager
def _signals(client: Client, how: Attachment) -> Iterator[Signals]:
    """A terminal's new size goes to the container, and so does every signal unless it has a terminal of its own."""
    actions: dict[signal.Signals, Callable[[], None]] = {}
    if how.tty:
        actions[signal.SIGWINCH] = lambda: _resize(client, how.path)
    elif how.kill:
        forward = _Forwarding(client, how.kill)
        actions |= {number: forward.action(number) for number in _FORWARDED}
    with acting_on(actions) as signals:
        yield signals


class _Forwarding:
    """Sends signals on; whoever insists three times gets their terminal back."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._asked = 0

    def action(self, number: signal.Signals) -> Callable[[], None]:
        """What to do for one signal."""

        def send() -> None:
            if number in (signal.SIGINT, signal.SIGTERM):
                self._asked += 1
                if self._asked == _INSIST:
                    raise KeyboardInterrupt
            with suppress(RefusedError):
                self._client.post(self._path, None, {"signal": number.name})

        return send


def execute(line: Line, session: Session) -> int:
    """`exec`: one more process in a container; its exit status is ours."""
    stdin = line.switch("interactive") and not line.switch("detach")
    _check_terminal(line, stdin=stdin)
    tty, detach = line.switch("tty"), line.switch("detach")
    name = line.arguments[0]
    made = session.client.post(f"/containers/{quoted(name)}/exec", _exec_body(line, stdin=stdin, session=session))
    path = f"/exec/{Record(made).text('Id')}"
    how: dict[str, Json] = {"Detach": detach, "Tty": tty}
    if detach:
        session.client.post(f"{path}/start", how)
        return 0
    stream = session.client.hijack(f"{path}/start", None, how)
    attachment = Attachment(path, stdin, tty, detach_keys(line.text("detach-keys")))
    try:
        with _signals(session.client, attachment) as signals:
            if _carried(session.client, stream, attachment, signals):
                return 0
    finally:
        stream.close()
    return Record(session.client.get(f"{path}/json")).number("ExitCode")


def _exec_body(line: Line, *, stdin: bool, session: Session) -> dict[str, Json]:
    files = [text for path in line.list("env-file") for text in file_lines(path, flag="env-file")]
    given = [text if "=" in text else f"{text}={session.environment.get(text, '')}" for text in line.list("env")]
    attached = not line.switch("detach")
    return {
        "Cmd": [*line.arguments[1:]],
        "User": line.text("user"),
        "WorkingDir": line.text("workdir"),
        "Env": [*files, *given],
        "Tty": line.switch("tty"),
        "Privileged": line.switch("privileged"),
        "AttachStdin": stdin,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Detach": line.switch("detach"),
    }

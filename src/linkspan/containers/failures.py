"""What a runtime complains about, as errors and exit statuses that Docker's clients understand. Pure."""

import json
import re
from collections.abc import Sequence

from linkspan.model.containers import Container, Status
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, UnavailableError

NOT_FOUND, NOT_EXECUTABLE, OTHER = 127, 126, 128

_STATUSES: Sequence[tuple[int, Sequence[str]]] = (
    (NOT_FOUND, ("executable file not found", "no such file or directory")),
    (NOT_EXECUTABLE, ("permission denied", "is a directory", "not a directory", "exec format error")),
)
"""Docker's table: the status a client gives for a program that cannot be started, by words of the complaint."""


class RuntimeFailureError(Exception):
    """The runtime, or the monitor, refused. The text is the complaint."""


def complaint(text: str) -> str:
    """The message inside what a runtime prints on its standard error: its log format, JSON, or plain text.

    crun's words for a missing program are put into runc's, which clients look for.
    """
    lines = [_message(line) for line in text.strip().splitlines()]
    said = next((line for line in reversed(lines) if line), "the runtime failed without a word")
    return re.sub(
        r"executable file `(.*)` not found in \$PATH.*", r'exec: "\1": executable file not found in $PATH', said
    )


def _message(line: str) -> str:
    if line.startswith("{"):
        try:
            return str(json.loads(line)["msg"])
        except (ValueError, KeyError, TypeError):
            return line
    quoted = re.search(r'level=(?:error|fatal) msg=("(?:[^"\\]|\\.)*")', line)
    if quoted is None:
        return line
    try:
        return str(json.loads(quoted[1]))
    except ValueError:
        return quoted[1].strip('"')


def exit_status(message: str, otherwise: int = OTHER) -> int:
    """What a client's exit status is when its program could not be started."""
    found = (status for status, words in _STATUSES if any(word in message.lower() for word in words))
    return next(found, otherwise)


def start_error(message: str) -> LinkspanError:
    """The error for a container that could not be started: the caller's own fault where its program is."""
    return _refusal(f"failed to create task for container: OCI runtime create failed: {message}")


def exec_error(message: str) -> LinkspanError:
    """The error for one more process that could not be started."""
    return _refusal(f"OCI runtime exec failed: {message}")


def not_running(container: Container) -> ConflictError:
    """The error for what needs a process, in Docker's words; a container that will be started again counts as one."""
    if container.state.status is Status.RESTARTING:
        text = f"Container {container.id} is restarting, wait until the container is running"
    else:
        text = f"container {container.id} is not running"
    return ConflictError(text, field="container", value=container.name)


def _refusal(text: str) -> LinkspanError:
    if exit_status(text) == OTHER:
        return UnavailableError(text)
    return InvalidError(text, field="argv")

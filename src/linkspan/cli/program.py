"""One call of the command: read the line, do it, and say what went wrong in one sentence and a hint."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from linkspan import __version__
from linkspan.cli.catalogue import COMMANDS, DAEMON
from linkspan.cli.grammar import Line, UsageError
from linkspan.cli.reading import read_line
from linkspan.cli.session import Session
from linkspan.model.errors import LinkspanError

COMPLETION = "_LINKSPAN_COMPLETE"
INTERRUPTED = 130
Daemon = Callable[[Sequence[str]], int]


def main(argv: Sequence[str], daemon: Daemon) -> int:
    """Do what a line says; returns the exit status. `daemon` is called with what follows `linkspan daemon`."""
    first = argv[0] if argv else ""
    if first == DAEMON.path:
        return daemon(argv[1:])
    if COMPLETION in os.environ or first in ("--install-completion", "--show-completion"):
        return _shown(argv)
    try:
        line = read_line(argv, COMMANDS)
    except UsageError as error:
        _complain(error)
        return error.exit_status
    return _guarded(line)


def _guarded(line: Line) -> int:
    """The status of a command, whatever happens in it."""
    debug = line.switch("debug")
    try:
        status = _done(line)
        sys.stdout.flush()
    except LinkspanError as error:
        if debug:
            raise
        _complain(error)
        return _status(line, error)
    except BrokenPipeError:  # who read our output has gone: as for any filter, that is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"linkspan: unexpected error: {error}\nhint: `linkspan --debug …` shows where it comes from\n")
        return line.command.failure
    return status


def _done(line: Line) -> int:
    if line.switch("version") and not line.command.path:
        sys.stdout.write(f"linkspan {__version__}\n")
        return 0
    if line.switch("help") or not line.command.run:
        return _shown([*line.command.path.split(), *([] if line.command.path else line.arguments), "--help"])
    module, _, function = line.command.run.partition(":")
    run: Callable[[Line, Session], int] = getattr(import_module(f"linkspan.cli.{module}"), function)
    return run(line, Session(line))


def _status(line: Line, error: LinkspanError) -> int:
    status = getattr(error, "exit_status", None)
    return status if isinstance(status, int) else line.command.failure


def _complain(error: LinkspanError) -> None:
    sys.stderr.write(f"linkspan: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")


def _shown(argv: Sequence[str]) -> int:
    """Help and completion, by typer."""
    from linkspan.cli.showing import show

    return show(COMMANDS, argv)

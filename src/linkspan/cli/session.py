"""What a command works with: the daemon, and where to write."""

import os
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property

from linkspan.cli.client import Client
from linkspan.cli.connection import DEFAULT_HOST, parse_host
from linkspan.cli.grammar import Line


class Session:
    """One call of the command."""

    def __init__(self, line: Line, environment: Mapping[str, str] | None = None) -> None:
        self._line = line
        self.environment = os.environ if environment is None else environment

    @cached_property
    def client(self) -> Client:
        """The daemon; nothing is sent before a command asks it something."""
        found = (self._line.text("host"), self.environment.get("LINKSPAN_HOST"), self.environment.get("DOCKER_HOST"))
        certificates = self.environment.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")  # noqa: PTH111
        return Client(parse_host(next(filter(None, found), DEFAULT_HOST)), certificates)

    def say(self, *lines: str) -> None:
        """Lines to standard output."""
        sys.stdout.write("".join(f"{line}\n" for line in lines))

    def say_all(self, lines: Iterable[str]) -> None:
        """Lines that come one by one, each shown at once."""
        for line in lines:
            self.say(line)
            sys.stdout.flush()

    def warn(self, text: str) -> None:
        """A line to standard error."""
        sys.stderr.write(f"{text}\n")

    @property
    def pretty(self) -> bool:
        """Whether a person reads this on a terminal that shows more than letters."""
        return sys.stdout.isatty() and "NO_COLOR" not in self.environment

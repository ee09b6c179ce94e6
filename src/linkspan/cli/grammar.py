"""What a command line may say: commands with flags and arguments, as values.

Named tuples instead of dataclasses: importing `dataclasses` takes 13 ms, a fifth of what the command may need to start.
"""

from enum import Enum
from typing import NamedTuple

from linkspan.model.errors import InvalidError


class Kind(Enum):
    """What stands behind a flag: nothing (or `=true`, `=false`), a text, a number, or a text each time it is given."""

    SWITCH = "switch"
    TEXT = "text"
    NUMBER = "number"
    LIST = "list"


class Flag(NamedTuple):
    """`--name`, `-s`. `aliases` are other names that Docker knows it by."""

    name: str
    help: str
    short: str = ""
    kind: Kind = Kind.TEXT
    metavar: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What stands for the value in help."""
        return self.metavar or ("N" if self.kind is Kind.NUMBER else self.name.upper().replace("-", "_"))


class Argument(NamedTuple):
    """A word without a dash; `many` takes all that follow."""

    name: str
    required: bool = True
    many: bool = False


class Command(NamedTuple):
    """One command. `run` is where its function is: `networks:create`, imported only when it is called.

    With `takes_rest` flags end at the first argument: what follows belongs to the program that is started. `failure` is
    the exit status when the daemon refuses.
    """

    path: str
    help: str
    run: str
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()
    takes_rest: bool = False
    failure: int = 1
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """`linkspan network rm [FLAG...] NETWORK...`."""
        shown = []
        for argument in self.arguments:
            word = f"{argument.name}..." if argument.many else argument.name
            shown.append(word if argument.required else f"[{word}]")
        return " ".join(["linkspan", self.path, "[FLAG...]", *shown])


Value = str | bool | int | tuple[str, ...]


class Line:
    """A command line that was read: flags by name, and arguments."""

    def __init__(self, command: Command, values: dict[str, Value], arguments: tuple[str, ...]) -> None:
        self.command = command
        self.values = values
        self.arguments = arguments

    def text(self, name: str, default: str = "") -> str:
        """The value of a text flag."""
        return str(self.values.get(name, default))

    def switch(self, name: str, *, default: bool = False) -> bool:
        """Whether a switch is on."""
        return self.values.get(name, default) is True

    def number(self, name: str) -> int | None:
        """The value of a number flag; None when it was not given."""
        found = self.values.get(name)
        return found if isinstance(found, int) else None

    def list(self, name: str) -> tuple[str, ...]:
        """Every value of a list flag."""
        found = self.values.get(name, ())
        return found if isinstance(found, tuple) else ()

    def has(self, name: str) -> bool:
        """Whether a flag was given."""
        return name in self.values


class UsageError(InvalidError):
    """The command line itself is wrong. `exit_status` is Docker's: 125 for flags, 1 for arguments."""

    def __init__(self, message: str, *, hint: str, status: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_status = status

"""Reads command lines as Docker's does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-it`, `--`.

This is our own and not typer's, which takes 100 ms to import: more than a command may need in all. typer is given the
same table for help and completion (`showing.py`), and a test holds the two against each other.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from linkspan.cli.grammar import Command, Flag, Kind, Line, UsageError, Value

FLAG_ERROR = 125
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})
COMMON = (
    Flag("host", "the daemon to talk to: unix://PATH or tcp://ADDRESS:PORT", "H", metavar="URL"),
    Flag("debug", "show where an error comes from", "D", Kind.SWITCH),
    Flag("help", "show what a command does", kind=Kind.SWITCH),
)
"""Flags of every command, in front of it or behind."""

ROOT = Command("", "", "", flags=(Flag("version", "show the version", "v", Kind.SWITCH),))


class Names(NamedTuple):
    """The flags of a command by each of their names."""

    long: dict[str, Flag]
    short: dict[str, Flag]


def read_line(argv: Sequence[str], table: Sequence[Command]) -> Line:
    """The line. Without a command it is of `ROOT`, with the words that name none as its arguments.

    Raises `UsageError` with a hint.
    """
    found = _Reader(ROOT, stops=True)
    rest = found.read(argv)
    command, length = _command(rest, table)
    if command is None:
        return _unknown(found, rest, table)
    reader = _Reader(command, stops=command.takes_rest)
    arguments = reader.read(rest[length:])
    values = {**found.values, **reader.values}
    if not values.get("help"):
        _check(command, arguments)
    return Line(command, values, tuple(arguments))


def _command(words: Sequence[str], table: Sequence[Command]) -> tuple[Command | None, int]:
    """The command that the first words name, and how many they are."""
    names = {name: command for command in table for name in (command.path, *command.aliases)}
    for length in (2, 1):
        command = names.get(" ".join(words[:length]))
        if command is not None:
            return command, length
    return None, 0


def _unknown(found: "_Reader", rest: Sequence[str], table: Sequence[Command]) -> Line:
    """A request for help on a group or on everything; anything else is an error."""
    words = tuple(word for word in rest if word != "--help")
    helped = len(words) < len(rest) or bool(found.values.get("help"))
    group = bool(words) and any(command.path.startswith(f"{words[0]} ") for command in table)
    if not words or (group and len(words) == 1):
        values: dict[str, Value] = dict(found.values)
        if helped or (group and not found.values.get("version")):
            values["help"] = True
        return Line(ROOT, values, words)
    name = " ".join(words[:2] if group else words[:1])
    raise UsageError(
        f"there is no command {name!r}", hint=f"`linkspan {f'{words[0]} ' if group else ''}--help` lists them"
    )


def names_of(flags: Iterable[Flag]) -> Names:
    """A command's own flags come before those that all have: `-h` or `-H` may be its own."""
    long: dict[str, Flag] = {}
    short: dict[str, Flag] = {}
    for flag in (*flags, *COMMON):
        for name in (flag.name, *flag.aliases):
            long.setdefault(name, flag)
        if flag.short:
            short.setdefault(flag.short, flag)
    return Names(long, short)


class _Reader:
    """Reads the flags of one command out of the words behind it."""

    def __init__(self, command: Command, *, stops: bool) -> None:
        self.values: dict[str, Value] = {}
        self._command = command
        self._names = names_of(command.flags)
        self._stops = stops

    def read(self, words: Sequence[str]) -> list[str]:
        """The words that are no flags; `stops` means that the first of them ends the flags."""
        waiting = list(reversed(words))
        rest: list[str] = []
        while waiting:
            word = waiting.pop()
            if word == "--":
                return rest + waiting[::-1]
            if word.startswith("--"):
                self._long(word[2:], waiting)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], waiting)
            else:
                rest.append(word)
                if self._stops:
                    return rest + waiting[::-1]
        return rest

    def _long(self, word: str, waiting: list[str]) -> None:
        name, equals, value = word.partition("=")
        flag = self._names.long.get(name)
        if flag is None:
            raise self._wrong(f"unknown flag: --{name}")
        if equals:
            self._take(flag, value)
        elif flag.kind is Kind.SWITCH:
            self._take(flag, "true")
        else:
            self._take(flag, self._next(f"--{name}", waiting))

    def _short(self, letters: str, waiting: list[str]) -> None:
        """`-it`, `-p80`, `-p 80`: a flag with a value takes the rest of the word, or the next one."""
        for at, letter in enumerate(letters):
            flag = self._names.short.get(letter)
            if flag is None:
                raise self._wrong(f"unknown shorthand flag: '{letter}' in -{letters}")
            rest = letters[at + 1 :]
            if flag.kind is Kind.SWITCH and not rest.startswith("="):
                self._take(flag, "true")
                continue
            self._take(flag, rest.removeprefix("=") if rest else self._next(f"-{letter}", waiting))
            return

    def _next(self, name: str, waiting: list[str]) -> str:
        if not waiting:
            raise self._wrong(f"flag needs an argument: {name}")
        return waiting.pop()

    def _take(self, flag: Flag, text: str) -> None:
        if flag.kind is Kind.LIST:
            before = self.values.get(flag.name, ())
            assert isinstance(before, tuple)
            self.values[flag.name] = (*before, text)
        elif flag.kind is Kind.SWITCH:
            self.values[flag.name] = self._switch(flag, text)
        elif flag.kind is Kind.NUMBER:
            self.values[flag.name] = self._number(flag, text)
        else:
            self.values[flag.name] = text

    def _switch(self, flag: Flag, text: str) -> bool:
        if text.lower() not in _TRUE | _FALSE:
            raise self._wrong(f'invalid argument "{text}" for "--{flag.name}" flag: expected true or false')
        return text.lower() in _TRUE

    def _number(self, flag: Flag, text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
            raise self._wrong(f'invalid argument "{text}" for "--{flag.name}" flag: expected a number')
        return int(text)

    def _wrong(self, message: str) -> UsageError:
        return UsageError(message, hint=_see(self._command), status=FLAG_ERROR)


def _check(command: Command, arguments: Sequence[str]) -> None:
    """As many arguments as the command takes."""
    least = sum(argument.required for argument in command.arguments)
    most = None if any(argument.many for argument in command.arguments) else len(command.arguments)
    if least <= len(arguments) and (most is None or len(arguments) <= most):
        return
    wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
    plural = "" if wanted.endswith(" 1") or wanted == "1" else "s"
    raise UsageError(f"'{command.path}' takes {wanted} argument{plural}, not {len(arguments)}", hint=_see(command))


def _see(command: Command) -> str:
    return f"`{' '.join(filter(None, ('linkspan', command.path)))} --help` shows how it is used"

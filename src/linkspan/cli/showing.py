"""Help and completion, by typer, from the same table that the parser reads.

typer takes 100 ms to import, so it is asked only for what a person waits for anyway.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import typer

from linkspan.cli import completing
from linkspan.cli.grammar import Argument, Command, Flag, Kind
from linkspan.cli.reading import COMMON, ROOT

SUMMARY = "Container networks and containers. Docker's words, and --dry-run, status and --rootfs."
_TYPES: dict[Kind, Any] = {Kind.SWITCH: bool, Kind.TEXT: str, Kind.NUMBER: int, Kind.LIST: list[str]}
_NAMES = {"NETWORK": completing.networks, "CONTAINER": completing.containers}
_VALUES = {"network": completing.networks}
_MISTAKE = 2
_GROUPS = {"dns": "Names of containers, inside and on this machine"}


def show(table: Sequence[Command], argv: Sequence[str]) -> int:
    """What typer has to say to a line: help, or a completion when the shell asks for one."""
    try:
        application(table)(list(argv), prog_name="linkspan")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _MISTAKE
    return 0


def application(table: Sequence[Command]) -> typer.Typer:
    """The table as typer sees it."""
    style: Literal["rich"] | None = "rich" if sys.stdout.isatty() else None
    top = typer.Typer(help=SUMMARY, no_args_is_help=True, rich_markup_mode=style)
    top.callback()(_function(ROOT, (*ROOT.flags, *_common(ROOT))))
    groups: dict[str, typer.Typer] = {}
    for command in table:
        group, _, name = command.path.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(help=_GROUPS.get(group, f"Manage {group}s"), no_args_is_help=True)
            top.add_typer(groups[group], name=group)
        home = groups[group] if group else top
        home.command(name, help=command.help)(_function(command, (*command.flags, *_common(command))))
    return top


def _common(command: Command) -> list[Flag]:
    """The flags that every command has; `--help` is typer's own, and a short name may be taken."""
    taken = {flag.short for flag in command.flags}
    return [flag._replace(short="" if flag.short in taken else flag.short) for flag in COMMON if flag.name != "help"]


def _function(command: Command, flags: Sequence[Flag]) -> Callable[..., None]:
    """A function with the signature that typer reads a command from. It is never called for its work."""

    def read(**values: object) -> None:
        values.clear()

    parameters = [_argument(number, argument) for number, argument in enumerate(command.arguments)] + [
        _option(flag) for flag in flags
    ]
    read.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    read.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return read


def _argument(number: int, argument: Argument) -> inspect.Parameter:
    kind = list[str] if argument.many else str
    shown = typer.Argument(metavar=argument.name, autocompletion=_NAMES.get(argument.name))
    default = inspect.Parameter.empty if argument.required else None
    return _parameter(f"argument_{number}", kind if argument.required else kind | None, shown, default)


def _option(flag: Flag) -> inspect.Parameter:
    names = [f"--{name}" for name in (flag.name, *flag.aliases)] + ([f"-{flag.short}"] if flag.short else [])
    if flag.kind is Kind.SWITCH:
        return _parameter(flag.name, bool, typer.Option(*names, help=flag.help, show_default=False), default=False)
    shown = typer.Option(*names, help=flag.help, metavar=flag.shown, autocompletion=_VALUES.get(flag.name))
    return _parameter(flag.name, _TYPES[flag.kind] | None, shown, default=None)


def _parameter(name: str, kind: Any, shown: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        f"p_{name.replace('-', '_')}",
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, shown],
    )

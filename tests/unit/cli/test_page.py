"""docs/command.md shows the table that lines are read by."""

from collections.abc import Callable, Iterator

from linkspan.cli.catalogue import COMMANDS, DAEMON
from linkspan.cli.connection import DEFAULT_HOST
from linkspan.cli.functions import FUNCTIONS
from linkspan.cli.grammar import Command, Flag, Kind
from linkspan.cli.reading import COMMON

INTRODUCTION = f"""# The command

    linkspan COMMAND [FLAG...] [ARGUMENT...]

is a client of the [daemon](daemon.md). Commands, flags and exit statuses are those of Docker's command. `run` and
`create` take an [image](images.md), or a directory that is the root file system: `linkspan run --rootfs DIR COMMAND`.
The daemon is found by `--host`, else by `LINKSPAN_HOST`, else by `DOCKER_HOST`, else at `{DEFAULT_HOST}`.

- `--dry-run` prints what would be done, as the `ip`, `nft` and `sysctl` lines a person would type, and changes nothing.
- `linkspan status` shows everything on one screen; it ends with 1 when something is wrong.
- An error is one sentence, and a hint where there is something to do about it; `--debug` shows where it comes from.
- `linkspan --install-completion` teaches the shell flags, and the names of networks and containers.

`--format` takes a Go template: fields (`{{{{.Name}}}}`), variables, `if`, `else`, `with`, `range`, pipes, functions:
{", ".join(f"`{name}`" for name in sorted(FUNCTIONS))}.
`table` in front of a template makes a table, and `json` alone prints JSON, as `--json` does.

A process that could not be started ends `run` with 127 when there is no such program, 126 when it may not be executed,
and 125 for everything else that the daemon refuses; otherwise the status is that of the process.

Every command has
"""


def test_the_page_shows_every_command(page: Callable[[str, str], None]) -> None:
    commands = "".join(line for command in COMMANDS if command is not DAEMON for line in section(command))
    page("docs/command.md", INTRODUCTION + "\n" + table(COMMON) + commands)


def section(command: Command) -> Iterator[str]:
    yield f"\n## {command.path}\n\n    {command.usage}\n\n{command.help}."
    yield f" Also called `{'`, `'.join(command.aliases)}`.\n" if command.aliases else "\n"
    if command.flags:
        yield "\n" + table(command.flags)


def table(flags: tuple[Flag, ...]) -> str:
    return "| flag | what it is for |\n|---|---|\n" + "".join(map(row, flags))


def row(flag: Flag) -> str:
    names = [*([f"-{flag.short}"] if flag.short else []), f"--{flag.name}", *(f"--{name}" for name in flag.aliases)]
    value = "" if flag.kind is Kind.SWITCH else f" `{flag.shown}`"
    again = "; can be given again" if flag.kind is Kind.LIST else ""
    return f"| {', '.join(f'`{name}`' for name in names)}{value} | {flag.help}{again} |\n"

"""The table of commands, and that everybody who reads it sees the same."""

import inspect
from importlib import import_module
from typing import Any

import pytest
import typer.main

from linkspan.cli.catalogue import COMMANDS, DAEMON
from linkspan.cli.grammar import Command, Flag, Kind
from linkspan.cli.reading import read_line
from linkspan.cli.showing import application

REAL = [command for command in COMMANDS if command is not DAEMON]
VALUES = {Kind.SWITCH: (), Kind.TEXT: ("x",), Kind.NUMBER: ("7",), Kind.LIST: ("x",)}


def by_path(command: Command) -> str:
    return command.path


@pytest.mark.parametrize("command", REAL, ids=by_path)
def test_a_command_has_a_function_that_takes_a_line_and_a_session(command: Command) -> None:
    module, _, name = command.run.partition(":")
    function = getattr(import_module(f"linkspan.cli.{module}"), name)
    assert list(inspect.signature(function).parameters) == ["line", "session"]


@pytest.mark.parametrize("command", REAL, ids=by_path)
def test_no_flag_has_the_name_of_another(command: Command) -> None:
    names = [name for flag in command.flags for name in (flag.name, *flag.aliases)]
    shorts = [flag.short for flag in command.flags if flag.short]
    assert len(names) == len(set(names)) and len(shorts) == len(set(shorts))


@pytest.mark.parametrize("command", REAL, ids=by_path)
def test_only_the_last_argument_takes_many(command: Command) -> None:
    assert not any(argument.many for argument in command.arguments[:-1])


def everything(command: Command) -> tuple[list[str], list[str]]:
    """A line with every flag, and its arguments."""
    flags = [word for flag in command.flags for word in (f"--{flag.name}", *VALUES[flag.kind])]
    return flags, [f"word{number}" for number, _ in enumerate(command.arguments)]


def as_typer_reads_it(command: Command, words: list[str]) -> dict[str, Any]:
    found: Any = typer.main.get_command(application([command]))
    for name in command.path.split():
        found = found.commands[name]
    params: dict[str, Any] = found.make_context(command.path, words).params
    return params


@pytest.mark.parametrize("command", REAL, ids=by_path)
def test_typer_reads_a_line_as_we_do(command: Command) -> None:
    flags, arguments = everything(command)
    line = read_line([*command.path.split(), *flags, *arguments], COMMANDS)
    theirs = as_typer_reads_it(command, [*flags, *arguments])
    for flag in command.flags:
        found = theirs[f"p_{flag.name.replace('-', '_')}"]
        assert (tuple(found) if isinstance(found, list) else found) == line.values[flag.name]
    assert line.arguments == tuple(arguments)


@pytest.mark.parametrize("command", REAL, ids=by_path)
def test_help_names_every_flag(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    from linkspan.cli.showing import show

    assert show([command], [*command.path.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert not [flag.name for flag in command.flags if f"--{flag.name}" not in shown]


DOCKER = {
    "network create": "driver d, gateway, subnet, ip-range, aux-address, internal, attachable, opt o, label, ipv6",
    "network ls": "filter f, format, no-trunc, quiet q",
    "run": "detach d, interactive i, tty t, name, rm, publish p, publish-all P, expose, network, env e, label l, "
    "hostname h, workdir w, user u, volume v, mount, tmpfs, memory m, attach a, entrypoint, env-file, privileged",
    "ps": "all a, filter f, format, last n, latest l, no-trunc, quiet q, size s",
    "stop": "timeout t, signal s",
    "rm": "force f, volumes v, link l",
    "logs": "follow f, since, until, tail n, timestamps t, details",
    "exec": "detach d, interactive i, tty t, env e, user u, workdir w, privileged, detach-keys, env-file",
}


@pytest.mark.parametrize("path", DOCKER)
def test_flags_have_docker_s_names(path: str) -> None:
    flags = {flag.name: flag for flag in next(command for command in COMMANDS if command.path == path).flags}
    for wanted in DOCKER[path].split(", "):
        name, _, short = wanted.partition(" ")
        assert name in flags and (not short or flags[name].short == short), wanted


def test_every_command_that_changes_networks_has_a_dry_run() -> None:
    changing = {
        "network create",
        "network rm",
        "network connect",
        "network disconnect",
        "network prune",
        "network records",
        "run",
        "create",
    }
    dry = {command.path for command in COMMANDS if any(flag.name == "dry-run" for flag in command.flags)}
    assert dry == changing


def test_a_flag_shows_what_stands_behind_it() -> None:
    assert (Flag("ip-range", "").shown, Flag("last", "", kind=Kind.NUMBER).shown) == ("IP_RANGE", "N")

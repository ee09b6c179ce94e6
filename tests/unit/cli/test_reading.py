"""Command lines."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.cli.grammar import Argument, Command, Flag, Kind, UsageError
from linkspan.cli.reading import read_line

LS = Command(
    "network ls",
    "List",
    "networks:ls",
    flags=(
        Flag("quiet", "ids", "q", Kind.SWITCH),
        Flag("filter", "filter", "f", Kind.LIST),
        Flag("last", "n", "n", Kind.NUMBER),
    ),
    aliases=("network list",),
)
RUN = Command(
    "run",
    "Run",
    "running:run",
    (Argument("COMMAND", required=False, many=True),),
    (
        Flag("interactive", "stdin", "i", Kind.SWITCH),
        Flag("tty", "terminal", "t", Kind.SWITCH),
        Flag("hostname", "name", "h"),
        Flag("network", "network", kind=Kind.LIST, aliases=("net",)),
    ),
    takes_rest=True,
    failure=125,
)
RM = Command("network rm", "Remove", "networks:rm", (Argument("NETWORK", many=True),))
TABLE = (LS, RUN, RM)


def test_flags_are_long_and_short_joined_and_apart() -> None:
    line = read_line(["network", "ls", "-q", "--filter", "a=b", "--filter=c=d", "-fe", "-f", "g", "-n=3"], TABLE)
    assert line.command is LS
    assert line.switch("quiet") and line.list("filter") == ("a=b", "c=d", "e", "g") and line.number("last") == 3


def test_short_switches_share_a_dash() -> None:
    line = read_line(["run", "-ith", "box", "sh"], TABLE)
    assert line.switch("interactive") and line.switch("tty") and line.text("hostname") == "box"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("T", True), ("false", False), ("0", False)])
def test_a_switch_takes_a_value_behind_an_equals_sign(text: str, value: bool) -> None:
    assert read_line(["network", "ls", f"--quiet={text}"], TABLE).switch("quiet") is value


def test_flags_may_follow_arguments_but_not_the_command_of_a_container() -> None:
    assert read_line(["network", "rm", "a", "--debug", "b"], TABLE).arguments == ("a", "b")
    line = read_line(["run", "-i", "ls", "-t", "--net", "x"], TABLE)
    assert line.arguments == ("ls", "-t", "--net", "x") and not line.switch("tty")


def test_two_dashes_end_the_flags() -> None:
    assert read_line(["network", "rm", "--", "-a"], TABLE).arguments == ("-a",)


def test_a_name_has_aliases() -> None:
    assert read_line(["network", "list"], TABLE).command is LS
    assert read_line(["run", "--net=a", "--network", "b"], TABLE).list("network") == ("a", "b")


def test_common_flags_stand_on_either_side() -> None:
    for argv in (["-H", "unix:///x", "network", "ls"], ["network", "ls", "--host=unix:///x"]):
        assert read_line(argv, TABLE).text("host") == "unix:///x"


@pytest.mark.parametrize("argv", [[], ["--help"], ["network"], ["network", "--help"], ["network", "ls", "--help"]])
def test_help_is_found_everywhere(argv: list[str]) -> None:
    line = read_line(argv, TABLE)
    assert line.switch("help") or not line.command.run


@pytest.mark.parametrize(
    ("argv", "message", "status"),
    [
        (["nosuch"], "there is no command 'nosuch'", 1),
        (["network", "nosuch", "x"], "there is no command 'network nosuch'", 1),
        (["network", "ls", "--nosuch"], "unknown flag: --nosuch", 125),
        (["network", "ls", "-qx"], "unknown shorthand flag: 'x' in -qx", 125),
        (["network", "ls", "--filter"], "flag needs an argument: --filter", 125),
        (["network", "ls", "-f"], "flag needs an argument: -f", 125),
        (["network", "ls", "-n", "x"], 'invalid argument "x" for "--last" flag: expected a number', 125),
        (["network", "ls", "--quiet=x"], 'invalid argument "x" for "--quiet" flag: expected true or false', 125),
        (["network", "ls", "x"], "'network ls' takes 0 arguments, not 1", 1),
        (["network", "rm"], "'network rm' takes at least 1 argument, not 0", 1),
    ],
)
def test_a_mistake_is_one_sentence_a_hint_and_docker_s_status(argv: list[str], message: str, status: int) -> None:
    with pytest.raises(UsageError) as caught:
        read_line(argv, TABLE)
    assert (caught.value.message, caught.value.exit_status) == (message, status)
    assert "--help" in str(caught.value.hint)


WORDS = "network ls run rm -q -f -n 3 --filter --filter=a --net x -- - -it -h --help --debug -H --quiet=no".split()


@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_any_words_are_a_line_or_a_usage_error(argv: list[str]) -> None:
    with suppress(UsageError):
        line = read_line(argv, TABLE)
        assert line.command in TABLE or not line.command.run

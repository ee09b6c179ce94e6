"""Which images a Dockerfile builds on. Pure.

Only what decides that is understood here (`FROM`, `ARG` before it, `--from`): everything else is for the program that
builds. Source of the rules: Docker's Dockerfile reference.
"""

import re
from collections.abc import Iterator, Mapping

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(.*?)\s*$")
_FROM_FLAG = re.compile(r"(?:^|,)from=([^,\s]+)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")
_SCRATCH = "scratch"


def bases(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """The images that have to be there, as they are written, each once; `arguments` are those of the build."""
    found: dict[str, None] = {}
    stages: list[str] = []
    values: dict[str, str] = {}
    for word, rest in _instructions(text):
        if word == "ARG" and not stages:
            values |= _arguments(rest, values, arguments)
        elif word == "FROM":
            image, stage = _from(rest, values)
            found |= dict.fromkeys({image} - set(stages))
            stages.append(stage)
        elif word in ("COPY", "ADD", "RUN"):
            names = (name for name in _sources(rest) if name.lower() not in stages and not name.isdecimal())
            found |= dict.fromkeys(names)
    return tuple(name for name in found if name not in ("", _SCRATCH))


def count(text: str) -> int:
    """How many instructions there are."""
    return sum(1 for _ in _instructions(text))


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments on one line."""
    escape = _escape(text)
    gathered = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") or (gathered and not stripped):
            continue
        if stripped.endswith(escape):
            gathered += stripped[:-1] + " "
            continue
        word, _, rest = (gathered + stripped).partition(" ")
        gathered = ""
        if word:
            yield word.upper(), rest.strip()
    if gathered.strip():
        word, _, rest = gathered.partition(" ")
        yield word.upper(), rest.strip()


def _escape(text: str) -> str:
    """The character that continues a line: a directive at the very top can change it."""
    for line in text.splitlines():
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _arguments(rest: str, values: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in rest.split():
        name, equals, default = word.partition("=")
        if name in given:
            found[name] = given[name]
        elif equals:
            found[name] = _expanded(default.strip("'\""), values)
    return found


def _expanded(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = values.get(match[1] or match[4], "")
        if match[2] == "-":
            return found or match[3]
        if match[2] == "+":
            return match[3] if found else ""
        return found

    return _VARIABLE.sub(value, text)


def _from(rest: str, values: Mapping[str, str]) -> tuple[str, str]:
    """The image and the name of the stage."""
    words = [word for word in rest.split() if not word.startswith("--")]
    image = _expanded(words[0].strip("'\""), values) if words else ""
    named = len(words) > 2 and words[1].lower() == "as"
    return image, words[2].lower() if named else ""


def _sources(rest: str) -> Iterator[str]:
    """The values of `--from=…` and of `--mount=…,from=…`."""
    for word in rest.split():
        if not word.startswith("--"):
            return
        flag, _, value = word.partition("=")
        if flag == "--from":
            yield value
        elif flag == "--mount":
            yield from _FROM_FLAG.findall(value)

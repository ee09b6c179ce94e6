"""`--change` of import and commit: instructions of a Dockerfile that change the defaults of an image. Pure."""

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from linkspan.model.errors import InvalidError
from linkspan.model.images import ImageConfig, ImageHealth
from linkspan.model.portspec import parse_target

_SHELL = ("/bin/sh", "-c")
_DURATION = re.compile(r"(?:[0-9.]+(?:ns|us|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|ms|s|m|h)")
_TIMES = ("interval", "timeout", "start-period", "start-interval")
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def changed(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The defaults after these instructions, in their order. Raises `InvalidError`."""
    for text in changes:
        for line in filter(None, map(str.strip, text.splitlines())):
            word, _, rest = line.partition(" ")
            change = _CHANGES.get(word.upper())
            if change is None:
                raise InvalidError(f"{word.lower()} is not a valid change command", field="changes", value=line)
            if not rest.strip():
                raise InvalidError(f"{word.upper()} requires at least one argument", field="changes", value=line)
            config = change(config, rest.strip())
    return config


def _words(text: str) -> tuple[str, ...] | None:
    """The words of an instruction in JSON's form; None when it is in the shell's."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(word, str) for word in found) else None


def _command(text: str) -> tuple[str, ...]:
    words = _words(text)
    return (*_SHELL, text) if words is None else words


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidError(f"cannot read {text!r}: {error}", field="changes", value=text) from error


def _pairs(text: str, word: str) -> dict[str, str]:
    """`a=b c=d`, or the old form `a b`."""
    if "=" in text.partition(" ")[0]:
        words = [word.partition("=") for word in _split(text)]
    else:
        name, blank, value = text.partition(" ")
        words = [(name, blank and "=", value.strip())]
    if not all(name and equals for name, equals, _ in words):
        raise InvalidError(f"{word} must have two arguments", field="changes", value=text)
    return {name: value for name, _, value in words}


def _env(config: ImageConfig, text: str) -> ImageConfig:
    variables = dict(entry.partition("=")[::2] for entry in config.env) | _pairs(text, "ENV")
    return replace(config, env=tuple(f"{name}={value}" for name, value in variables.items()))


def _expose(config: ImageConfig, text: str) -> ImageConfig:
    ports = {port for word in text.split() for port in _ports(word)}
    return replace(config, exposed=tuple(sorted({*config.exposed, *ports})))


def _ports(text: str) -> Iterator[str]:
    """Each port of `80`, `53/udp` or `8000-8010`, by itself with its protocol."""
    try:
        ports, protocol = parse_target(text, field="changes")
    except InvalidError as error:
        raise InvalidError(f"invalid containerPort: {text}", field="changes", value=text) from error
    return (f"{port}/{protocol}" for port in range(ports.first, ports.last + 1))


def _volume(config: ImageConfig, text: str) -> ImageConfig:
    return replace(config, volumes=tuple(sorted({*config.volumes, *(_words(text) or text.split())})))


def _workdir(config: ImageConfig, text: str) -> ImageConfig:
    return replace(config, workdir=posixpath.normpath(posixpath.join("/", config.workdir, text)))


def _healthcheck(config: ImageConfig, text: str) -> ImageConfig:
    flags: dict[str, str] = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s*", text):
        flags[match[1]] = match[2]
        text = text[match.end() :]
    kind, _, command = text.partition(" ")
    if kind.upper() == "NONE":
        return replace(config, healthcheck=ImageHealth(("NONE",)))
    if kind.upper() != "CMD" or not command.strip():
        raise InvalidError(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)', field="changes", value=text)
    words = _words(command.strip())
    test = ("CMD-SHELL", command.strip()) if words is None else ("CMD", *words)
    interval, timeout, period, start = (_time(flags, name) for name in _TIMES)
    retries = flags.get("retries", "0")
    if not retries.isdecimal():
        raise InvalidError(f"invalid retries {retries!r}", field="changes", value=text)
    return replace(config, healthcheck=ImageHealth(test, interval, timeout, period, start, int(retries)))


def _time(flags: Mapping[str, str], name: str) -> int:
    text = flags.get(name, "0s")
    if not _DURATION.fullmatch(text):
        raise InvalidError(f"invalid {name} {text!r}", field="changes", value=text)
    try:
        return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)))
    except ValueError as error:
        raise InvalidError(f"invalid {name} {text!r}", field="changes", value=text) from error


_CHANGES: Mapping[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": lambda config, text: replace(config, cmd=_command(text)),
    "ENTRYPOINT": lambda config, text: replace(config, entrypoint=_command(text)),
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": lambda config, text: replace(config, labels={**config.labels, **_pairs(text, "LABEL")}),
    "ONBUILD": lambda config, text: replace(config, onbuild=(*config.onbuild, text)),
    "STOPSIGNAL": lambda config, text: replace(config, stop_signal=text),
    "USER": lambda config, text: replace(config, user=text),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
"""What Docker lets a change be."""

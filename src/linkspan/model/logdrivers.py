"""Where the output of a container is kept, and how much of it: Docker's log drivers, their options and their words.

The rules and texts are those of Docker's drivers json-file and local, which differ in their defaults. `none` keeps
nothing. The files are the same for both: what differs inside Docker's is nobody's business but the driver's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from linkspan.model.errors import InvalidError


class LogDriver(StrEnum):
    """What keeps the output."""

    JSON_FILE = "json-file"
    LOCAL = "local"
    NONE = "none"


READABLE = (LogDriver.JSON_FILE, LogDriver.LOCAL)
"""The drivers that keep anything."""

ELSEWHERE = frozenset(
    ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "logentries", "splunk", "syslog")
)
"""Drivers of Docker's that are not here: they send the output to another program."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`--log-driver` and `--log-opt`; without a driver, the daemon's."""

    driver: LogDriver | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether there is a log."""
        return self.driver is not LogDriver.NONE

    def over(self, default: "LogConfig") -> "LogConfig":
        """With the daemon's driver where there is none, and the daemon's options where the driver is the same."""
        usual = default.driver or LogDriver.JSON_FILE
        driver = self.driver or usual
        return replace(
            self, driver=driver, options={**default.options, **self.options} if driver is usual else self.options
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """A file that has reached `size` bytes is followed by another; `files` are kept, the one being written included."""

    size: int
    files: int

    @property
    def kept(self) -> int:
        """Bytes that are kept beside the file that is being written."""
        return self.size * (self.files - 1)


_MODES = ("", "blocking", "non-blocking")
_EVERY_DRIVER = frozenset(
    ("mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
)
_DRIVERS_OWN = frozenset(("max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"))
_IN_EFFECT = frozenset(("max-size", "max-file"))
_UNKNOWN = {
    LogDriver.JSON_FILE: "unknown log opt '{}' for json-file log driver",
    LogDriver.LOCAL: "unknown log opt '{}' for log driver local",
}
_LOCAL = Rotation(20 * 1024 * 1024, 5)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)*) ?([kKmMgGtTpP])?[iI]?[bB]?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_LARGEST = 2**63 - 1


def log_driver(name: str) -> LogDriver | None:
    """A driver by its name, None for none; `InvalidError`, in Docker's words where Docker has not got it either."""
    try:
        return LogDriver(name) if name else None
    except ValueError as error:
        text = f'error looking up logging plugin {name}: plugin "{name}" not found'
        if name in ELSEWHERE:
            text = f"logging driver {name} is not supported: expected {', '.join(LogDriver)}"
        raise InvalidError(text, field="LogConfig", value=name, hint=f"there are {', '.join(LogDriver)}") from error


def check_log_config(config: LogConfig) -> LogConfig:
    """The same; `InvalidError`, in Docker's words, for options that cannot be. The driver none takes any."""
    if config.driver is LogDriver.NONE:
        return config
    options = config.options
    if (mode := options.get("mode", "")) not in _MODES:
        raise _refused(f"logger: logging mode not supported: {mode}", mode)
    if "max-buffer-size" in options and options.get("mode") != "non-blocking":
        raise _refused("logger: max-buffer-size option is only supported with 'mode=non-blocking'", mode)
    if unknown := sorted(set(options) - _EVERY_DRIVER - _DRIVERS_OWN):
        raise _refused(_UNKNOWN[config.driver or LogDriver.JSON_FILE].format(unknown[0]), unknown[0])
    try:
        rotation(config)
    except InvalidError as error:  # Docker says so when it starts the container
        raise _refused(f"failed to initialize logging driver: {error.message}", error.value) from error
    return config


def without_effect(config: LogConfig) -> list[str]:
    """The options that are taken and change nothing."""
    if config.driver is LogDriver.NONE:
        return []
    blocking = {"mode"} if config.options.get("mode") != "non-blocking" else set()
    plain = {"compress"} if config.options.get("compress") in _FALSE else set()
    return sorted(set(config.options) - _IN_EFFECT - blocking - plain)


def rotation(config: LogConfig) -> Rotation | None:
    """How much is kept; None when it is all or nothing. Raises `InvalidError` in the driver's words."""
    if config.driver is LogDriver.NONE:
        return None
    return _local(config.options) if config.driver is LogDriver.LOCAL else _json_file(config.options)


def _json_file(options: Mapping[str, str]) -> Rotation | None:
    size: int | None = None
    if (text := options.get("max-size", "-1")) != "-1":  # Docker's documented default, which means: no end
        size = human_size(text)
        if size <= 0:
            raise _refused("max-size must be a positive number", text)
    files = _integer(options.get("max-file", "1"))
    if files < 1:
        raise _refused("max-file cannot be less than 1", files)
    if _boolean(options.get("compress", "false")) and (size is None or files < 2):
        raise _refused("compress cannot be true when max-file is less than 2 or max-size is not set", True)
    return None if size is None else Rotation(size, files)


def _local(options: Mapping[str, str]) -> Rotation:
    size = _explained("invalid value for max-size: {}: {}", human_size, options, "max-size", _LOCAL.size)
    files = _explained("invalid value for max-file: {}: {}", _integer, options, "max-file", _LOCAL.files)
    compress = _explained("error reading compress log option: {1}", _boolean, options, "compress", True)
    if files < 0:
        raise _refused("max file count cannot be less than 0", files)
    if compress and files <= 1:
        raise _refused("compression cannot be enabled when max file count is 1", files)
    if size == 0:  # Docker takes it, and keeps a file for each line
        raise _refused("max-size must be a positive number", size)
    return Rotation(size, max(files, 1))


def _explained(words: str, read: Callable[[str], int], options: Mapping[str, str], name: str, default: int) -> int:
    if name not in options:
        return default
    try:
        return read(options[name])
    except InvalidError as error:
        raise _refused(words.format(options[name], error.message), options[name]) from error


def human_size(text: str) -> int:
    """`10m`, `1.5 GB`: with powers of 1000, as in Docker's options of logs. Raises `InvalidError` in Docker's words."""
    match = _SIZE.fullmatch(text) if text.isascii() else None
    try:
        if match is None:
            raise ValueError(text)
        return min(int(float(match[1]) * 1000 ** _POWERS[(match[2] or "").lower()]), _LARGEST)
    except (ValueError, OverflowError) as error:
        raise _refused(f"invalid size: '{text}'", text) from error


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
        raise _refused(f'strconv.Atoi: parsing "{text}": invalid syntax', text)
    return int(text)


def _boolean(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise _refused(f'strconv.ParseBool: parsing "{text}": invalid syntax', text)
    return text in _TRUE


def _refused(message: str, value: object) -> InvalidError:
    return InvalidError(message, field="LogConfig", value=value)

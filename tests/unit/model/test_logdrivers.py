"""What may be asked of logs is Docker's, and so are the words of what may not."""

from collections.abc import Mapping

import pytest

from linkspan.model.errors import InvalidError
from linkspan.model.logdrivers import LogConfig, LogDriver, Rotation, check_log_config, human_size, log_driver, rotation

FILE, LOCAL, NONE = LogDriver.JSON_FILE, LogDriver.LOCAL, LogDriver.NONE
START = "failed to initialize logging driver: "


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1k", 1000),
        ("10m", 10_000_000),
        ("10M", 10_000_000),
        ("10mb", 10_000_000),
        ("10 MiB", 10_000_000),
        ("1.5g", 1_500_000_000),
        ("2t", 2 * 10**12),
        ("0", 0),
    ],
)
def test_sizes_have_the_suffixes_of_docker_which_are_powers_of_1000(text: str, size: int) -> None:
    assert human_size(text) == size


@pytest.mark.parametrize("text", ["", "abc", "-1", "-5m", "m", "1x", "1m ", "1,5m", "1.2.3m", "٣"])
def test_what_is_no_size_is_refused_in_docker_s_words(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        human_size(text)
    assert caught.value.message == f"invalid size: '{text}'"


@pytest.mark.parametrize(
    ("driver", "options", "kept"),
    [
        (None, {}, None),
        (FILE, {}, None),
        (FILE, {"max-size": "-1"}, None),
        (FILE, {"max-file": "3"}, None),
        (FILE, {"max-size": "10m"}, Rotation(10_000_000, 1)),
        (FILE, {"max-size": "10m", "max-file": "3", "compress": "true"}, Rotation(10_000_000, 3)),
        (LOCAL, {}, Rotation(20 << 20, 5)),
        (LOCAL, {"max-size": "1m"}, Rotation(1_000_000, 5)),
        (LOCAL, {"max-file": "1", "compress": "false"}, Rotation(20 << 20, 1)),
        (NONE, {"max-size": "10m"}, None),
    ],
)
def test_how_much_is_kept(driver: LogDriver | None, options: Mapping[str, str], kept: Rotation | None) -> None:
    assert rotation(check_log_config(LogConfig(driver, options))) == kept


@pytest.mark.parametrize(
    ("driver", "options", "said"),
    [
        (FILE, {"foo": "bar"}, "unknown log opt 'foo' for json-file log driver"),
        (LOCAL, {"foo": "bar"}, "unknown log opt 'foo' for log driver local"),
        (FILE, {"mode": "x"}, "logger: logging mode not supported: x"),
        (
            FILE,
            {"max-buffer-size": "4m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (FILE, {"max-size": "abc"}, f"{START}invalid size: 'abc'"),
        (FILE, {"max-size": "0"}, f"{START}max-size must be a positive number"),
        (FILE, {"max-file": "0"}, f"{START}max-file cannot be less than 1"),
        (FILE, {"max-file": "x"}, f'{START}strconv.Atoi: parsing "x": invalid syntax'),
        (FILE, {"compress": "x"}, f'{START}strconv.ParseBool: parsing "x": invalid syntax'),
        (
            FILE,
            {"compress": "true", "max-size": "1m"},
            f"{START}compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (LOCAL, {"max-size": "-1"}, f"{START}invalid value for max-size: -1: invalid size: '-1'"),
        (LOCAL, {"max-file": "x"}, f'{START}invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
        (LOCAL, {"max-file": "-1"}, f"{START}max file count cannot be less than 0"),
        (LOCAL, {"max-file": "1"}, f"{START}compression cannot be enabled when max file count is 1"),
        (
            LOCAL,
            {"compress": "x"},
            f'{START}error reading compress log option: strconv.ParseBool: parsing "x": invalid syntax',
        ),
    ],
)
def test_what_cannot_be_is_refused_in_docker_s_words(driver: LogDriver, options: Mapping[str, str], said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_log_config(LogConfig(driver, options))
    assert caught.value.message == said


def test_a_driver_is_known_or_refused() -> None:
    assert [log_driver(name) for name in ("", "json-file", "local", "none")] == [None, FILE, LOCAL, NONE]
    with pytest.raises(InvalidError, match="not supported: expected json-file, local, none"):
        log_driver("journald")
    with pytest.raises(InvalidError, match='error looking up logging plugin foo: plugin "foo" not found'):
        log_driver("foo")


@pytest.mark.parametrize(
    ("asked", "default", "found"),
    [
        (LogConfig(), LogConfig(), LogConfig(FILE)),
        (LogConfig(), LogConfig(LOCAL, {"max-size": "1m"}), LogConfig(LOCAL, {"max-size": "1m"})),
        (LogConfig(None, {"max-file": "2"}), LogConfig(FILE, {"max-size": "1m"}), None),
        (LogConfig(FILE, {"max-size": "2m"}), LogConfig(FILE, {"max-size": "1m"}), LogConfig(FILE, {"max-size": "2m"})),
        (LogConfig(NONE), LogConfig(FILE, {"max-size": "1m"}), LogConfig(NONE)),
    ],
)
def test_the_daemon_s_options_are_those_of_its_driver(
    asked: LogConfig, default: LogConfig, found: LogConfig | None
) -> None:
    assert asked.over(default) == (found or LogConfig(FILE, {"max-size": "1m", "max-file": "2"}))

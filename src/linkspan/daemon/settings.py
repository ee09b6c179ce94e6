"""From the command line and the configuration file to settings: each option from one of the two, or its default."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkspan import __version__
from linkspan.daemon.options import BY_NAME, CONFIG_FILE, DEFAULT_HOST, OPTIONS, Option, Values
from linkspan.model.config import Config
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.logdrivers import check_log_config

_JSON_NAMES = {str: "a string", bool: "true or false", int: "a number", list: "a list of strings", dict: "an object"}


@dataclass(frozen=True)
class Settings:
    """What the daemon runs with. `flags` are what the command line gave, for a later reload of the file."""

    values: Values
    config_file: Path | None
    flags: Mapping[str, Any]
    only_validate: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where to listen."""
        return tuple(self.values["hosts"]) or (DEFAULT_HOST,)

    @property
    def level(self) -> str:
        """The least important messages that are logged."""
        level: str = "debug" if self.values["debug"] else self.values["log-level"]
        return level

    def engine(self) -> Config:
        """The part that concerns the engine."""
        values = self.values
        return Config(
            bridge=values["bridge"],
            bip=values["bip"],
            bip6=values["bip6"],
            fixed_cidr=values["fixed-cidr"],
            fixed_cidr_v6=values["fixed-cidr-v6"],
            ipv6=values["ipv6"],
            mtu=values["mtu"],
            icc=values["icc"],
            ip_forward=values["ip-forward"],
            ip_forward_no_drop=values["ip-forward-no-drop"],
            ip_masq=values["ip-masq"],
            host_binding=values["ip"],
            pools=values.pools(),
            firewall=values["firewall-backend"],
            userland_proxy=values["userland-proxy"],
            names=True,
            host_resolver=values["host-dns"],
            host_gateway=tuple(values["host-gateway-ips"]),
        )


def parser() -> argparse.ArgumentParser:
    """The command line, from the table."""
    made = argparse.ArgumentParser(
        prog="linkspan daemon", description="Serve container networks and containers.", allow_abbrev=False
    )
    made.add_argument("--config-file", metavar="FILE", help=f"settings in JSON, under the same names ({CONFIG_FILE})")
    made.add_argument("--validate", action="store_true", help="check the settings and end")
    made.add_argument("--version", action="version", version=__version__)
    for option in OPTIONS:
        names = [f"-{option.short}"] if option.short else []
        more: dict[str, Any] = {"dest": option.name, "default": None, "help": _help(option)}
        if option.is_switch:
            more |= {"nargs": "?", "const": "true", "metavar": "true|false"}
        else:
            more |= {"action": "append" if option.many else "store", "metavar": option.metavar or option.flag.upper()}
        made.add_argument(*names, f"--{option.flag}", **more)
    return made


def _help(option: Option) -> str:
    if option.default in (None, (), ""):
        return option.help
    shown = str(option.default).lower() if option.is_switch else option.default
    return f"{option.help} ({shown})"


def read_settings(argv: Sequence[str] | None) -> Settings:
    """Everything read and checked; `InvalidError` says what does not fit."""
    parsed = vars(parser().parse_args(argv))
    flags = {name: _from_flag(BY_NAME[name], parsed[name]) for name in BY_NAME if parsed[name] is not None}
    chosen = parsed["config_file"]
    file = Path(chosen or CONFIG_FILE)
    if not file.exists() and chosen is None:
        return _checked(Settings(Values(flags), None, flags, parsed["validate"]))
    return merge(file, flags, only_validate=parsed["validate"])


def merge(file: Path, flags: Mapping[str, Any], *, only_validate: bool = False) -> Settings:
    """The settings of a file, and of the command line; what is in both is refused."""
    found = read_file(file)
    both = [
        f"{BY_NAME[name].flag}: (from flag: {_shown(flags[name])}, from file: {_shown(found[name])})"
        for name in found
        if name in flags
    ]
    if both:
        raise InvalidError(
            f"unable to configure the daemon with file {file}: the following directives are specified both as a flag "
            f"and in the configuration file: {', '.join(both)}",
            field="config-file",
            value=str(file),
        )
    return _checked(Settings(Values({**found, **flags}), file, flags, only_validate))


def read_file(file: Path) -> dict[str, Any]:
    """The options of a configuration file."""
    try:
        content = json.loads(file.read_text() or "{}")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no configuration file {file}", field="config-file", value=str(file)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidError(
            f"unable to configure the daemon with file {file}: {error}", field="config-file", value=str(file)
        ) from error
    if not isinstance(content, dict):
        raise InvalidError(f"unable to configure the daemon with file {file}: not a JSON object", field="config-file")
    if unknown := sorted(set(content) - set(BY_NAME)):
        raise InvalidError(
            f"unable to configure the daemon with file {file}: the following directives don't match any configuration "
            f"option: {', '.join(unknown)}",
            field="config-file",
            value=unknown[0],
            hint="`linkspan daemon --help` lists the options",
        )
    return {name: _from_file(BY_NAME[name], value) for name, value in content.items()}


def _from_flag(option: Option, found: Any) -> Any:
    if option.many:
        return tuple(option.read(option.flag, text) for text in found)
    return option.read(option.flag, found)


def _from_file(option: Option, found: Any) -> Any:
    """A value of the file: of the right JSON type, then read as its flag would be."""
    kind: type = type(found)  # exactly: true is an int to isinstance
    if kind is not option.json:
        raise InvalidError(f"invalid {option.name} in the configuration file: expected {_JSON_NAMES[option.json]}")
    if not option.many:
        return option.read(option.flag, str(found).lower() if option.is_switch else str(found))
    texts = _pairs(option, found) if option.json is dict else [_element(option, item) for item in found]
    return tuple(option.read(option.flag, text) for text in texts)


def _pairs(option: Option, found: Mapping[str, Any]) -> list[str]:
    """`{"bridge": {"a": "b"}}` as `bridge=a=b`, and without drivers `{"a": "b"}` as `a=b`."""
    if not option.by_driver:
        return [f"{key}={_element(option, value)}" for key, value in found.items()]
    if not all(isinstance(settings, dict) for settings in found.values()):
        raise InvalidError(f"invalid {option.name} in the configuration file: expected objects by driver")
    return [f"{driver}={key}={value}" for driver, settings in found.items() for key, value in settings.items()]


def _element(option: Option, item: Any) -> str:
    """An element of a list: text, or for pools `{"base": "…", "size": 24}`."""
    if isinstance(item, dict) and all(isinstance(value, str | int) for value in item.values()):
        return ",".join(f"{key}={value}" for key, value in item.items())
    if not isinstance(item, str):
        raise InvalidError(f"invalid {option.name} in the configuration file: expected {_JSON_NAMES[option.json]}")
    return item


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{' '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(settings: Settings) -> Settings:
    """What only fits together is checked together."""
    values = settings.values
    try:
        check_log_config(values.logging())
    except InvalidError as error:
        raise InvalidError(f"failed to set log opts: {error.message}", field="log-opt", value=error.value) from error
    for gateway, bridge in (("default-gateway", "bip"), ("default-gateway-v6", "bip6")):
        if values[gateway] is not None and (values[bridge] is None or values[bridge].ip != values[gateway]):
            raise InvalidError(
                f"{gateway} {values[gateway]} is not the address of the default bridge",
                field=gateway,
                value=str(values[gateway]),
                hint=f"the bridge is the gateway: leave it out, or give the bridge that address with --{bridge}",
            )
    secured = values["tlsverify"] or values["tls"]
    if any(host.startswith("tcp://") for host in settings.hosts) and not secured:
        raise InvalidError(
            "a TCP host gives root to everyone who reaches it, so it is served only to clients with a certificate",
            field="host",
            hint="give --tlsverify, --tlscacert, --tlscert and --tlskey, or use a unix:// host",
        )
    if secured and (missing := [name for name in ("tlscacert", "tlscert", "tlskey") if not values[name]]):
        raise InvalidError(f"--tlsverify needs {', '.join(f'--{name}' for name in missing)}", field=missing[0])
    return settings

"""The daemon's options: one table for the command line, its help, the configuration file, and what a value may be.

Names and meanings are dockerd's (`docker-networking.md` §1.9). An option has one name as a flag and one as a key of the
file (`--host` is `hosts` there); `read` turns the text of a flag into a value, and a value of the file has to have the
JSON type `json` before its text is read the same way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface as _ip_interface
from typing import Any

from linkspan.model.addressing import IPAddress, IPInterface, IPNetwork, Version, parse_address, parse_network
from linkspan.model.config import DEFAULT_POOLS, AddressPool, Config, FirewallBackend
from linkspan.model.errors import InvalidError
from linkspan.model.logdrivers import LogConfig, LogDriver, log_driver
from linkspan.model.names import check_link_name

LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class Option:
    """One option.

    `many` collects several values, which are in objects by driver in the file when they are `by_driver`; `reloads`
    takes a new value from the file at SIGHUP.
    """

    flag: str
    help: str
    read: Callable[[str, str], Any]
    default: Any = None
    key: str = ""
    short: str = ""
    metavar: str = ""
    json: type = str
    many: bool = False
    by_driver: bool = False
    reloads: bool = False

    @property
    def name(self) -> str:
        """How the configuration file calls it."""
        return self.key or self.flag

    @property
    def is_switch(self) -> bool:
        """Whether the flag alone means true."""
        return self.json is bool


def _text(name: str, value: str) -> str:
    return value


def _switch(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidError(
            f'invalid argument "{value}" for "--{name}" flag: expected true or false', field=name, value=value
        )
    return value.lower() in ("true", "1", "t")


def _always(name: str, value: str) -> bool:
    if not _switch(name, value):
        raise InvalidError(
            f"--{name}=false: the rules that isolate containers cannot be left out",
            field=name,
            value=value,
            hint="to keep other rules untouched, run the daemon in a network namespace of its own",
        )
    return True


def _mtu(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 68 <= int(value) <= 65535:
        raise InvalidError(f"invalid MTU {value}: expected 68 to 65535", field=name, value=value)
    return int(value)


def _bridge(name: str, value: str) -> str:
    if value == "none":
        raise InvalidError("--bridge=none is not supported: there is always a default network", field=name, value=value)
    return check_link_name(value, field=name)


def _address(name: str, value: str) -> IPAddress:
    return parse_address(value, field=name)


def _loopback(name: str, value: str) -> IPAddress:
    found = _address(name, value)
    if not found.is_loopback:
        raise InvalidError(
            f"--{name} {value}: not a loopback address",
            field=name,
            value=value,
            hint="what containers are called is for this machine only: choose an address of 127.0.0.0/8",
        )
    return found


def _registry(name: str, value: str) -> str:
    """`host:port`, or a prefix of addresses; Docker's words for a URL."""
    if "://" in value:
        raise InvalidError(f"insecure registry {value} should not contain '://'", field=name, value=value)
    if "/" in value:
        parse_network(value, field=name)
    return value


def _interface(version: Version) -> Callable[[str, str], IPInterface]:
    def read(name: str, value: str) -> IPInterface:
        try:
            found = _ip_interface(value)
        except ValueError as error:
            raise InvalidError(
                f"invalid {name} {value}: not an address in CIDR notation", field=name, value=value
            ) from error
        if found.version != version or "/" not in value:
            raise InvalidError(
                f"invalid {name} {value}: not an IPv{version} address in CIDR notation", field=name, value=value
            )
        return found

    return read


def _network(version: Version) -> Callable[[str, str], IPNetwork]:
    def read(name: str, value: str) -> IPNetwork:
        found = parse_network(value, field=name)
        if found.version != version:
            raise InvalidError(f"invalid {name} {value}: not an IPv{version} prefix", field=name, value=value)
        return found

    return read


def _pool(name: str, value: str) -> AddressPool:
    """`base=172.30.0.0/16,size=24`."""
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    if set(fields) != {"base", "size"} or not re.fullmatch(r"[0-9]{1,3}", fields["size"]):
        raise InvalidError(f"invalid address pool {value}: expected base=PREFIX,size=LENGTH", field=name, value=value)
    return AddressPool(parse_network(fields["base"], field=name), int(fields["size"]))


def _network_option(name: str, value: str) -> tuple[str, str, str]:
    """`bridge=com.docker.network.driver.mtu=1400`."""
    driver, _, option = value.partition("=")
    key, equals, setting = option.partition("=")
    if not (driver and key and equals):
        raise InvalidError(f"invalid option {value}: expected DRIVER=OPTION=VALUE", field=name, value=value)
    return driver, key, setting


def _firewall(name: str, value: str) -> FirewallBackend:
    try:
        return FirewallBackend(value or FirewallBackend.NFTABLES)
    except ValueError as error:
        raise InvalidError(
            f'invalid firewall-backend "{value}": expected nftables or iptables', field=name, value=value
        ) from error


def _level(name: str, value: str) -> str:
    if value not in LEVELS:
        raise InvalidError(
            f"invalid logging level: {value}", field=name, value=value, hint=f"one of {', '.join(LEVELS)}"
        )
    return value


def _log_driver(name: str, value: str) -> LogDriver:
    return log_driver(value) or LogDriver.JSON_FILE


def _log_option(name: str, value: str) -> tuple[str, str]:
    """`max-size=10m`."""
    key, _, setting = value.partition("=")
    return key, setting


def _option(flag: str, help: str, read: Callable[[str, str], Any] = _text, default: Any = None, **more: Any) -> Option:
    return Option(flag, help, read, default, **more)


def _flag(flag: str, help: str, default: bool, read: Callable[[str, str], bool] = _switch, **more: Any) -> Option:
    return Option(flag, help, read, default, json=bool, **more)


def _list(flag: str, help: str, read: Callable[[str, str], Any] = _text, **more: Any) -> Option:
    return Option(flag, help, read, (), many=True, **{"json": list, "key": f"{flag}s", **more})


OPTIONS = (
    _list("host", "where to listen: unix://PATH, fd://, or tcp://ADDRESS:PORT with TLS", short="H", metavar="URL"),
    _option(
        "data-root", "directory that remembers networks and containers", default="/var/lib/linkspan", metavar="DIR"
    ),
    _option("exec-root", "directory for what a reboot empties", default="/run/linkspan", metavar="DIR"),
    _option("pidfile", "file for the process id", default="/run/linkspan.pid", short="p", metavar="FILE"),
    _option("group", "group that may use the socket", default="", short="G"),
    _flag("debug", "log everything", False, short="D", reloads=True),
    _option("log-level", "debug, info, warn, error or fatal", _level, "info", short="l", reloads=True),
    _option("log-driver", "what keeps the output of new containers", _log_driver, LogDriver.JSON_FILE, reloads=True),
    _list("log-opt", "option of it: NAME=VALUE", _log_option, json=dict, reloads=True, metavar="NAME=VALUE"),
    _option("bridge", "name of the default network's bridge", _bridge, "docker0", short="b", metavar="NAME"),
    _option("bip", "address and prefix of the default bridge", _interface(4), metavar="CIDR"),
    _option("bip6", "IPv6 address and prefix of the default bridge", _interface(6), metavar="CIDR"),
    _option("fixed-cidr", "prefix that the default network's addresses come from", _network(4), metavar="CIDR"),
    _option("fixed-cidr-v6", "the same for IPv6", _network(6), metavar="CIDR"),
    _option("default-gateway", "gateway of the default network: its bridge", _address, metavar="ADDRESS"),
    _option("default-gateway-v6", "the same for IPv6", _address, metavar="ADDRESS"),
    _list("default-address-pool", "pool of networks without a subnet: base=PREFIX,size=LENGTH", _pool),
    _list(
        "default-network-opt",
        "option of new networks: DRIVER=OPTION=VALUE",
        _network_option,
        json=dict,
        by_driver=True,
        reloads=True,
    ),
    _option("mtu", "MTU of the default network", _mtu, 1500, json=int),
    _flag("icc", "whether containers of the default network reach each other", True),
    _option("ip", "address that ports are published on", _address, Config().host_binding),
    _flag("ip-forward", "turn on forwarding", True),
    _flag("ip-forward-no-drop", "where forwarding was off before: route what touches none of the bridges, too", False),
    _flag("ip-masq", "let what leaves the default network take the host's address", True),
    _flag("ipv6", "give the default network IPv6", False),
    _option("firewall-backend", "nftables or iptables", _firewall, FirewallBackend.NFTABLES),
    _flag("iptables", "accepted for compatibility; must be true", True, _always),
    _flag("ip6tables", "accepted for compatibility; must be true", True, _always),
    _flag("userland-proxy", "with iptables: relay what NAT does not carry", True),
    _list("dns", "name server of containers", _address, key="dns", metavar="ADDRESS", reloads=True),
    _list("dns-search", "search domain of containers", key="dns-search", reloads=True),
    _list("dns-opt", "option of the containers' resolver", reloads=True),
    _list(
        "host-gateway-ip",
        "address of host-gateway and host.docker.internal (default: that of the default bridge, or the network's own)",
        _address,
        metavar="ADDRESS",
    ),
    _option(
        "host-dns",
        "answer NAME.NETWORK.linkspan to this machine, on port 53 of a loopback address such as 127.0.0.76",
        _loopback,
        metavar="ADDRESS",
    ),
    _list(
        "insecure-registry",
        "registry that may speak plain HTTP, or TLS with any certificate: HOST[:PORT] or a prefix",
        _registry,
        key="insecure-registries",
        metavar="REGISTRY",
    ),
    _flag("live-restore", "accepted for compatibility: containers always outlive the daemon", True),
    _flag("tls", "as --tlsverify: clients always have to prove who they are", False),
    _flag("tlsverify", "serve TLS to clients with a certificate", False),
    _option("tlscacert", "certificate of the authority that signs clients' certificates", metavar="FILE"),
    _option("tlscert", "certificate of this server", metavar="FILE"),
    _option("tlskey", "key of this server", metavar="FILE"),
)
"""Every option but `--config-file` and `--validate`, which are not in the file."""

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
CONFIG_FILE = "/etc/linkspan/daemon.json"
DEFAULT_HOST = "unix:///run/linkspan.sock"


@dataclass(frozen=True)
class Values:
    """A value for every option, by the name in the file; `given` are those that somebody chose."""

    by_name: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """What was given, or the default."""
        return self.by_name.get(name, BY_NAME[name].default)

    def pools(self) -> tuple[AddressPool, ...]:
        """The address pools: given ones replace the default ones, as in Docker."""
        return tuple(self["default-address-pools"]) or DEFAULT_POOLS

    def logging(self) -> LogConfig:
        """The log of new containers that ask for none."""
        return LogConfig(self["log-driver"], dict(self["log-opts"]))

    def network_options(self) -> dict[str, dict[str, str]]:
        """Options of new networks by driver."""
        found: dict[str, dict[str, str]] = {}
        for driver, option, value in self["default-network-opts"]:
            found.setdefault(driver, {})[option] = value
        return found

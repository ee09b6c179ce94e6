import json
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.daemon.options import BY_NAME, DEFAULT_HOST, OPTIONS, Option
from linkspan.daemon.settings import merge, parser, read_settings
from linkspan.model.config import AddressPool, Config, FirewallBackend
from linkspan.model.errors import InvalidError, LinkspanError, NotFoundError

EXAMPLES = {
    "hosts": ["unix:///a"],
    "bip": "10.1.0.1/16",
    "bip6": "fd00:1::1/64",
    "fixed-cidr": "10.1.2.0/24",
    "fixed-cidr-v6": "fd00:1::/80",
    "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
    "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
    "mtu": 1400,
    "ip": "192.0.2.1",
    "firewall-backend": "iptables",
    "dns": ["192.0.2.53"],
    "dns-search": ["x.test"],
    "dns-opts": ["ndots:1"],
    "host-dns": "127.0.0.76",
    "host-gateway-ips": ["192.0.2.8", "2001:db8::8"],
    "log-level": "warn",
    "log-driver": "local",
    "log-opts": {"max-size": "10m", "max-file": "3"},
}


def written(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "daemon.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def flags(option: Option, value: Any) -> list[str]:
    """The flags that say what a value of the file says."""
    if option.json is dict and not option.by_driver:
        return [f"--{option.flag}={k}={v}" for k, v in value.items()]
    if option.json is dict:
        return [f"--{option.flag}={driver}={k}={v}" for driver, pairs in value.items() for k, v in pairs.items()]
    items = value if option.many else [value]
    texts = [",".join(f"{k}={v}" for k, v in item.items()) if isinstance(item, dict) else item for item in items]
    return [f"--{option.flag}={text}" for text in texts]


def test_the_defaults_are_the_engines() -> None:
    settings = read_settings(["--config-file", "/dev/null"])
    assert settings.engine() == Config(names=True) and settings.hosts == (DEFAULT_HOST,) and settings.level == "info"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_flag_and_the_file_mean_the_same(name: str, tmp_path: Path) -> None:
    from_file = merge(written(tmp_path, {name: EXAMPLES[name]}), {})
    from_flag = read_settings(["--config-file", "/dev/null", *flags(BY_NAME[name], EXAMPLES[name])])
    assert from_file.values[name] == from_flag.values[name] != BY_NAME[name].default


def test_values_reach_the_engine(tmp_path: Path) -> None:
    switches = {"icc": False, "ip-forward": False, "ip-masq": False, "ipv6": True, "userland-proxy": False}
    switches |= {"ip-forward-no-drop": True}
    config = merge(written(tmp_path, {**EXAMPLES, **switches, "bridge": "br9"}), {}).engine()
    assert config == Config(
        bridge="br9",
        bip=ip_interface("10.1.0.1/16"),  # type: ignore[arg-type]
        bip6=ip_interface("fd00:1::1/64"),  # type: ignore[arg-type]
        fixed_cidr=ip_network("10.1.2.0/24"),  # type: ignore[arg-type]
        fixed_cidr_v6=ip_network("fd00:1::/80"),  # type: ignore[arg-type]
        ipv6=True,
        mtu=1400,
        icc=False,
        ip_forward=False,
        ip_forward_no_drop=True,
        ip_masq=False,
        host_binding=ip_address("192.0.2.1"),
        pools=(AddressPool(ip_network("10.0.0.0/8"), 24),),
        firewall=FirewallBackend.IPTABLES,
        userland_proxy=False,
        names=True,
        host_resolver=ip_address("127.0.0.76"),
        host_gateway=(ip_address("192.0.2.8"), ip_address("2001:db8::8")),
    )


def test_what_is_in_both_is_refused_in_dockers_words(tmp_path: Path) -> None:
    file = written(tmp_path, {"debug": False, "hosts": ["unix:///b"]})
    with pytest.raises(InvalidError) as caught:
        read_settings(["--config-file", str(file), "--debug", "-H", "unix:///a", "--mtu", "1400"])
    assert caught.value.message == (
        f"unable to configure the daemon with file {file}: the following directives are specified both as a flag "
        "and in the configuration file: debug: (from flag: true, from file: false), "
        "host: (from flag: [unix:///a], from file: [unix:///b])"
    )


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="directives don't match any configuration option: colour, taste"):
        merge(written(tmp_path, {"taste": 1, "colour": 2, "debug": True}), {})


@pytest.mark.parametrize("content", ["{", "[]", "1", "\x00", "[" * 5000])
def test_a_file_that_is_no_object_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="unable to configure the daemon"):
        merge(written(tmp_path, content), {})


def test_a_file_that_was_named_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no configuration file"):
        read_settings(["--config-file", str(tmp_path / "absent")])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(content=st.dictionaries(st.sampled_from(sorted(BY_NAME)), _JSON, max_size=4))
def test_any_content_is_settings_or_one_error(
    content: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        settings = merge(written(tmp_path_factory.mktemp("x"), content), {})
    except LinkspanError:
        return
    assert isinstance(settings.engine(), Config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--icc=maybe"], 'invalid argument "maybe" for "--icc" flag'),
        (["--mtu=9"], "invalid MTU 9"),
        (["--host-dns=192.0.2.1"], "--host-dns 192.0.2.1: not a loopback address"),
        (["--bip=10.0.0.300/8"], "not an address in CIDR notation"),
        (["--bip=10.0.0.1"], "not an IPv4 address in CIDR notation"),
        (["--bip=fd00::1/64"], "not an IPv4 address in CIDR notation"),
        (["--fixed-cidr-v6=10.0.0.0/8"], "not an IPv6 prefix"),
        (["--default-address-pool=10.0.0.0/8"], "expected base=PREFIX,size=LENGTH"),
        (["--default-network-opt=mtu=1400"], "expected DRIVER=OPTION=VALUE"),
        (["--firewall-backend=pf"], 'invalid firewall-backend "pf"'),
        (["--iptables=false"], "cannot be left out"),
        (["--bridge=none"], "not supported"),
        (["--bridge=a b"], "invalid bridge"),
        (["--log-level=loud"], "invalid logging level: loud"),
        (["--log-driver=foo"], 'error looking up logging plugin foo: plugin "foo" not found'),
        (["--log-opt=foo=b"], "failed to set log opts: unknown log opt 'foo' for json-file log driver"),
        (["--log-opt=max-size=x"], "failed to set log opts: failed to initialize logging driver: invalid size: 'x'"),
        (["--default-gateway=10.1.0.2", "--bip=10.1.0.1/16"], "is not the address of the default bridge"),
        (["--host=tcp://127.0.0.1:2376"], "only to clients with a certificate"),
        (["--host=tcp://127.0.0.1:2376", "--tlsverify", "--tlscert=a"], "--tlsverify needs --tlscacert, --tlskey"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        read_settings(["--config-file", "/dev/null", *arguments])


def test_the_gateway_may_be_named_when_it_is_the_bridge() -> None:
    read_settings(["--config-file", "/dev/null", "--default-gateway=10.1.0.1", "--bip=10.1.0.1/16"])


def test_every_option_is_in_the_help() -> None:
    text = parser().format_help()
    for option in OPTIONS:
        assert f"--{option.flag}" in text and option.help.split()[0] in text


def test_names_are_unique() -> None:
    for names in ([o.flag for o in OPTIONS], [o.name for o in OPTIONS], [o.short for o in OPTIONS if o.short]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("registry", ["http://r.test", "10.0.0.1/8", "r.test/x"])
def test_an_insecure_registry_is_a_host_or_a_prefix(registry: str) -> None:
    with pytest.raises(InvalidError):
        read_settings(["--insecure-registry", registry])


def test_insecure_registries_are_a_list_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"insecure-registries": ["r.test:5000", "10.0.0.0/8"]}')
    found = read_settings(["--config-file", str(file)])
    assert found.values["insecure-registries"] == ("r.test:5000", "10.0.0.0/8")

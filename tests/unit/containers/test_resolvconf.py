"""/etc/resolv.conf, as Docker writes it."""

from typing import Any

import pytest

from linkspan.containers.resolvconf import HostFile, Way, chose_ndots, resolv_conf
from linkspan.model.containers import CreateContainer

USUAL = HostFile(text="nameserver 192.0.2.1\nsearch example.test\noptions edns0\n")


def wanted(**fields: Any) -> CreateContainer:
    return CreateContainer("web", "/", ("true",), **fields)


def content(text: str) -> list[str]:
    """The lines that count."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_container_with_a_name_server_asks_it_alone() -> None:
    text = resolv_conf(wanted(), USUAL, (4,), Way.NAMES)
    assert content(text) == ["nameserver 127.0.0.11", "search example.test", "options edns0 ndots:0"]
    assert text.endswith(
        "\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [host(192.0.2.1)]\n"
        "# Overrides: []\n# Option ndots from: internal\n"
    )


def test_what_the_user_asks_for_is_named_as_an_override() -> None:
    asked = wanted(dns=("192.0.2.9", "2001:db8::9"), dns_search=("sea.test",), dns_options=("timeout:1",))
    text = resolv_conf(asked, USUAL, (4,), Way.NAMES)
    assert content(text) == ["nameserver 127.0.0.11", "search sea.test", "options timeout:1 ndots:0"]
    assert "# ExtServers: [192.0.2.9 2001:db8::9]\n# Overrides: [nameservers search options]\n" in text


@pytest.mark.parametrize(
    ("options", "shown", "source", "chosen"),
    [
        (("ndots:2",), "options ndots:2", "override", True),
        (("ndots:-1",), "options ndots:0", "internal", False),
        (("ndots:x", "rotate"), "options rotate ndots:0", "internal", False),
    ],
)
def test_ndots_is_the_users_if_it_is_a_number(options: tuple[str, ...], shown: str, source: str, chosen: bool) -> None:
    text = resolv_conf(wanted(dns_options=options), USUAL, (4,), Way.NAMES)
    assert shown in content(text) and f"# Option ndots from: {source}\n" in text
    assert chose_ndots(wanted(dns_options=options), USUAL) is chosen


def test_ndots_of_the_host_counts_as_chosen() -> None:
    host = HostFile(text="options ndots:3\n")
    assert "# Option ndots from: host\n" in resolv_conf(wanted(), host, (4,), Way.NAMES)
    assert chose_ndots(wanted(), host)
    assert not chose_ndots(wanted(dns_options=("rotate",)), host)


@pytest.mark.parametrize(
    ("host_file", "versions", "servers"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", (4,), ["192.0.2.1"]),
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", (4, 6), ["192.0.2.1", "2001:db8::1"]),
        ("nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\n", (4,), ["8.8.8.8", "8.8.4.4"]),
        ("", (6,), ["2001:4860:4860::8888", "2001:4860:4860::8844"]),
        ("nameserver nonsense\nnameserver\n", (), ["8.8.8.8", "8.8.4.4"]),
    ],
)
def test_without_a_name_server_only_servers_that_can_be_reached_are_named(
    host_file: str, versions: tuple[int, ...], servers: list[str]
) -> None:
    text = resolv_conf(wanted(), HostFile(text=host_file), versions, Way.REACHABLE)
    assert content(text) == [f"nameserver {server}" for server in servers]
    assert "(legacy)" in text and ("# Used default nameservers." in text) is ("8.8" in text or "8888" in text)


def test_mode_host_has_the_hosts_own_resolvers_unless_told_otherwise() -> None:
    file = HostFile(text="nameserver 127.0.0.1\nsearch example.test\n")
    assert resolv_conf(wanted(), file, (), Way.HOST) == file.text
    told = resolv_conf(wanted(dns_search=("sea.test",)), file, (), Way.HOST)
    assert content(told) == ["nameserver 127.0.0.1", "search sea.test"]


def test_a_search_list_of_one_dot_is_none() -> None:
    text = resolv_conf(wanted(dns_search=(".",)), HostFile(text="search example.test\n"), (4,), Way.NAMES)
    assert content(text) == ["nameserver 127.0.0.11", "options ndots:0"]

"""/etc/hosts: what `--add-host` takes, and what it comes to."""

from linkspan.containers.files import HOST_NAME, extra_host, hosts, own_names, with_host_name
from linkspan.model.addressing import parse_address
from linkspan.model.containers import CreateContainer


def test_extra_hosts_take_both_families_and_both_separators() -> None:
    assert extra_host("a:1.2.3.4") == ("a", "1.2.3.4")
    assert extra_host("a:::1") == ("a", "::1")
    assert extra_host("a=[fd00::1]") == ("a", "fd00::1")
    assert extra_host("a:host-gateway") == ("a", "host-gateway")


def test_the_hosts_gateway_has_every_address_of_the_default_bridge() -> None:
    gateways = [parse_address(text, field="gateway") for text in ("172.17.0.1", "fd00::1")]
    text = hosts(CreateContainer("web", "/", ("true",), extra_hosts=("shore:host-gateway",)), [], gateways)
    assert text.endswith("172.17.0.1\tshore\nfd00::1\tshore\n")


def test_a_domain_name_comes_before_the_host_name() -> None:
    assert own_names("ship", "sea.test") == "ship.sea.test ship"
    assert own_names("ship", "") == "ship"


def test_a_host_name_with_a_domain_in_it_is_known_without_it_too() -> None:
    assert own_names("ship.sea.test", "") == "ship.sea.test ship"
    assert own_names("ship.sea", "test") == "ship.sea.test ship"


def test_the_hosts_own_file_gets_its_name_for_containers_once() -> None:
    once = with_host_name("127.0.0.1 localhost")
    assert once == f"127.0.0.1 localhost\n127.0.0.1\t{HOST_NAME}\n"
    assert with_host_name(once) == once
    assert HOST_NAME in with_host_name(f"# 127.0.0.1 {HOST_NAME}\n").splitlines()[-1]

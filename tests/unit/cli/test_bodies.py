"""From flags to bodies, which the types of the API accept and understand."""

from pathlib import Path

import msgspec
import pytest

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.networks import NetworkConnect, NetworkCreate
from linkspan.api.creation import container_request
from linkspan.cli import networks
from linkspan.cli.answers import Json
from linkspan.cli.catalogue import COMMANDS
from linkspan.cli.creating import create_body
from linkspan.cli.grammar import Line
from linkspan.cli.reading import read_line
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError
from linkspan.model.logdrivers import LogConfig, LogDriver


def line(text: str) -> Line:
    return read_line(text.split(), COMMANDS)


def wanted(flags: str, command: str = "sh", environment: dict[str, str] | None = None) -> CreateContainer:
    """What the daemon understands of a `run`."""
    body = create_body(line(f"run --rootfs /r {flags} {command}"), environment or {})
    return container_request("c1", msgspec.convert(body, ContainerCreate))


def network(flags: str) -> NetworkCreate:
    return msgspec.convert(networks.create_body(line(f"network create {flags} web")), NetworkCreate)


def test_a_plain_run_asks_for_docker_s_defaults() -> None:
    assert wanted("") == CreateContainer(
        name="c1",
        rootfs="/r",
        argv=("sh",),
        mode="default",
        endpoints=wanted("").endpoints,
        attach=(False, True, True),
    )
    assert [endpoint.network for endpoint in wanted("").endpoints] == ["default"]


def test_a_log_is_kept_as_it_was_asked_for() -> None:
    assert wanted("").logging == LogConfig()
    found = wanted("--log-driver local --log-opt max-size=1m --log-opt max-file=3").logging
    assert found == LogConfig(LogDriver.LOCAL, {"max-size": "1m", "max-file": "3"})
    assert wanted("--log-driver none").logging == LogConfig(LogDriver.NONE)
    with pytest.raises(InvalidError, match="invalid logging opts for driver none"):
        wanted("--log-driver none --log-opt max-size=1m")


@pytest.mark.parametrize(
    ("flags", "attach", "stdin"),
    [
        ("", (False, True, True), (False, False)),
        ("-i", (True, True, True), (True, True)),
        ("-d", (False, False, False), (False, False)),
        ("-di", (False, False, False), (True, False)),
        ("-a stdout", (False, True, False), (False, False)),
    ],
)
def test_streams(flags: str, attach: tuple[bool, bool, bool], stdin: tuple[bool, bool]) -> None:
    found = wanted(flags)
    assert (found.attach, (found.open_stdin, found.stdin_once)) == (attach, stdin)


@pytest.mark.parametrize(
    ("flags", "publish"),
    [
        ("-p 80", ("80/tcp",)),
        ("-p 8080:80", ("8080:80/tcp",)),
        ("-p 127.0.0.1:81:82/udp", ("127.0.0.1:81:82/udp",)),
        ("-p [::1]:81:82", ("[::1]:81:82/tcp",)),
        ("-p 9000-9002:9000-9002 -p 53:53/udp", ("9000-9002:9000-9002/tcp", "53:53/udp")),
        ("-p 8000-8010:80", ("8000-8010:80/tcp",)),
    ],
)
def test_published_ports(flags: str, publish: tuple[str, ...]) -> None:
    assert wanted(flags).publish == publish


def test_exposed_ports_are_published_when_all_are() -> None:
    assert wanted("--expose 7000-7001/udp").exposed == ("7000/udp", "7001/udp")
    assert wanted("-P --expose 80").publish == ("80/tcp",)


def test_networks_and_their_endpoints() -> None:
    found = wanted("--network web --ip 10.0.0.2 --mac-address 02:00:00:00:00:01 --network name=db,ip6=fd00::2")
    assert found.mode == "web"
    assert [(e.network, e.ipv4_address, e.ipv6_address, e.mac_address) for e in found.endpoints] == [
        ("web", "10.0.0.2", "", "02:00:00:00:00:01"),
        ("db", "", "fd00::2", ""),
    ]


@pytest.mark.parametrize("mode", ["host", "none", "container:base"])
def test_modes_without_endpoints(mode: str) -> None:
    found = wanted(f"--net {mode}")
    assert (found.mode, found.endpoints) == (mode, ())


def test_aliases_of_one_network_and_of_each() -> None:
    first, second = wanted(
        "--network web --network-alias a --network-alias b --network name=db,alias=c,alias=d"
    ).endpoints
    assert (first.aliases, second.aliases) == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("flags", "of_the_endpoint", "of_the_host"),
    [
        ("--network web --link db:database", ("db:database",), ()),
        ("--link db:database", (), ("db:database",)),
        ("--network bridge --link db", (), ("db",)),
    ],
)
def test_links_belong_to_the_network_or_to_the_files(
    flags: str, of_the_endpoint: tuple[str, ...], of_the_host: tuple[str, ...]
) -> None:
    found = wanted(flags)
    assert [each for endpoint in found.endpoints for each in endpoint.links] == [*of_the_endpoint]
    assert found.links == of_the_host


def test_the_process(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# no\nF=1\n\nSET\nUNSET\n")
    found = wanted(
        f"-e A=b -e SET -e UNSET --env-file {file} -w /w -u 1:2 -h box --domainname d --entrypoint /e --rm -t",
        "-- -c x",
        {"SET": "here"},
    )
    assert found.env == ("F=1", "SET=here", "A=b", "SET=here")
    assert (found.workdir, found.user, found.hostname, found.domainname) == ("/w", "1:2", "box", "d")
    assert found.argv == ("/e", "-c", "x") and found.auto_remove and found.tty


def test_limits_capabilities_and_the_rest() -> None:
    found = wanted(
        "--cap-add NET_ADMIN --cap-drop ALL --privileged --read-only --sysctl a.b=1 --shm-size 1m --stop-signal INT "
        "--stop-timeout 3 -l k=v -l empty --dns 9.9.9.9 --dns-search x.test --dns-opt ndots:1 --add-host h=1.2.3.4"
    )
    assert (found.cap_add, found.cap_drop, found.privileged, found.read_only) == (("NET_ADMIN",), ("ALL",), True, True)
    assert (found.sysctls, found.shm_size, found.stop_signal, found.stop_timeout) == ({"a.b": "1"}, 1 << 20, "INT", 3)
    assert found.labels == {"k": "v", "empty": ""}
    assert (found.dns, found.dns_search, found.dns_options) == (("9.9.9.9",), ("x.test",), ("ndots:1",))
    assert found.extra_hosts == ("h:1.2.3.4",)


def test_mounts() -> None:
    mounts = wanted("-v /a:/b:ro --mount type=bind,src=/c,dst=/d,readonly --tmpfs /t:size=1m --tmpfs /u").mounts
    found = {(mount.target, mount.source, mount.read_only, mount.options) for mount in mounts}
    assert {("/b", "/a", True, ()), ("/d", "/c", True, ()), ("/t", "", False, ("size=1m",))} <= found
    assert {mount.target for mount in mounts} == {"/b", "/d", "/t", "/u"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run", "a container needs an image, or a root file system"),
        ("run --rootfs /r -p 70000:80 sh", "invalid port specification: '70000:80'"),
        ("run --rootfs /r --shm-size much sh", "invalid size 'much' for --shm-size"),
        ("run --rootfs /r --cpus x sh", "invalid number of CPUs 'x'"),
        ("run --rootfs /r -a x sh", "cannot attach 'x'"),
        ("run --rootfs /r --env-file /nosuch sh", "cannot read /nosuch for --env-file"),
        ("run --rootfs /r --mount type=bind,nosuch=1 sh", "--mount does not understand 'nosuch'"),
        ("run --rootfs /r --network ip=1 sh", "--network ip=1 has no name="),
        ("run --rootfs /r --network name=a,x=1 sh", "--network does not understand x=1"),
    ],
)
def test_a_mistake_is_found_before_the_daemon_is_asked(text: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        create_body(line(text), {})
    assert caught.value.message.startswith(message)


def test_a_network() -> None:
    assert network("") == NetworkCreate(name="web", driver="bridge", ipam=network("").ipam)
    found = network("-d bridge --internal --ipv6 --ipv4=false -o a=b --label k=v")
    assert (found.internal, found.enable_ipv6, found.enable_ipv4) == (True, True, False)
    assert (found.options, found.labels) == ({"a": "b"}, {"k": "v"})


def test_subnets_get_what_lies_in_them() -> None:
    found = network(
        "--subnet 10.0.0.0/24 --subnet fd00::/64 --gateway fd00::1 --gateway 10.0.0.1 --ip-range 10.0.0.128/25 "
        "--aux-address a=10.0.0.5 --aux-address b=10.0.0.6"
    ).ipam.config
    assert [(c.subnet, c.gateway, c.ip_range, c.auxiliary_addresses) for c in found] == [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.128/25", {"a": "10.0.0.5", "b": "10.0.0.6"}),
        ("fd00::/64", "fd00::1", "", {}),
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--subnet x", "invalid subnet: "),
        ("--gateway 10.0.0.1", "no matching subnet for gateway 10.0.0.1"),
        ("--subnet 10.0.0.0/24 --gateway x", "invalid gateway 'x'"),
        ("--subnet 10.0.0.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2", "more than one gateway in subnet 10.0.0.0/24"),
    ],
)
def test_subnets_that_do_not_fit(flags: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        network(flags)
    assert caught.value.message.startswith(message)


def test_an_endpoint() -> None:
    words = "network connect --ip 10.0.0.2 --alias a --alias b --gw-priority -3 --driver-opt k=v web c1"
    body: Json = {"Container": "c1", "EndpointConfig": networks.endpoint_body(line(words))}
    found = msgspec.convert(body, NetworkConnect).endpoint_config
    assert found is not None and found.ipam_config is not None
    assert (found.ipam_config.ipv4_address, found.aliases, found.gw_priority) == ("10.0.0.2", ["a", "b"], -3)
    assert found.driver_opts == {"k": "v"}

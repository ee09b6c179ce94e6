"""From Docker's bodies to requests for containers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.api.bodies.containers import ContainerCreate, PortBody
from linkspan.api.creation import container_request, warnings
from linkspan.api.publishing import exposed_ports, publish_texts, wished_bindings
from linkspan.api.reading import parse
from linkspan.model.containers import CreateContainer, Mount, MountKind
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.requests import EndpointRequest
from linkspan.model.resources import Resources

SENT = Path(__file__).parent / "cli_create.json"
"""What docker 28 sends for `docker run --rm busybox echo hi`, as recorded."""


def request(**fields: Any) -> CreateContainer:
    """The request for the recorded body, with other fields; `HostConfig` is merged."""
    body = json.loads(SENT.read_text()) | {"Rootfs": "/rootfs"}
    host = fields.pop("HostConfig", {})
    body |= fields
    body["HostConfig"] |= host
    return container_request("c1", parse(json.dumps(body).encode(), ContainerCreate))


def test_what_the_docker_command_sends_by_default() -> None:
    assert request() == CreateContainer(
        name="c1",
        rootfs="/rootfs",
        argv=("echo", "hi"),
        mode="default",
        endpoints=(EndpointRequest("default"),),
        auto_remove=True,
        attach=(False, True, True),
    )


def test_every_wish_reaches_the_request() -> None:
    found = request(
        Hostname="webh",
        User="0:0",
        Tty=True,
        OpenStdin=True,
        StdinOnce=True,
        AttachStdin=True,
        Env=["A=b"],
        Entrypoint=["sh"],
        Cmd=["-c", "true"],
        WorkingDir="/tmp",
        Labels={"k": "v"},
        StopSignal="SIGINT",
        StopTimeout=3,
        ExposedPorts={"7000/tcp": {}, "80/tcp": {}},
        HostConfig={
            "Binds": ["/src:/rec:ro", "/a:/b"],
            "Tmpfs": {"/scratch": "size=1m,mode=1777"},
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "ExtraHosts": ["h1:1.2.3.4"],
            "Dns": ["127.0.0.9"],
            "DnsSearch": ["x.test"],
            "DnsOptions": ["ndots:1"],
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["ALL"],
            "Privileged": True,
            "ReadonlyRootfs": True,
            "Sysctls": {"net.ipv4.ip_forward": "1"},
            "ShmSize": 1 << 20,
            "Mounts": [{"Type": "bind", "Source": "/m", "Target": "/n", "ReadOnly": True}],
        },
    )
    assert found == CreateContainer(
        name="c1",
        rootfs="/rootfs",
        argv=("sh", "-c", "true"),
        entrypoint=1,
        env=("A=b",),
        workdir="/tmp",
        user="0:0",
        hostname="webh",
        tty=True,
        open_stdin=True,
        stdin_once=True,
        attach=(True, True, True),
        labels={"k": "v"},
        mode="default",
        endpoints=(EndpointRequest("default"),),
        publish=("8080:80/tcp",),
        exposed=("7000/tcp", "80/tcp"),
        dns=("127.0.0.9",),
        dns_search=("x.test",),
        dns_options=("ndots:1",),
        extra_hosts=("h1:1.2.3.4",),
        mounts=(
            Mount(MountKind.BIND, "/rec", "/src", read_only=True, create=True),
            Mount(MountKind.BIND, "/b", "/a", create=True),
            Mount(MountKind.TMPFS, "/scratch", options=("size=1m", "mode=1777")),
            Mount(MountKind.BIND, "/n", "/m", read_only=True, detailed=True),
        ),
        cap_add=("NET_ADMIN",),
        cap_drop=("ALL",),
        privileged=True,
        read_only=True,
        sysctls={"net.ipv4.ip_forward": "1"},
        shm_size=1 << 20,
        stop_signal="SIGINT",
        stop_timeout=3,
        auto_remove=True,
    )


def test_the_modes_network_comes_first() -> None:
    endpoints = {"b": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}, "a": None, "c": {"GwPriority": 2}}
    found = request(
        HostConfig={"NetworkMode": "c"}, NetworkingConfig={"EndpointsConfig": endpoints}, MacAddress="02:00:00:00:00:01"
    )
    assert found.mode == "c"
    assert list(found.endpoints) == [
        EndpointRequest("c", gw_priority=2, mac_address="02:00:00:00:00:01"),
        EndpointRequest("b", ipv4_address="10.0.0.9"),
        EndpointRequest("a"),
    ]


def test_publish_all_publishes_what_is_exposed() -> None:
    found = request(
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        HostConfig={"PublishAllPorts": True, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
    )
    assert sorted(found.publish) == ["53/udp", "8080:80/tcp"]


@pytest.mark.parametrize(
    ("bindings", "texts"),
    [
        ({"80/tcp": [{}]}, ["80/tcp"]),
        ({"80/tcp": None}, ["80/tcp"]),
        ({"80/tcp": []}, ["80/tcp"]),
        ({"80": [{"HostPort": "8080"}]}, ["8080:80/tcp"]),
        ({"80/tcp": [{"HostPort": "0"}], "81/tcp": [{"HostPort": "1"}]}, ["0:80/tcp", "1:81/tcp"]),
        ({"80/tcp": [{"HostPort": "8000-8010"}]}, ["8000-8010:80/tcp"]),
        ({"81/udp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}]}, ["127.0.0.1:8081:81/udp"]),
        ({"81/tcp": [{"HostIp": "127.0.0.1"}]}, ["127.0.0.1::81/tcp"]),
        ({"81/tcp": [{"HostIp": "::1", "HostPort": "8081"}]}, ["[::1]:8081:81/tcp"]),
        ({f"{n}/tcp": [{"HostPort": str(n)}] for n in range(9000, 9003)}, ["9000-9002:9000-9002/tcp"]),
        (
            {"1/tcp": [{"HostPort": "11"}, {"HostPort": "21"}], "2/tcp": [{"HostPort": "12"}, {"HostPort": "25"}]},
            ["11-12:1-2/tcp", "21:1/tcp", "25:2/tcp"],
        ),
    ],
)
def test_bindings_become_the_texts_people_type(bindings: dict[str, Any], texts: list[str]) -> None:
    found = {
        port: None
        if hosts is None
        else [PortBody(host_ip=h.get("HostIp", ""), host_port=h.get("HostPort", "")) for h in hosts]
        for port, hosts in bindings.items()
    }
    assert list(publish_texts(found)) == texts


_BINDINGS = st.dictionaries(
    st.tuples(st.integers(1, 40), st.sampled_from(["tcp", "udp"])).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.lists(
        st.integers(1, 40).map(lambda port: PortBody(host_port=str(port))),
        min_size=1,
        max_size=3,
        unique_by=lambda b: b.host_port,
    ),
    max_size=8,
)


@given(_BINDINGS)
def test_joining_neighbours_loses_nothing(bindings: dict[str, list[PortBody]]) -> None:
    def flat(found: dict[str, list[PortBody]]) -> list[tuple[str, str]]:
        return sorted((port, body.host_port) for port, bodies in found.items() for body in bodies)

    assert flat(wished_bindings(publish_texts(bindings))) == flat(bindings)


@pytest.mark.parametrize("port", ["0/tcp", "x/tcp", "80/icmp", "70000", "", "80-70/tcp", "1:2"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(InvalidError, match="invalid"):
        publish_texts({port: [PortBody()]})


def test_exposed_ranges_are_spelled_out() -> None:
    assert exposed_ports(["80", "7000-7002/udp", "80/tcp"]) == ("80/tcp", "7000/udp", "7001/udp", "7002/udp")


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1", "busybox:1"),
        ("host:5000/x", "host:5000/x:latest"),
        ("x@sha256:00", "x@sha256:00"),
    ],
)
def test_an_image_is_not_found(image: str, shown: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        container_request("", ContainerCreate(image=image, cmd=["true"]))
    assert caught.value.message == f"No such image: {shown}"


def test_an_empty_body_is_refused() -> None:
    with pytest.raises(InvalidError, match="Config cannot be empty in order to create a container"):
        container_request("", ContainerCreate())


@pytest.mark.parametrize("bind", ["a", "a:", ":b", "/a:/b:ro:x", "/a:/b:odd"])
def test_a_bind_that_cannot_be_is_refused(bind: str) -> None:
    with pytest.raises(InvalidError):
        request(HostConfig={"Binds": [bind]})


def test_what_has_no_effect_is_said() -> None:
    body = json.loads(SENT.read_text())
    every = frozenset(Resources.__dataclass_fields__)
    assert warnings(parse(json.dumps(body).encode(), ContainerCreate), every) == []
    body["HostConfig"] |= {"KernelMemory": 1 << 26, "BlkioWeight": 100, "Memory": 1 << 26}
    sent = parse(json.dumps(body).encode(), ContainerCreate)
    assert warnings(sent, frozenset({"blkio_weight"})) == [
        "limits of kernel memory are not supported: ignored",
        "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
    ]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"Runtime": "nope"}, "unknown or invalid runtime name: nope"),
        ({"LogConfig": {"Type": "foo"}}, 'error looking up logging plugin foo: plugin "foo" not found'),
        (
            {"LogConfig": {"Type": "syslog"}},
            "logging driver syslog is not supported: expected json-file, local, none",
        ),
        (
            {"StorageOpt": {"size": "1G"}},
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_docker_s_words(host: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        request(HostConfig=host)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("driver", "options", "ineffective"),
    [
        ("json-file", {"max-size": "1m", "max-file": "3", "compress": "false", "mode": "blocking"}, []),
        ("json-file", {"max-size": "1m", "max-file": "3", "compress": "true", "tag": "x"}, ["compress", "tag"]),
        ("local", {"mode": "non-blocking", "max-buffer-size": "4m"}, ["max-buffer-size", "mode"]),
        ("none", {}, []),
    ],
)
def test_only_options_of_the_log_without_effect_are_warned_of(
    driver: str, options: dict[str, str], ineffective: list[str]
) -> None:
    body = json.loads(SENT.read_text())
    body["HostConfig"]["LogConfig"] = {"Type": driver, "Config": options}
    said = warnings(parse(json.dumps(body).encode(), ContainerCreate), frozenset())
    assert said == [f"the log option {name} has no effect: ignored" for name in ineffective]


def test_publishing_everything_takes_a_network_of_its_own() -> None:
    text = "conflicting options: port publishing and the container type network mode"
    with pytest.raises(InvalidError, match=text):
        request(HostConfig={"PublishAllPorts": True, "NetworkMode": "container:x"})


def test_what_is_said_of_an_endpoint_reaches_the_request() -> None:
    settings = {"IPAMConfig": {"LinkLocalIPs": ["169.254.8.9"]}, "DriverOpts": {"a": "b"}}
    config = {"EndpointsConfig": {"n1": settings}}
    (found,) = request(HostConfig={"NetworkMode": "n1"}, NetworkingConfig=config).endpoints
    assert (found.link_local, found.driver_opts) == (("169.254.8.9",), (("a", "b"),))


def test_sysctls_of_an_interface_are_refused_rather_than_forgotten() -> None:
    settings = {"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"}}
    with pytest.raises(InvalidError, match="is not supported"):
        request(HostConfig={"NetworkMode": "n1"}, NetworkingConfig={"EndpointsConfig": {"n1": settings}})

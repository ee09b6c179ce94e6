"""`docker network …`, with what Docker prints and how it ends."""

import time

import pytest

from tests.clients.machine import DockerMachine


async def test_version_and_info(machine: DockerMachine) -> None:
    await machine.serve()
    version = (await machine.docker("version", "--format", "{{json .Server}}")).json
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Os"]) == ("1.51", "1.24", "linux")
    info = await machine.docker("info", "--format", "{{json .}}")
    assert info.status == 0 and info.json["DockerRootDir"] == str(machine.root / "data")
    assert info.json["Swarm"]["LocalNodeState"] == "inactive" and not info.json.get("ServerErrors")


async def test_a_network_from_creation_to_removal(machine: DockerMachine) -> None:
    await machine.serve()
    created = await machine.docker("network", "create", "n1")
    assert created.status == 0 and len(created.out) == 64
    shown = (await machine.docker("network", "inspect", "n1")).json[0]
    assert shown["Id"] == created.out and shown["IPAM"]["Config"] == [
        {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}
    ]
    assert await machine.site.succeeds("ip", "link", "show", f"br-{created.out[:12]}")
    listed = (await machine.docker("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")).out
    assert sorted(listed.splitlines()) == [
        "bridge bridge local",
        "host host local",
        "n1 bridge local",
        "none null local",
    ]
    removed = await machine.docker("network", "rm", "n1")
    assert (removed.status, removed.out) == (0, "n1")
    assert not await machine.site.succeeds("ip", "link", "show", f"br-{created.out[:12]}")


async def test_every_flag_of_create(machine: DockerMachine) -> None:
    await machine.serve()
    flags = (
        "--driver bridge --subnet 10.77.0.0/24 --gateway 10.77.0.1 --ip-range 10.77.0.128/25 --aux-address h=10.77.0.5 "
        "--internal --attachable --label k=v -o com.docker.network.bridge.name=brn2 "
        "-o com.docker.network.driver.mtu=1400"
    )
    assert (await machine.docker("network", "create", *flags.split(), "n2")).status == 0
    shown = (await machine.docker("network", "inspect", "n2")).json[0]
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.77.0.0/24",
            "IPRange": "10.77.0.128/25",
            "Gateway": "10.77.0.1",
            "AuxiliaryAddresses": {"h": "10.77.0.5"},
        }
    ]
    assert shown["Internal"] is True and shown["Labels"] == {"k": "v"}
    both = await machine.docker(
        "network", "create", "--ipv6", "--subnet", "fd00:77::/64", "--subnet", "10.78.0.0/24", "n6"
    )
    assert both.status == 0
    assert await machine.docker("network", "ls", "-q", "--filter", "label=k=v", "--filter", "name=n2") == (
        await machine.docker("network", "ls", "-q", "--filter", "id=" + shown["Id"])
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("network create bridge", "operation is not permitted on predefined bridge network"),
        ("network create -d host h2", 'only one instance of "host" network is allowed'),
        ("network create --driver nosuch nx", 'plugin "nosuch" not found'),
        ("network create -d overlay ov1", "This node is not a swarm manager."),
        ("network inspect nosuch", "nosuch"),
        ("network rm bridge", "bridge is a pre-defined network and cannot be removed"),
        ("network connect nosuch c1", "network nosuch not found"),
        ("network connect bridge nosuch", "No such container: nosuch"),
        ("start nosuch", "No such container: nosuch"),
        ("inspect nosuch", "No such object: nosuch"),
    ],
)
async def test_what_is_refused_is_said_in_one_sentence(words: str, message: str, machine: DockerMachine) -> None:
    await machine.serve()
    refused = await machine.docker(*words.split())
    assert refused.status == 1 and message in refused.err and "{" not in refused.err


async def test_a_running_container_is_connected_and_disconnected(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--subnet", "10.77.0.0/24", "n2")
    id = await machine.create("c1", "sleep", "1000")
    await machine.docker("start", "c1")
    assert (await machine.docker("network", "connect", "--ip", "10.77.0.9", "n2", "c1")).status == 0
    again = await machine.docker("network", "connect", "n2", "c1")
    assert "endpoint with name c1 already exists in network n2" in again.err
    shown = (await machine.docker("network", "inspect", "n2")).json[0]["Containers"][id]
    assert (shown["Name"], shown["IPv4Address"]) == ("c1", "10.77.0.9/24")
    assert "10.77.0.9" in (await machine.docker("exec", "c1", "ip", "addr")).out
    busy = await machine.docker("network", "rm", "n2")
    assert busy.status == 1 and "network n2 has active endpoints" in busy.err
    assert (await machine.docker("network", "disconnect", "n2", "c1")).status == 0
    assert "10.77.0.9" not in (await machine.docker("exec", "c1", "ip", "addr")).out
    assert (await machine.docker("network", "prune", "-f")).out.splitlines()[-1] == "n2"


async def test_who_leaves_the_network_none_can_join_others_for_good(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--subnet", "10.77.0.0/24", "n2")
    await machine.create("c1", "sleep", "1000", HostConfig={"NetworkMode": "none"})
    await machine.docker("start", "c1")
    assert (await machine.docker("network", "connect", "n2", "c1")).status == 1
    assert (await machine.docker("network", "disconnect", "none", "c1")).status == 0
    assert (await machine.docker("network", "connect", "n2", "c1")).status == 0
    assert "10.77.0.2/24" in (await machine.docker("exec", "c1", "ip", "addr")).out
    assert "127.0.0.11" in (await machine.docker("exec", "c1", "cat", "/etc/resolv.conf")).out
    assert (await machine.docker("restart", "-t", "0", "c1")).status == 0
    assert "10.77.0.2/24" in (await machine.docker("exec", "c1", "ip", "addr")).out


async def test_what_is_asked_of_an_interface_is_given(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "-o", "com.docker.network.container_iface_prefix=lan", "n2")
    settings = {"IPAMConfig": {"LinkLocalIPs": ["169.254.8.9"]}, "DriverOpts": {"a": "b"}}
    config = {"EndpointsConfig": {"n2": settings}}
    await machine.create("c1", "sleep", "1000", HostConfig={"NetworkMode": "n2"}, NetworkingConfig=config)
    await machine.docker("start", "c1")
    assert "169.254.8.9/16" in (await machine.docker("exec", "c1", "ip", "addr", "show", "lan0")).out
    shown = (await machine.docker("inspect", "c1")).json[0]["NetworkSettings"]["Networks"]["n2"]
    assert {name: shown[name] for name in settings} == settings


async def test_ports_are_shown_while_there_is_a_way_out(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--internal", "inner")
    ports = {"80/tcp": [{"HostPort": "0"}]}
    await machine.create("c1", "sleep", "1000", HostConfig={"NetworkMode": "inner", "PortBindings": ports})
    await machine.docker("start", "c1")
    assert (await machine.docker("port", "c1")).out == ""
    await machine.docker("network", "connect", "bridge", "c1")
    assert (await machine.docker("port", "c1")).out.startswith("80/tcp -> 0.0.0.0:")


async def test_events_look_back_and_end(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "n1")
    await machine.docker("network", "rm", "n1")
    period = ("--since", "10m", "--until", f"{time.time():.6f}")
    shown = ("--filter", "type=network", "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    assert (await machine.docker("events", *period, *shown)).out.splitlines() == ["create n1", "destroy n1"]

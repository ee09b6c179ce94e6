"""Containers find each other by name, as users of the docker command see it, with what busybox has to look names up."""

import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from linkspan.cli.names import Entry
from linkspan.kernel.process import spawn
from tests.clients.machine import DockerMachine, Outcome

LINKSPAN = str(Path(__file__).parents[2] / ".venv/bin/linkspan")
SLEEP = ("sleep", "1000")


async def start(
    machine: DockerMachine, name: str, network: str, *argv: str, host: dict[str, Any] | None = None, **fields: Any
) -> str:
    """A container that runs; `Aliases` and `Links` are its endpoint's. Returns its id."""
    endpoint = {key: fields.pop(key) for key in ("Aliases", "Links") if key in fields}
    id = await machine.create(
        name,
        *(argv or SLEEP),
        HostConfig={"NetworkMode": network, **(host or {})},
        NetworkingConfig={"EndpointsConfig": {network: endpoint}} if endpoint else {},
        **fields,
    )
    started = await machine.docker("start", name)
    assert started.status == 0, started.err
    return id


async def lookup(machine: DockerMachine, container: str, name: str) -> set[str]:
    """What nslookup inside a container finds; nothing when it fails."""
    found = await machine.docker("exec", container, "busybox", "nslookup", name)
    if found.status:
        return set()
    lines = found.out.splitlines()[2:]  # behind the server's own address
    return {line.split()[-1] for line in lines if line.startswith("Address:") or "name = " in line}


async def address(machine: DockerMachine, container: str, network: str) -> str:
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    return (await machine.docker("inspect", "--format", form, container)).out


async def linkspan(machine: DockerMachine, *words: str) -> Outcome:
    return await machine.run("env", f"LINKSPAN_HOST=unix://{machine.socket}", LINKSPAN, *words)


async def test_a_container_is_found_by_each_of_its_names(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "shop")
    id = await start(machine, "db", "shop", Aliases=["store", "*.web"], Hostname="dbhost")
    await start(machine, "web", "shop")
    where = {await address(machine, "db", "shop")}
    for name in ("db", "DB", "store", id[:12], "dbhost", "db.shop", "store.shop", "a.web"):
        assert await lookup(machine, "web", name) == where, name
    assert await lookup(machine, "web", where.copy().pop()) == {"db.shop"}
    assert (await machine.docker("exec", "web", "ping", "-c1", "-w30", "db")).status == 0
    names = await machine.docker("inspect", "--format", "{{json .NetworkSettings.Networks.shop}}", "db")
    assert names.json["Aliases"] == ["store", "*.web"]
    assert names.json["DNSNames"] == ["db", "store", "*.web", id[:12], "dbhost"]


async def test_a_page_is_fetched_by_name_over_both_families(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "six")
    (machine.rootfs / "www").mkdir()
    (machine.rootfs / "www/index.html").write_text("a page")
    await start(machine, "site", "six", "httpd", "-f", "-h", "/www")
    await start(machine, "web", "six")
    assert await lookup(machine, "web", "site") == {await address(machine, "site", "six"), "fd00:77::2"}
    fetch = "until wget -qO- http://site/ 2>/dev/null; do sleep 0.1; done"
    assert (await machine.docker("exec", "web", "sh", "-c", fetch)).out == "a page"
    assert (await machine.docker("exec", "web", "ping", "-6", "-c1", "-w30", "site")).status == 0


async def test_names_come_and_go_with_their_container(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--internal", "shop")
    await start(machine, "db", "shop", Aliases=["store"])
    await start(machine, "web", "shop")
    await machine.docker("stop", "-t", "0", "db")
    assert await lookup(machine, "web", "db") == set() == await lookup(machine, "web", "store")
    await machine.docker("start", "db")
    assert await lookup(machine, "web", "db") == {await address(machine, "db", "shop")}
    await machine.docker("rename", "db", "base")
    assert await lookup(machine, "web", "base") == {await address(machine, "base", "shop")}
    assert await lookup(machine, "web", "db") == set()


async def test_joining_and_leaving_a_network_changes_what_is_found(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "shop")
    await start(machine, "db", "shop")
    await start(machine, "web", "bridge")
    before = (await machine.docker("exec", "web", "cat", "/etc/hosts", "/etc/resolv.conf")).out
    assert "127.0.0.11" not in before and "172.17.0.1\thost.docker.internal" in before
    connected = await machine.docker("network", "connect", "--alias", "front", "shop", "web")
    assert connected.status == 0
    assert "nameserver 127.0.0.11" in (await machine.docker("exec", "web", "cat", "/etc/resolv.conf")).out
    assert await lookup(machine, "web", "db") == {await address(machine, "db", "shop")}
    assert await lookup(machine, "db", "front") == {await address(machine, "web", "shop")}
    await machine.docker("network", "disconnect", "shop", "web")
    assert (await machine.docker("exec", "web", "cat", "/etc/hosts", "/etc/resolv.conf")).out == before


async def test_a_resolver_file_that_was_edited_stays_as_it_is(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "shop")
    await start(machine, "web", "bridge")
    await machine.docker("exec", "web", "sh", "-c", "echo nameserver 192.0.2.9 > /etc/resolv.conf")
    await machine.docker("network", "connect", "shop", "web")
    assert (await machine.docker("exec", "web", "cat", "/etc/resolv.conf")).out == "nameserver 192.0.2.9"


async def test_networks_do_not_see_each_others_names(machine: DockerMachine) -> None:
    await machine.serve()
    for network in ("shop", "yard"):
        await machine.docker("network", "create", "--internal", network)
    await start(machine, "db", "yard")
    await start(machine, "web", "shop")
    assert await lookup(machine, "web", "db") == set() == await lookup(machine, "web", "db.yard")


async def test_an_internal_network_asks_nobody_else(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--internal", "shop")
    await start(machine, "db", "shop")
    await start(machine, "web", "shop")
    assert await lookup(machine, "web", "db") == {await address(machine, "db", "shop")}
    traced = (await linkspan(machine, "dns", "trace", "web", "elsewhere.example", "--json")).json
    assert not any("upstream" in step["Where"] for step in traced["Steps"]), traced


async def test_a_link_is_a_name_of_one_container_alone(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--internal", "shop")
    await start(machine, "db", "shop")
    await start(machine, "web", "shop", Links=["db:database"])
    await start(machine, "other", "shop")
    assert await lookup(machine, "web", "database") == {await address(machine, "db", "shop")}
    assert await lookup(machine, "other", "database") == set()
    links = "{{json .NetworkSettings.Networks.shop.Links}} {{json .HostConfig.Links}}"
    assert (await machine.docker("inspect", "--format", links, "web")).out == '["db:database"] null'


async def test_a_link_on_the_default_network_is_in_the_hosts_file(machine: DockerMachine) -> None:
    await machine.serve()
    await start(machine, "db", "bridge", Hostname="dbhost")
    await start(machine, "web", "bridge", host={"Links": ["db:database"]})
    line = f"{await address(machine, 'db', 'bridge')}\tdatabase dbhost db"
    assert line in (await machine.docker("exec", "web", "cat", "/etc/hosts")).out.splitlines()
    assert (await machine.docker("exec", "web", "ping", "-c1", "-w30", "database")).status == 0
    assert (await machine.docker("inspect", "--format", "{{json .HostConfig.Links}}", "web")).json == [
        "/db:/web/database"
    ]
    await machine.docker("stop", "-t", "0", "db")
    await start(machine, "between", "bridge")  # it has the address by now
    await machine.docker("start", "db")
    assert (await machine.docker("exec", "web", "ping", "-c1", "-w30", "database")).status == 0
    await machine.docker("stop", "-t", "0", "web", "db")
    refused = await machine.docker("start", "web")
    assert refused.status == 1 and "Cannot link to a non running container: /db AS /web/database" in refused.err
    assert (await machine.docker("rm", "--link", "/web/database")).status == 0
    assert (await machine.docker("start", "web")).status == 0


NAME_SERVER = """
import socket, sys
import dns.flags, dns.message, dns.rrset
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    data, client = server.recvfrom(4096)
    reply = dns.message.make_response(dns.message.from_wire(data))
    question = reply.question[0]
    if question.name.to_text() != "far.example.":
        reply.set_rcode(3)
    elif question.rdtype == 1:
        reply.answer = [dns.rrset.from_text(question.name, 60, "IN", "A", "192.0.2.77")]
    server.sendto(reply.to_wire(), client)
"""


async def test_servers_of_a_containers_own_are_asked_from_inside(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--internal", "--subnet", "10.66.0.0/24", "shop")
    await start(machine, "ns", "shop")
    inside = Path((await machine.docker("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "ns")).out)
    argv = [sys.executable, "-c", NAME_SERVER, "10.66.0.2"]
    server = await spawn(argv, inside, stdin=DEVNULL, stdout=PIPE)
    try:
        assert server.stdout is not None and await server.stdout.readline() == b"ready\n"
        own = {"Dns": ["10.66.0.2"], "DnsSearch": ["example"], "DnsOptions": ["ndots:1"]}
        await start(machine, "web", "shop", host=own)
        assert await lookup(machine, "web", "far.example") == {"192.0.2.77"}
        assert await lookup(machine, "web", "ns.shop") == {"10.66.0.2"}
        assert (await machine.docker("exec", "web", "ping", "-c1", "-w30", "ns")).status == 0
    finally:
        server.kill()
        await server.wait()
    shown = (await machine.docker("exec", "web", "cat", "/etc/resolv.conf")).out
    assert "nameserver 127.0.0.11\nsearch example\noptions ndots:1\n" in shown
    assert "# ExtServers: [10.66.0.2]\n# Overrides: [nameservers search options]" in shown


async def test_the_host_has_a_name_on_every_network(machine: DockerMachine) -> None:
    await machine.serve()
    await machine.docker("network", "create", "--subnet", "10.66.0.0/24", "shop")
    await start(machine, "one", "shop")
    await start(machine, "two", "bridge", host={"ExtraHosts": ["quay:host-gateway"]})
    await start(machine, "three", "host")
    for container, name in (("one", "host.docker.internal"), ("two", "host.docker.internal"), ("two", "quay")):
        pinged = await machine.docker("exec", container, "ping", "-c1", "-w30", name)
        assert pinged.status == 0, (container, name, pinged)
    assert (await machine.docker("exec", "three", "ping", "-c1", "-w30", "host.docker.internal")).status == 0
    assert await lookup(machine, "one", "host.docker.internal") == {"10.66.0.1"}


async def test_the_machine_finds_containers_too(machine: DockerMachine) -> None:
    await machine.serve("--host-dns", "127.0.0.76")
    await machine.docker("network", "create", "shop")
    await start(machine, "db", "shop")
    found = await machine.run("busybox", "nslookup", "db.shop.linkspan", "127.0.0.76")
    assert f"Address: {await address(machine, 'db', 'shop')}" in found.out
    refused = await machine.run("busybox", "nslookup", "elsewhere.example", "127.0.0.76")
    assert "REFUSED" in refused.out + refused.err
    assert "nameserver 127.0.0.76" in (await linkspan(machine, "dns", "hook")).out


async def test_records_of_a_network_by_label_and_by_command(machine: DockerMachine) -> None:
    await machine.serve()
    created = await machine.docker("network", "create", "--label", "linkspan.dns/legacy=60 A 192.0.2.5", "shop")
    assert created.status == 0, created.err
    await start(machine, "web", "shop")
    assert await lookup(machine, "web", "legacy") == {"192.0.2.5"}
    added = await linkspan(machine, "network", "records", "shop", "--add", "me CNAME web", "--rm", "legacy", "--json")
    assert [Entry(r["Name"], r["TTL"], r["Type"], r["Value"]) for r in added.json["Records"]] == [
        Entry("me", 600, "CNAME", "web")
    ]
    assert await address(machine, "web", "shop") in await lookup(machine, "web", "me")
    traced = await linkspan(machine, "dns", "trace", "web", "me")
    assert traced.status == 0 and "zone shop" in traced.out, traced


async def test_names_are_answered_while_the_daemon_is_dead(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await machine.docker("network", "create", "shop")
    await start(machine, "db", "shop")
    loop = "while sleep 0.1; do busybox nslookup db >/dev/null && echo found || echo lost; done"
    await start(machine, "web", "shop", "sh", "-c", loop)
    helper = (await linkspan(machine, "status", "--format", "{{.DataPlane.Pid}}")).out
    daemon.signal(signal.SIGKILL)
    await daemon.process.wait()
    assert (await machine.run("cat", f"/proc/{helper}/comm")).out == "linkspan-data"
    await machine.serve()
    assert (await linkspan(machine, "status", "--format", "{{.DataPlane.Pid}}")).out == helper
    assert await lookup(machine, "web", "db") == {await address(machine, "db", "shop")}
    said: list[str] = []
    while len(said) < 6:
        said = (await machine.docker("logs", "web")).out.splitlines()
    assert set(said) == {"found"}


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ({"Aliases": ["x"]}, "network-scoped aliases are only supported for user-defined networks"),
        ({"Links": ["x:y"]}, "network-scoped links are only supported for user-defined networks"),
    ],
)
async def test_the_default_network_has_no_names(machine: DockerMachine, endpoint: dict[str, Any], message: str) -> None:
    await machine.serve()
    wanted = {"EndpointsConfig": {"bridge": endpoint}}
    status, answer = await machine.ask_to_create("web", *SLEEP, NetworkingConfig=wanted)
    assert status == 400 and message in answer["message"], answer

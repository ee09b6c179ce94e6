"""Containers find each other by name, as users of the docker command see it, with what busybox has to look names up."""

import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from linkspan.cli.names import Entry
from linkspan.kernel.process import spawn
from tests.clients.harbour import Harbour, Outcome

LINKSPAN = str(Path(__file__).parents[2] / ".venv/bin/linkspan")
SLEEP = ("sleep", "1000")


async def start(
    harbour: Harbour, name: str, network: str, *argv: str, host: dict[str, Any] | None = None, **fields: Any
) -> str:
    """A container that runs; `Aliases` and `Links` are its endpoint's. Returns its id."""
    endpoint = {key: fields.pop(key) for key in ("Aliases", "Links") if key in fields}
    id = await harbour.create(
        name,
        *(argv or SLEEP),
        HostConfig={"NetworkMode": network, **(host or {})},
        NetworkingConfig={"EndpointsConfig": {network: endpoint}} if endpoint else {},
        **fields,
    )
    started = await harbour.docker("start", name)
    assert started.status == 0, started.err
    return id


async def lookup(harbour: Harbour, container: str, name: str) -> set[str]:
    """What nslookup inside a container finds; nothing when it fails."""
    found = await harbour.docker("exec", container, "busybox", "nslookup", name)
    if found.status:
        return set()
    lines = found.out.splitlines()[2:]  # behind the server's own address
    return {line.split()[-1] for line in lines if line.startswith("Address:") or "name = " in line}


async def address(harbour: Harbour, container: str, network: str) -> str:
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    return (await harbour.docker("inspect", "--format", form, container)).out


async def linkspan(harbour: Harbour, *words: str) -> Outcome:
    return await harbour.run("env", f"LINKSPAN_HOST=unix://{harbour.socket}", LINKSPAN, *words)


async def test_a_container_is_found_by_each_of_its_names(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "shop")
    id = await start(harbour, "db", "shop", Aliases=["store", "*.web"], Hostname="dbhost")
    await start(harbour, "web", "shop")
    where = {await address(harbour, "db", "shop")}
    for name in ("db", "DB", "store", id[:12], "dbhost", "db.shop", "store.shop", "a.web"):
        assert await lookup(harbour, "web", name) == where, name
    assert await lookup(harbour, "web", where.copy().pop()) == {"db.shop"}
    assert (await harbour.docker("exec", "web", "ping", "-c1", "-w5", "db")).status == 0
    names = await harbour.docker("inspect", "--format", "{{json .NetworkSettings.Networks.shop}}", "db")
    assert names.json["Aliases"] == ["store", "*.web"]
    assert names.json["DNSNames"] == ["db", "store", "*.web", id[:12], "dbhost"]


async def test_a_page_is_fetched_by_name_over_both_families(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "six")
    (harbour.rootfs / "www").mkdir()
    (harbour.rootfs / "www/index.html").write_text("a page")
    await start(harbour, "site", "six", "httpd", "-f", "-h", "/www")
    await start(harbour, "web", "six")
    assert await lookup(harbour, "web", "site") == {await address(harbour, "site", "six"), "fd00:77::2"}
    assert (await harbour.docker("exec", "web", "wget", "-qO-", "http://site/")).out == "a page"
    assert (await harbour.docker("exec", "web", "ping", "-6", "-c1", "-w5", "site")).status == 0


async def test_names_come_and_go_with_their_container(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--internal", "shop")
    await start(harbour, "db", "shop", Aliases=["store"])
    await start(harbour, "web", "shop")
    await harbour.docker("stop", "-t", "0", "db")
    assert await lookup(harbour, "web", "db") == set() == await lookup(harbour, "web", "store")
    await harbour.docker("start", "db")
    assert await lookup(harbour, "web", "db") == {await address(harbour, "db", "shop")}
    await harbour.docker("rename", "db", "base")
    assert await lookup(harbour, "web", "base") == {await address(harbour, "base", "shop")}
    assert await lookup(harbour, "web", "db") == set()


async def test_joining_and_leaving_a_network_changes_what_is_found(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "shop")
    await start(harbour, "db", "shop")
    await start(harbour, "web", "bridge")
    before = (await harbour.docker("exec", "web", "cat", "/etc/hosts", "/etc/resolv.conf")).out
    assert "127.0.0.11" not in before and "172.17.0.1\thost.docker.internal" in before
    connected = await harbour.docker("network", "connect", "--alias", "front", "shop", "web")
    assert connected.status == 0
    assert "nameserver 127.0.0.11" in (await harbour.docker("exec", "web", "cat", "/etc/resolv.conf")).out
    assert await lookup(harbour, "web", "db") == {await address(harbour, "db", "shop")}
    assert await lookup(harbour, "db", "front") == {await address(harbour, "web", "shop")}
    await harbour.docker("network", "disconnect", "shop", "web")
    assert (await harbour.docker("exec", "web", "cat", "/etc/hosts", "/etc/resolv.conf")).out == before


async def test_a_resolver_file_that_was_edited_stays_as_it_is(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "shop")
    await start(harbour, "web", "bridge")
    await harbour.docker("exec", "web", "sh", "-c", "echo nameserver 192.0.2.9 > /etc/resolv.conf")
    await harbour.docker("network", "connect", "shop", "web")
    assert (await harbour.docker("exec", "web", "cat", "/etc/resolv.conf")).out == "nameserver 192.0.2.9"


async def test_networks_do_not_see_each_others_names(harbour: Harbour) -> None:
    await harbour.serve()
    for network in ("shop", "yard"):
        await harbour.docker("network", "create", "--internal", network)
    await start(harbour, "db", "yard")
    await start(harbour, "web", "shop")
    assert await lookup(harbour, "web", "db") == set() == await lookup(harbour, "web", "db.yard")


async def test_an_internal_network_asks_nobody_else(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--internal", "shop")
    await start(harbour, "db", "shop")
    await start(harbour, "web", "shop")
    assert await lookup(harbour, "web", "db") == {await address(harbour, "db", "shop")}
    traced = (await linkspan(harbour, "dns", "trace", "web", "elsewhere.example", "--json")).json
    assert not any("upstream" in step["Where"] for step in traced["Steps"]), traced


async def test_a_link_is_a_name_of_one_container_alone(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--internal", "shop")
    await start(harbour, "db", "shop")
    await start(harbour, "web", "shop", Links=["db:database"])
    await start(harbour, "other", "shop")
    assert await lookup(harbour, "web", "database") == {await address(harbour, "db", "shop")}
    assert await lookup(harbour, "other", "database") == set()
    links = "{{json .NetworkSettings.Networks.shop.Links}} {{json .HostConfig.Links}}"
    assert (await harbour.docker("inspect", "--format", links, "web")).out == '["db:database"] null'


async def test_a_link_on_the_default_network_is_in_the_hosts_file(harbour: Harbour) -> None:
    await harbour.serve()
    await start(harbour, "db", "bridge", Hostname="dbhost")
    await start(harbour, "web", "bridge", host={"Links": ["db:database"]})
    line = f"{await address(harbour, 'db', 'bridge')}\tdatabase dbhost db"
    assert line in (await harbour.docker("exec", "web", "cat", "/etc/hosts")).out.splitlines()
    assert (await harbour.docker("exec", "web", "ping", "-c1", "-w5", "database")).status == 0
    assert (await harbour.docker("inspect", "--format", "{{json .HostConfig.Links}}", "web")).json == [
        "/db:/web/database"
    ]
    await harbour.docker("stop", "-t", "0", "db")
    await start(harbour, "between", "bridge")  # it has the address by now
    await harbour.docker("start", "db")
    assert (await harbour.docker("exec", "web", "ping", "-c1", "-w5", "database")).status == 0
    await harbour.docker("stop", "-t", "0", "web", "db")
    refused = await harbour.docker("start", "web")
    assert refused.status == 1 and "Cannot link to a non running container: /db AS /web/database" in refused.err
    assert (await harbour.docker("rm", "--link", "/web/database")).status == 0
    assert (await harbour.docker("start", "web")).status == 0


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


async def test_servers_of_a_containers_own_are_asked_from_inside(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--internal", "--subnet", "10.66.0.0/24", "shop")
    await start(harbour, "ns", "shop")
    inside = Path((await harbour.docker("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "ns")).out)
    argv = [sys.executable, "-c", NAME_SERVER, "10.66.0.2"]
    server = await spawn(argv, inside, stdin=DEVNULL, stdout=PIPE)
    try:
        assert server.stdout is not None and await server.stdout.readline() == b"ready\n"
        own = {"Dns": ["10.66.0.2"], "DnsSearch": ["example"], "DnsOptions": ["ndots:1"]}
        await start(harbour, "web", "shop", host=own)
        assert await lookup(harbour, "web", "far.example") == {"192.0.2.77"}
        assert await lookup(harbour, "web", "ns.shop") == {"10.66.0.2"}
        assert (await harbour.docker("exec", "web", "ping", "-c1", "-w5", "ns")).status == 0
    finally:
        server.kill()
        await server.wait()
    shown = (await harbour.docker("exec", "web", "cat", "/etc/resolv.conf")).out
    assert "nameserver 127.0.0.11\nsearch example\noptions ndots:1\n" in shown
    assert "# ExtServers: [10.66.0.2]\n# Overrides: [nameservers search options]" in shown


async def test_the_host_has_a_name_on_every_network(harbour: Harbour) -> None:
    await harbour.serve()
    await harbour.docker("network", "create", "--subnet", "10.66.0.0/24", "shop")
    await start(harbour, "one", "shop")
    await start(harbour, "two", "bridge", host={"ExtraHosts": ["quay:host-gateway"]})
    await start(harbour, "three", "host")
    for container, name in (("one", "host.docker.internal"), ("two", "host.docker.internal"), ("two", "quay")):
        pinged = await harbour.docker("exec", container, "ping", "-c1", "-w5", name)
        assert pinged.status == 0, (container, name, pinged)
    assert (await harbour.docker("exec", "three", "ping", "-c1", "-w5", "host.docker.internal")).status == 0
    assert await lookup(harbour, "one", "host.docker.internal") == {"10.66.0.1"}


async def test_the_machine_finds_containers_too(harbour: Harbour) -> None:
    await harbour.serve("--host-dns", "127.0.0.76")
    await harbour.docker("network", "create", "shop")
    await start(harbour, "db", "shop")
    found = await harbour.run("busybox", "nslookup", "db.shop.linkspan", "127.0.0.76")
    assert f"Address: {await address(harbour, 'db', 'shop')}" in found.out
    refused = await harbour.run("busybox", "nslookup", "elsewhere.example", "127.0.0.76")
    assert "REFUSED" in refused.out + refused.err
    assert "nameserver 127.0.0.76" in (await linkspan(harbour, "dns", "hook")).out


async def test_records_of_a_network_by_label_and_by_command(harbour: Harbour) -> None:
    await harbour.serve()
    created = await harbour.docker("network", "create", "--label", "linkspan.dns/legacy=60 A 192.0.2.5", "shop")
    assert created.status == 0, created.err
    await start(harbour, "web", "shop")
    assert await lookup(harbour, "web", "legacy") == {"192.0.2.5"}
    added = await linkspan(harbour, "network", "records", "shop", "--add", "me CNAME web", "--rm", "legacy", "--json")
    assert [Entry(r["Name"], r["TTL"], r["Type"], r["Value"]) for r in added.json["Records"]] == [
        Entry("me", 600, "CNAME", "web")
    ]
    assert await address(harbour, "web", "shop") in await lookup(harbour, "web", "me")
    traced = await linkspan(harbour, "dns", "trace", "web", "me")
    assert traced.status == 0 and "zone shop" in traced.out, traced


async def test_names_are_answered_while_the_daemon_is_dead(harbour: Harbour) -> None:
    daemon = await harbour.serve()
    await harbour.docker("network", "create", "shop")
    await start(harbour, "db", "shop")
    loop = "while sleep 0.1; do busybox nslookup db >/dev/null && echo found || echo lost; done"
    await start(harbour, "web", "shop", "sh", "-c", loop)
    helper = (await linkspan(harbour, "status", "--format", "{{.DataPlane.Pid}}")).out
    daemon.signal(signal.SIGKILL)
    await daemon.process.wait()
    assert (await harbour.run("cat", f"/proc/{helper}/comm")).out == "linkspan-data"
    await harbour.serve()
    assert (await linkspan(harbour, "status", "--format", "{{.DataPlane.Pid}}")).out == helper
    assert await lookup(harbour, "web", "db") == {await address(harbour, "db", "shop")}
    said = (await harbour.docker("logs", "web")).out.splitlines()
    assert len(said) > 5 and set(said) == {"found"}


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ({"Aliases": ["x"]}, "network-scoped aliases are only supported for user-defined networks"),
        ({"Links": ["x:y"]}, "network-scoped links are only supported for user-defined networks"),
    ],
)
async def test_the_default_network_has_no_names(harbour: Harbour, endpoint: dict[str, Any], message: str) -> None:
    await harbour.serve()
    await harbour.create("web", *SLEEP, NetworkingConfig={"EndpointsConfig": {"bridge": endpoint}})
    refused = await harbour.docker("start", "web")
    assert refused.status == 1 and message in refused.err, refused

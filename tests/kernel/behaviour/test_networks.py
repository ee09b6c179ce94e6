"""Networks as processes inside them see them: addresses, links, routes, and who reaches whom."""

import asyncio
import json
import re
import socket
from typing import Any

import pytest

from linkspan import Connect, Disconnect, EndpointRequest, RemoveSandbox, SubnetRequest
from linkspan.plan.objects import mark
from tests.support.packets import Site, ask, bound, no_ping, pings, silent
from tests.support.patience import PATIENCE
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Box, Variant, World, together

MAC = "02:42:ac:11:00:99"
DUAL = {"ipv6": True, "subnets": ["10.5.0.0/24", "fd05::/64"]}

pytestmark = pytest.mark.slow


async def links(site: Site) -> dict[str, dict[str, Any]]:
    """What `ip -details link` says, by name."""
    return {link["ifname"]: link for link in json.loads(await site.run("ip", "-j", "-d", "link"))}


async def default_route(site: Site, version: int = 4) -> tuple[str, str]:
    """Gateway and interface of the default route."""
    (route,) = json.loads(await site.run("ip", "-j", f"-{version}", "route", "show", "default"))
    return route["gateway"], route["dev"]


async def test_addresses_come_in_order_and_the_lowest_free_one_comes_again(world: World) -> None:
    await world.open()
    a, b, c = [await world.box(name) for name in "abc"]
    assert [a.v4, b.v4, c.v4] == ["172.17.0.2", "172.17.0.3", "172.17.0.4"]
    await world.apply(RemoveSandbox("b"))
    d = await world.box("d")
    assert d.v4 == "172.17.0.3"
    assert await together([pings(a, d.v4), pings(c, d.v4), pings(d, "172.17.0.1")]) == [True] * 3


async def test_the_address_is_inside_and_not_on_the_machine(world: World) -> None:
    await world.open()
    a = await world.box("a")
    assert "172.17.0.2/16" in await a.run("ip", "address", "show", "eth0")
    assert "172.17.0.2/" not in await world.machine.run("ip", "address")


async def test_bridges_and_veths_are_named_after_their_ids_and_carry_our_mark(world: World) -> None:
    engine = await world.open()
    shop = await world.network("shop")
    box = await world.box("a", "bridge", "shop")
    seen = await links(world.machine)
    bridge = engine.network("bridge")
    assert set(seen) == {"lo", "eth0", "docker0", f"br-{shop.id[:12]}"} | {
        f"veth{endpoint.id[:7]}" for endpoint in box.value.endpoints
    }
    for network, name in ((bridge, "docker0"), (shop, f"br-{shop.id[:12]}")):
        link = seen[name]
        assert link["ifalias"] == mark(engine.id, "network", network.id)
        assert link["linkinfo"]["info_kind"] == "bridge"
        assert link["linkinfo"]["info_data"]["stp_state"] == 0
    for endpoint, master in zip(box.value.endpoints, ("docker0", f"br-{shop.id[:12]}"), strict=True):
        link = seen[f"veth{endpoint.id[:7]}"]
        assert link["ifalias"] == mark(engine.id, "endpoint", endpoint.id)
        assert link["master"] == master
        assert "link_netnsid" in link and "UP" in link["flags"]


async def test_brctl_lists_exactly_the_veths_of_a_bridge(world: World) -> None:
    await world.open()
    boxes = [await world.box(name) for name in "ab"]
    listing = await world.machine.run(
        "unshare", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && exec brctl show docker0"
    )
    assert set(re.findall(r"veth[0-9a-f]{7}", listing)) == {box.value.endpoints[0].host_ifname for box in boxes}
    assert "yes" not in listing.splitlines()[1]


async def test_the_mtu_of_a_network_holds_at_both_ends(world: World) -> None:
    await world.open()
    await world.network("jumbo", options={"com.docker.network.driver.mtu": "9000"})
    a, b = await world.box("a", "jumbo"), await world.box("b", "jumbo")
    assert (await links(a))["eth0"]["mtu"] == 9000
    assert (await links(world.machine))[a.value.endpoints[0].host_ifname]["mtu"] == 9000
    assert await a.succeeds("ping", "-c", "1", "-W", "30", "-M", "do", "-s", "8972", b.v4)
    assert not await a.succeeds("ping", "-c", "1", "-W", "0.4", "-M", "do", "-s", "8973", b.v4)


async def test_chosen_addresses_and_hardware_addresses_are_used(world: World) -> None:
    await world.open()
    await world.network("shop", **DUAL)
    wish = EndpointRequest("shop", ipv4_address="10.5.0.77", ipv6_address="fd05::77", mac_address=MAC, ifname="lan")
    a, b = await world.box("a", wish), await world.box("b", "shop")
    assert (a.v4, a.v6, b.v4) == ("10.5.0.77", "fd05::77", "10.5.0.2")
    assert (await links(a))["lan"]["address"] == MAC
    assert await together([pings(b, "10.5.0.77"), pings(b, "fd05::77")]) == [True, True]
    assert MAC in await b.run("ip", "neighbour", "show", "10.5.0.77")


async def test_dynamic_addresses_keep_to_the_range_and_off_the_reserved_ones(world: World) -> None:
    await world.open()
    asked = SubnetRequest("10.6.0.0/24", "10.6.0.128/29", "10.6.0.200", {"printer": "10.6.0.129"})
    await world.network("shop", subnets=[asked])
    a, b = await world.box("a", "shop"), await world.box("b", "shop")
    assert (a.v4, b.v4) == ("10.6.0.128", "10.6.0.130")
    assert await default_route(a) == ("10.6.0.200", "eth0")
    assert await together([pings(a, "10.6.0.200"), pings(a, b.v4)]) == [True, True]


async def test_a_dual_stack_network_carries_both_families(world: World) -> None:
    await world.open()
    await world.network("shop", **DUAL)
    a, b = await world.box("a", "shop"), await world.box("b", "shop")
    for version in (4, 6):
        world.serve(b, 80, version=version)
    asked = [ask(a, b.v4, 80), ask(a, b.v6, 80), ask(b, b.v6, 80)]
    assert await together(asked) == [f"b {a.v4}", f"b {a.v6}", f"b {b.v6}"]
    reached = [pings(a, world.neighbour_v4), pings(a, world.neighbour_v6), pings(world.machine, a.v6)]
    assert await together(reached) == [True] * 3


async def test_a_network_of_ipv6_alone_works_without_any_ipv4(world: World) -> None:
    await world.open()
    await world.network("six", ipv4=False, ipv6=True, subnets=["fd06::/64"])
    a, b = await world.box("a", "six", publish=["8080:80"]), await world.box("b", "six")
    world.serve(a, 80, version=6)
    world.serve(world.neighbour, 90, version=6)
    assert [str(i) for i in a.value.endpoints[0].addresses] == ["fd06::2/64"]
    assert "inet " not in await a.run("ip", "address", "show", "eth0")
    asked = [ask(b, a.v6, 80), ask(world.neighbour, world.v6, 8080), ask(a, world.neighbour_v6, 90)]
    assert await together(asked) == [f"a {b.v6}", f"a {world.neighbour_v6}", f"neighbour {world.v6}"]


async def test_an_interface_of_an_ipv4_network_has_no_ipv6_at_all(world: World) -> None:
    await world.open()
    await world.network("six", ipv4=False, ipv6=True, subnets=["fd06::/64"])
    a = await world.box("a", "bridge", "six")
    assert "inet6" not in await a.run("ip", "address", "show", "eth0")
    assert "inet6 fd06::2" in await a.run("ip", "address", "show", "eth1")


async def test_the_default_route_follows_priority_and_then_the_name(world: World) -> None:
    await world.open()
    for number, name in enumerate(("blue", "amber"), 1):
        await world.network(name, subnets=[f"10.{number}.0.0/24"])
    by_name = await world.box("a", "blue", "amber")
    by_priority = await world.box("b", EndpointRequest("blue", gw_priority=1), "amber")
    assert await default_route(by_name) == ("10.2.0.1", "eth1")
    assert await default_route(by_priority) == ("10.1.0.1", "eth0")
    await world.apply(Disconnect("b", "blue"))
    assert await default_route(by_priority) == ("10.2.0.1", "eth1")
    await world.apply(Connect("b", EndpointRequest("blue", gw_priority=-1)))
    assert await default_route(by_priority) == ("10.2.0.1", "eth1")
    reached = [pings(box, world.neighbour_v4) for box in (by_name, by_priority)]
    assert await together(reached) == [True, True]


async def test_each_family_has_its_own_way_out(world: World) -> None:
    await world.open()
    await world.network("four", subnets=["10.4.0.0/24"])
    await world.network("six", ipv4=False, ipv6=True, subnets=["fd06::/64"])
    box = await world.box("a", "four", "six")
    assert await default_route(box, 4) == ("10.4.0.1", "eth0")
    assert await default_route(box, 6) == ("fd06::1", "eth1")
    assert await together([pings(box, world.neighbour_v4), pings(box, world.neighbour_v6)]) == [True, True]


async def test_interfaces_are_numbered_in_the_order_asked_for(world: World) -> None:
    await world.open()
    names = ["pear", "apple", "fig", "date"]
    networks = [await world.network(name) for name in names]
    boxes = [await world.box(f"box{n}", *order) for n, order in enumerate((names, names[::-1]))]
    for box, order in zip(boxes, (networks, networks[::-1]), strict=True):
        inside = json.loads(await box.run("ip", "-j", "-4", "address"))
        seen = {link["ifname"]: link["addr_info"][0]["local"] for link in inside if link["ifname"] != "lo"}
        wanted = {f"eth{n}": network for n, network in enumerate(order)}
        assert list(seen) == list(wanted)
        for name, network in wanted.items():
            assert seen[name].rpartition(".")[0] == str(network.subnets[0].gateway).rpartition(".")[0]


async def test_live_connecting_and_disconnecting_leaves_other_connections_alone(world: World) -> None:
    await world.open()
    await world.network("shop", **DUAL)
    a, b = await world.box("a", "bridge"), await world.box("b", "bridge")
    c = await world.box("c", "shop")
    server = await asyncio.start_server(_echo, sock=bound(b, "0.0.0.0", 7))
    reader, writer = await asyncio.open_connection(sock=await _connected(a, b.v4, 7))
    assert await silent(a, c.v4, 80)
    world.serve(c, 80)
    world.serve(c, 80, version=6)

    await world.apply(Connect("a", "shop"))
    assert await together([ask(a, c.v4, 80), ask(a, c.v6, 80)]) == ["c 10.5.0.3", "c fd05::3"]
    host_end = a.value.endpoints[1].host_ifname
    await world.apply(Disconnect("a", "shop"))
    assert await together([silent(a, c.v4, 80), silent(a, c.v6, 80)]) == [True, True]
    assert set(await links(a)) == {"lo", "eth0"} and host_end not in await links(world.machine)

    writer.write(b"still here\n")
    assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"still here\n"
    writer.close()
    server.close()
    await server.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def _connected(site: Site, address: str, port: int) -> socket.socket:
    client = site.socket(4, socket.SOCK_STREAM)
    await asyncio.get_running_loop().sock_connect(client, (address, port))
    return client


async def test_networks_do_not_reach_each_other_in_either_family(world: World) -> None:
    await world.open(ipv6=True)
    await world.network("shop", **DUAL)
    a, b = await world.box("a", "bridge"), await world.box("b", "shop")
    for box in (a, b):
        for version in (4, 6):
            world.serve(box, 80, version=version)
            world.serve(box, 80, "udp", version)
    closed = [
        silent(one, address, 80, protocol)
        for one, other in ((a, b), (b, a))
        for address in (other.v4, other.v6)
        for protocol in ("tcp", "udp")
    ]
    closed += [no_ping(one, address) for one, other in ((a, b), (b, a)) for address in (other.v4, other.v6)]
    assert await together(closed) == [True] * len(closed)
    # The servers do answer where they may.
    assert await together([ask(a, a.v6, 80), ask(b, b.v4, 80, "udp")]) == [f"a {a.v6}", f"b {b.v4}"]


async def test_a_sandbox_on_two_networks_does_not_join_them(world: World) -> None:
    await world.open()
    await world.network("shop")
    a, b, middle = await world.box("a", "bridge"), await world.box("b", "shop"), await world.box("m", "bridge", "shop")
    assert await together([pings(a, middle.v4), pings(b, middle.address(4, 1))]) == [True, True]
    await a.run("ip", "route", "add", b.v4, "via", middle.v4)
    await b.run("ip", "route", "add", a.v4, "via", middle.address(4, 1))
    assert await no_ping(a, b.v4)


async def test_an_internal_network_has_no_way_out_and_none_in(world: World) -> None:
    await world.open(ipv6=True)
    await world.network("inner", internal=True, **DUAL)
    a, b = await world.box("a", "inner"), await world.box("b", "inner", publish=["8081:80"])
    web = await world.box("web", "bridge", publish=["8080:80"])
    for site in (b, web, world.neighbour):
        for version in (4, 6):
            world.serve(site, 80, version=version)
    # Someone inside may set routes as he likes.
    await a.run("ip", "route", "add", "default", "via", "10.5.0.1")
    await a.run("ip", "-6", "route", "add", "default", "via", "fd05::1")
    assert await together([ask(a, b.v4, 80), ask(a, b.v6, 80)]) == [f"b {a.v4}", f"b {a.v6}"]
    hosts = [world.v4, world.v6, "10.5.0.1", "fd05::1", "172.17.0.1"]
    closed = [silent(a, address, 80) for address in (web.v4, web.v6, world.neighbour_v4, world.neighbour_v6)]
    closed += [silent(a, address, 8080) for address in hosts]
    closed += [silent(site, address, 8081) for site in (world.neighbour, web) for address in (world.v4, world.v6)]
    closed += [silent(world.neighbour, b.v4, 80), silent(web, b.v6, 80), no_ping(a, world.neighbour_v4)]
    assert await together(closed) == [True] * len(closed)


async def test_nothing_answers_from_an_internal_network_under_a_forged_address(world: World) -> None:
    await world.open()
    await world.network("inner", internal=True, subnets=["10.5.0.0/24"])
    a = await world.box("a", "inner")
    world.serve(world.neighbour, 80, "udp")
    await a.run("ip", "address", "add", "203.0.113.9/32", "dev", "eth0")
    await a.run("ip", "route", "add", "default", "via", "10.5.0.1")
    await world.machine.run("ip", "route", "add", "203.0.113.9", "via", "10.5.0.2")
    assert await silent(a, world.neighbour_v4, 80, "udp", source="203.0.113.9")


async def test_a_dual_homed_sandbox_leaves_by_the_network_that_is_not_internal(world: World) -> None:
    await world.open()
    await world.network("inner", internal=True, subnets=["10.5.0.0/24"])
    a = await world.box("a", EndpointRequest("inner", gw_priority=10), "bridge", publish=["8080:80"])
    world.serve(a, 80)
    assert await default_route(a) == ("172.17.0.1", "eth1")
    assert await ask(world.neighbour, world.v4, 8080) == f"a {world.neighbour_v4}"


async def test_masquerade_decides_which_address_the_lan_sees(world: World) -> None:
    await world.open()
    off = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    await world.network("hidden", **DUAL)
    await world.network("plain", ipv6=True, subnets=["10.7.0.0/24", "fd07::/64"], options=off)
    hidden, plain = await world.box("hidden", "hidden"), await world.box("plain", "plain")
    for version in (4, 6):
        for protocol in ("tcp", "udp"):
            world.serve(world.neighbour, 80, protocol, version)
    lan = {4: world.neighbour_v4, 6: world.neighbour_v6}
    for protocol in ("tcp", "udp"):
        seen = [ask(box, lan[version], 80, protocol) for box in (hidden, plain) for version in (4, 6)]
        shown = [world.v4, world.v6, plain.v4, plain.v6]
        assert await together(seen) == [f"neighbour {address}" for address in shown]


class TestIccOff:
    """A network whose sandboxes do not speak with each other."""

    @pytest.fixture(params=[NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)
    def variant(self, request: pytest.FixtureRequest) -> Variant:
        chosen: Variant = request.param
        return chosen

    async def enter(self, world: World, *, filtered: bool) -> tuple[Box, Box]:
        world.bridge_netfilter(on=filtered)
        await world.open()
        await world.network("apart", options={"com.docker.network.bridge.enable_icc": "false"}, **DUAL)
        a, b = await world.box("a", "apart"), await world.box("b", "apart", publish=["8080:80", "8080:80/udp"])
        for version in (4, 6):
            for protocol in ("tcp", "udp"):
                world.serve(b, 80, protocol, version)
        return a, b

    @pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
    async def test_neighbours_on_the_bridge_do_not_reach_each_other(self, world: World, filtered: bool) -> None:
        a, b = await self.enter(world, filtered=filtered)
        closed = [silent(a, address, 80, protocol) for address in (b.v4, b.v6) for protocol in ("tcp", "udp")]
        closed += [no_ping(a, b.v4), no_ping(a, b.v6)]
        assert await together(closed) == [True] * len(closed)
        ports = json.loads(await world.machine.run("bridge", "-j", "-d", "link"))
        assert {port["isolated"] for port in ports if port["ifname"].startswith("veth")} == {not filtered}

    @pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
    async def test_there_is_no_way_around_through_the_gateway(self, world: World, filtered: bool) -> None:
        a, b = await self.enter(world, filtered=filtered)
        for one, other in ((a, b), (b, a)):
            await one.run("ip", "route", "add", other.v4, "via", "10.5.0.1")
            await one.run("ip", "-6", "route", "add", other.v6, "via", "fd05::1")
        closed = [silent(a, address, 80, protocol) for address in (b.v4, b.v6) for protocol in ("tcp", "udp")]
        closed += [no_ping(a, b.v4), no_ping(a, b.v6)]
        assert await together(closed) == [True] * len(closed)

    @pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
    async def test_what_is_published_stays_open_to_the_world(self, world: World, filtered: bool) -> None:
        a, _ = await self.enter(world, filtered=filtered)
        far = await world.box("far", await self.other_network(world))
        assert await self.answers(world, world.neighbour, world.machine, far) == {"b"}
        assert await together([pings(a, world.neighbour_v4), pings(a, world.neighbour_v6)]) == [True, True]

    @pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
    async def test_what_is_published_stays_open_to_the_bridge_itself(self, world: World, filtered: bool) -> None:
        a, b = await self.enter(world, filtered=filtered)
        assert await self.answers(world, a, b) == {"b"}

    async def test_an_engine_that_opens_follows_a_br_netfilter_that_was_switched(self, world: World) -> None:
        a, b = await self.enter(world, filtered=True)
        for filtered in (False, True):
            await world.close()
            world.bridge_netfilter(on=filtered)
            await world.open()
            assert await together([silent(a, b.v4, 80), silent(a, b.v6, 80), no_ping(a, b.v4)]) == [True] * 3
            assert await self.answers(world, a, b, world.neighbour) == {"b"}

    async def other_network(self, world: World) -> str:
        return (await world.network("other", ipv6=True, subnets=["10.8.0.0/24", "fd08::/64"])).name

    async def answers(self, world: World, *sites: Site) -> set[str | None]:
        asked = [
            ask(site, address, 8080, protocol)
            for site in sites
            for address in (world.v4, world.v6)
            for protocol in ("tcp", "udp")
        ]
        return {answer and answer.split()[0] for answer in await together(asked)}

"""Who reaches a published port, from where, and as whom the server sees them: one table for each way of doing it."""

import pytest

from tests.support.packets import ask
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, Variant, World, together

pytestmark = pytest.mark.slow

GATEWAY = {4: "10.5.0.1", 6: "fd05::1"}
FAMILIES = {"tcp": (4, 6), "udp": (4, 6)}

Cell = tuple[str, str, int]
"""Client, protocol, family."""


@pytest.fixture(params=[NFTABLES, IPTABLES_RELAY, IPTABLES_NAT], ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.mark.parametrize("strict", [False, True], ids=["", "reverse path filter"])
@pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
async def test_every_client_reaches_a_published_port_with_its_own_address_where_that_can_be(
    world: World, filtered: bool, strict: bool
) -> None:
    world.bridge_netfilter(on=filtered)
    for scope in ("all", "default"):
        world.machine.sysctl(f"net.ipv4.conf.{scope}.rp_filter", str(int(strict)))
    await world.open()
    await world.network("front", ipv6=True, subnets=["10.5.0.0/24", "fd05::/64"])
    await world.network("back", ipv6=True, subnets=["10.6.0.0/24", "fd06::/64"])
    web = await world.box("web", "front", publish=["8080:80", "8080:80/udp"])
    peer, far = await world.box("peer", "front"), await world.box("far", "back")
    for version in (4, 6):
        for protocol in FAMILIES:
            world.serve(web, 80, protocol, version)

    lan = {4: world.v4, 6: world.v6}
    clients = {
        "neighbour": (world.neighbour, lan),
        "host by loopback": (world.machine, {4: "127.0.0.1", 6: "::1"}),
        "host by its LAN address": (world.machine, lan),
        "host by its bridge address": (world.machine, GATEWAY),
        "other network": (far, lan),
        "other network by its gateway": (far, {4: "10.6.0.1", 6: "fd06::1"}),
        "same network": (peer, lan),
        "same network by its gateway": (peer, GATEWAY),
        "itself": (web, lan),
    }
    cells = {
        (name, protocol, version): ask(site, addresses[version], 8080, protocol)
        for name, (site, addresses) in clients.items()
        for protocol, versions in FAMILIES.items()
        for version in versions
    }
    answers = await together(cells.values())
    seen = {cell: answer and answer.removeprefix("web ") for cell, answer in zip(cells, answers, strict=True)}
    assert seen == {cell: expected(world, cell) for cell in cells}


def expected(world: World, cell: Cell) -> str | None:
    """The client's address as the server sees it, None when there is no answer."""
    client, _, version = cell
    gateway = GATEWAY[version]
    own: dict[str, dict[int, str | None]] = {
        "neighbour": {4: world.neighbour_v4, 6: world.neighbour_v6},
        # 127.0.0.1 cannot leave the host, ::1 not even in disguise: only the relay takes it there
        "host by loopback": {4: gateway, 6: None if world.variant is IPTABLES_NAT else gateway},
        "host by its LAN address": {4: world.v4, 6: world.v6},
        "host by its bridge address": {4: gateway, 6: gateway},
        "other network": {4: "10.6.0.2", 6: "fd06::2"},
        "other network by its gateway": {4: "10.6.0.2", 6: "fd06::2"},
        # The answer to these would take the short way over the bridge, past the host that translates it.
        "same network": {4: gateway, 6: gateway},
        "same network by its gateway": {4: gateway, 6: gateway},
        "itself": {4: gateway, 6: gateway},
    }
    if world.variant is IPTABLES_RELAY and client == "host by loopback":
        return gateway  # the relay has no limits but hides the client
    if world.variant is IPTABLES_RELAY and client == "itself":
        return gateway
    if world.variant is not NFTABLES and client.startswith("other network"):
        return gateway  # Docker's rule: what leaves a bridge by another one is masqueraded
    if world.variant is IPTABLES_NAT and client == "host by its LAN address":
        return gateway  # Docker's rule: what comes from the host itself is masqueraded
    return own[client][version]

"""One firewall backend after the other, on the same roots."""

import pytest

from linkspan import FirewallBackend, RemoveSandbox
from tests.support.packets import ask
from tests.support.world import IPTABLES_NAT, NFTABLES, Variant, World

SAVED = ("iptables-save", "ip6tables-save")


@pytest.mark.parametrize("variant", [IPTABLES_NAT], ids=str)
async def test_nftables_clears_away_what_iptables_left(world: World) -> None:
    await world.open()
    web = await world.box("web", publish=["8080:80"])
    world.serve(web, 80, "tcp", 4)
    world.variant = NFTABLES
    engine = await world.open()
    left = "".join([await world.machine.run(program) for program in SAVED])
    assert {line for line in left.splitlines() if line.startswith("-A")} == set()
    assert [line.split()[0] for line in left.splitlines() if "DOCKER" in line or "LINKSPAN" in line] == [
        ":DOCKER-USER",
        ":DOCKER-USER",
    ]
    assert await ask(world.neighbour, world.v4, 8080, "tcp") is not None
    await engine.apply(RemoveSandbox("web"))
    assert not engine.problems


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_iptables_clears_away_what_nftables_left(world: World) -> None:
    await world.open()
    web = await world.box("web", publish=["8080:80"])
    world.serve(web, 80, "tcp", 4)
    world.variant = Variant(FirewallBackend.IPTABLES)
    await world.open()
    assert "linkspan" not in await world.machine.run("nft", "list", "tables")
    assert await ask(world.neighbour, world.v4, 8080, "tcp") is not None


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_rules_of_a_docker_beside_us_are_not_taken_for_leftovers(world: World) -> None:
    await world.open()
    world.variant = IPTABLES_NAT
    await world.open()
    world.variant = NFTABLES
    await world.machine.run("iptables", "-t", "raw", "-F", f"LINKSPAN-{world.engine.id[:12]}")
    await world.machine.run("iptables", "-t", "raw", "-X", f"LINKSPAN-{world.engine.id[:12]}")
    before = await world.machine.run("iptables-save", "-t", "nat")
    await world.open()
    assert rules(await world.machine.run("iptables-save", "-t", "nat")) == rules(before)


def rules(saved: str) -> list[str]:
    return [line for line in saved.splitlines() if line.startswith("-A")]

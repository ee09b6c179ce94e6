"""What the firewall looks like to those who read it: constant with nftables, Docker's table with iptables."""

import os
import re
from pathlib import Path

import pytest

from linkspan import Connect, Disconnect, Publish, RemoveNetwork, RemoveSandbox, Unpublish
from tests.support.packets import ask, silent
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, World, together

pytestmark = pytest.mark.slow

only_nftables = pytest.mark.parametrize("variant", [NFTABLES], ids=str)
only_dockers_table = pytest.mark.parametrize("variant", [IPTABLES_RELAY], ids=str)
only_iptables = pytest.mark.parametrize("variant", [IPTABLES_RELAY, IPTABLES_NAT], ids=str)


async def rules(world: World) -> list[tuple[str, str]]:
    """Chain and handle of every rule; a rule that was made anew has another handle."""
    return [(item["rule"]["chain"], item["rule"]["handle"]) for item in await world.nft() if "rule" in item]


@only_nftables
async def test_no_rule_comes_or_goes_with_ports_endpoints_or_networks(world: World) -> None:
    await world.open(ipv6=True)
    before = await rules(world)
    assert before
    for number in range(3):
        await world.network(f"net{number}", ipv6=True, internal=number == 2)
        wishes = [f"{8000 + number}:80", f"{9000 + 10 * number}-{9009 + 10 * number}:9000-9009/udp", "80/sctp"]
        await world.box(f"box{number}", f"net{number}", publish=wishes if number < 2 else ())
        assert await rules(world) == before
    await world.apply(Publish("box0", ["127.0.0.1:7000:70"]))
    await world.apply(Connect("box0", "net1"))
    await world.apply(Disconnect("box0", "net0"))
    await world.apply(Unpublish("box0", ["8000"]))
    for number in range(3):
        await world.apply(RemoveSandbox(f"box{number}"))
        await world.apply(RemoveNetwork(f"net{number}"))
    assert await rules(world) == before


def table(listing: str) -> dict[str, list[tuple[str, ...]]]:
    """`iptables -L -n` as chains of (target, protocol, source, destination, more); protocols by name."""
    names = {"0": "all", "6": "tcp", "17": "udp"}
    chains: dict[str, list[tuple[str, ...]]] = {}
    current: list[tuple[str, ...]] = []
    for line in listing.splitlines():
        words = line.split()
        if line.startswith("Chain "):
            chains[words[1]] = current = []
        elif words and words[0] != "target":
            target, protocol, _, source, destination, *more = words
            current.append((target, names.get(protocol, protocol), source, destination, " ".join(more)))
    return chains


@only_dockers_table
async def test_the_third_sandbox_publishing_8080_makes_dockers_table_line_for_line(world: World) -> None:
    await world.open()
    await world.box("one")
    await world.box("two")
    web = await world.box("web", publish=["8080:80"])
    assert web.v4 == "172.17.0.4"
    anywhere, sandbox = "0.0.0.0/0", "172.17.0.4"
    assert table(await world.machine.run("iptables", "-t", "nat", "-L", "-n")) == {
        "PREROUTING": [("DOCKER", "all", anywhere, anywhere, "ADDRTYPE match dst-type LOCAL")],
        "INPUT": [],
        "OUTPUT": [("DOCKER", "all", anywhere, "!127.0.0.0/8", "ADDRTYPE match dst-type LOCAL")],
        "POSTROUTING": [
            ("MASQUERADE", "all", "172.17.0.0/16", anywhere, ""),
            ("MASQUERADE", "tcp", sandbox, sandbox, "tcp dpt:80"),
        ],
        "DOCKER": [
            ("RETURN", "all", anywhere, anywhere, ""),
            ("DNAT", "tcp", anywhere, anywhere, f"tcp dpt:8080 to:{sandbox}:80"),
        ],
    }
    saved = await world.machine.run("iptables-save", "-t", "nat")
    assert "-A DOCKER -i docker0 -j RETURN" in saved
    assert "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE" in saved


@only_iptables
async def test_the_filter_table_has_dockers_chains_in_dockers_order(world: World) -> None:
    await world.open()
    await world.network("shop")
    filters = table(await world.machine.run("iptables", "-L", "-n"))
    assert set(filters) >= {"DOCKER", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"}
    assert [rule[0] for rule in filters["FORWARD"][:2]] == ["DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"]
    assert filters["DOCKER-USER"] == []
    assert (await world.machine.run("iptables", "-S", "FORWARD")).splitlines()[0] == "-P FORWARD ACCEPT"


@only_iptables
async def test_a_rule_in_docker_user_rules_and_survives_everything(world: World) -> None:
    await world.open(ipv6=True)
    mine = f"-A DOCKER-USER -s {world.neighbour_v4}/32 -j DROP"
    await world.machine.run("iptables", *mine.split())

    async def holds() -> bool:
        listed = (await world.machine.run("iptables", "-S", "DOCKER-USER")).splitlines()
        first = (await world.machine.run("iptables", "-S", "FORWARD")).splitlines()[1]
        return listed == ["-N DOCKER-USER", mine] and first == "-A FORWARD -j DOCKER-USER"

    box = await world.box("web", publish=["8080:80"])
    world.serve(box, 80)
    assert await together([silent(world.neighbour, world.v4, 8080), holds()]) == [True, True]
    assert await ask(world.other, world.v4, 8080)
    await world.network("shop", ipv6=True)
    await world.apply(Connect("web", "shop"))
    assert await holds()
    await world.apply(RemoveSandbox("web"))
    await world.apply(RemoveNetwork("shop"))
    assert await holds()
    await world.open(ipv6=True)
    assert list(world.engine.healed) == []
    assert await holds()
    await world.close()
    await world.machine.run("iptables", "-F", "FORWARD")
    await world.machine.run("iptables", "-t", "nat", "-F")
    await world.open(ipv6=True)
    assert world.engine.healed and await holds()


@only_iptables
async def test_a_change_is_one_transaction_for_each_family_it_concerns(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _count_restores(tmp_path, monkeypatch)
    await world.open(ipv6=True)

    async def runs(request: object) -> list[str]:
        log.write_text("")
        await world.apply(request)  # type: ignore[arg-type]
        return sorted(log.read_text().splitlines())

    both = ["ip6tables-restore --noflush", "iptables-restore --noflush"]
    await world.network("shop")
    await world.box("web", publish=["8080:80"])
    assert await runs(Publish("web", ["8081-8090:81-90", "53:53/udp"])) == both
    assert await runs(Connect("web", "shop")) == both[1:]
    assert await runs(Disconnect("web", "bridge")) == both
    assert await runs(RemoveSandbox("web")) == both[1:]
    assert await runs(RemoveNetwork("shop")) == both[1:]


def _count_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs in front of the real ones that note how they are called."""
    log, programs = tmp_path / "restores", tmp_path / "bin"
    log.touch()
    programs.mkdir()
    for name in ("iptables-restore", "ip6tables-restore"):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} --noflush" >>{log}\nexec /usr/sbin/{name} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


@only_iptables
async def test_closing_and_opening_changes_no_line(world: World) -> None:
    await world.open(ipv6=True)
    await world.network("shop", ipv6=True)
    await world.box("a", "bridge", publish=["8080:80", "9000-9002:9100-9102/udp"])
    await world.box("b", "shop", publish=["8081:80"])

    async def saved() -> list[str]:
        listings = [await world.machine.run(program) for program in ("iptables-save", "ip6tables-save")]
        return [re.sub(r"\[\d+:\d+\]|^#.*", "", line) for listing in listings for line in listing.splitlines()]

    before = await saved()
    await world.open(ipv6=True)
    assert list(world.engine.healed) == []
    assert await saved() == before

"""Several engines in one process, each with roots and a machine of its own."""

import asyncio
from pathlib import Path

import pytest

from linkspan import CreateNetwork, CreateSandbox
from linkspan.model.errors import ConflictError
from tests.support.packets import ask
from tests.support.world import IPTABLES_NAT, NFTABLES, World


@pytest.mark.slow
async def test_engines_work_at_the_same_time_and_see_nothing_of_each_other(tmp_path: Path) -> None:
    async def live(world: World) -> tuple[str, str | None, set[str]]:
        """The same story on each machine: same names, same addresses, same port."""
        engine = await world.open()
        await engine.apply(CreateNetwork("shop"))
        boxes = [engine.apply(CreateSandbox(f"box{n}", networks=["shop"])) for n in range(5)]
        await asyncio.gather(*boxes)
        web = await world.box("web", publish=["8080:80"])
        world.serve(web, 80, "tcp", 4)
        answer = await ask(world.neighbour, world.v4, 8080, "tcp")
        links = await world.machine.run("ip", "-brief", "link")
        return web.v4, answer, {line.split("@")[0] for line in links.splitlines() if line.startswith("veth")}

    roots = tmp_path / "one", tmp_path / "two"
    async with World(roots[0], NFTABLES) as one, World(roots[1], IPTABLES_NAT) as two:
        (address, answer, veths), (other_address, other_answer, other_veths) = await asyncio.gather(
            live(one), live(two)
        )
    assert address == other_address == "172.17.0.2"
    assert answer is not None
    assert other_answer is not None
    assert len(veths) == len(other_veths) == 6
    assert not veths & other_veths


@pytest.mark.slow
async def test_an_exec_root_belongs_to_one_engine_at_a_time(tmp_path: Path) -> None:
    """Pins carry no mark: a second engine would take those of the first for leftovers of its own."""
    async with World(tmp_path / "one", NFTABLES) as one, World(tmp_path / "two", NFTABLES) as two:
        await one.open()
        await one.box("web")
        pins = one.pins()
        two.exec_root = one.exec_root
        with pytest.raises(ConflictError, match="in use by another engine") as refusal:
            await two.open()
        assert refusal.value.field == "exec_root"
        assert one.pins() == pins
        await one.close()
        await two.open()

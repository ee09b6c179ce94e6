"""Modes: host, none and container:X, beside the default."""

import pytest

from linkspan import LinkspanError, RemoveSandbox
from linkspan.model.errors import ConflictError
from tests.support.packets import Site, ask, no_ping, silent
from tests.support.world import World, together

pytestmark = pytest.mark.slow


async def namespace(site: Site) -> str:
    return await site.run("readlink", "/proc/self/ns/net")


async def test_mode_host_is_the_machine_itself(world: World) -> None:
    await world.open()
    box = await world.box("a", mode="host")
    world.serve(box, 80)
    assert await namespace(box) == await namespace(world.machine)
    assert await ask(world.neighbour, world.v4, 80) == f"a {world.neighbour_v4}"
    await world.apply(RemoveSandbox("a"))
    assert "192.0.2.1" in await world.machine.run("ip", "address", "show", "eth0")


async def test_mode_none_has_loopback_and_nothing_else(world: World) -> None:
    await world.open()
    box = await world.box("a", mode="none")
    world.serve(box, 80)
    lines = (await box.run("ip", "-brief", "link")).splitlines()
    assert len(lines) == 1 and lines[0].startswith("lo ")
    assert await ask(box, "127.0.0.1", 80) == "a 127.0.0.1"
    assert await together([no_ping(box, world.v4), silent(world.machine, "127.0.0.1", 80)]) == [True, True]


async def test_a_shared_namespace_has_one_address_and_both_hear_the_published_port(world: World) -> None:
    await world.open()
    owner = await world.box("pause", publish=["8080:80"])
    member, second = await world.box("app", mode="container:pause"), await world.box("log", mode="container:app")
    assert await namespace(owner) == await namespace(member) == await namespace(second)
    world.serve(member, 80)
    assert await ask(second, "127.0.0.1", 80) == "app 127.0.0.1"
    assert await ask(world.neighbour, world.v4, 8080) == f"app {world.neighbour_v4}"


async def test_a_shared_namespace_lives_as_long_as_someone_uses_it(world: World) -> None:
    engine = await world.open()
    await world.box("pause")
    member = await world.box("app", mode="container:pause")
    with pytest.raises(ConflictError, match="its namespace is used by app"):
        await world.apply(RemoveSandbox("pause"))
    assert "172.17.0.2" in await member.run("ip", "address", "show", "eth0")
    await world.apply(RemoveSandbox("app"))
    await world.apply(RemoveSandbox("pause"))
    assert world.pins() == [] and engine.sandboxes == {}


async def test_removing_a_sandbox_takes_its_network_from_the_processes_that_are_still_in_it(world: World) -> None:
    await world.open()
    box = await world.box("a", publish=["8080:80"])
    world.serve(box, 80)  # the socket keeps the old namespace alive
    await world.apply(RemoveSandbox("a"))
    again = await world.box("a", publish=["8080:80"])
    assert again.v4 == "172.17.0.2"
    assert await silent(world.neighbour, world.v4, 8080)
    world.serve(again, 80, name="again")
    assert await ask(world.neighbour, world.v4, 8080) == f"again {world.neighbour_v4}"


async def test_modes_that_contradict_each_other_change_nothing(world: World) -> None:
    engine = await world.open()
    for wishes in (
        {"mode": "host", "publish": ["8080:80"]},
        {"mode": "none", "publish": ["8080:80"]},
        {"mode": "container:nobody"},
        {"mode": "bridged"},
    ):
        with pytest.raises(LinkspanError):
            await world.box("a", **wishes)
    assert world.pins() == [] and engine.sandboxes == {}

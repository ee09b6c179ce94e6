"""What only a machine can refuse: one error of the right kind that says what is wrong, and nothing changed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from linkspan import Connect, Engine, LinkspanError
from linkspan.model.errors import ConflictError, ExhaustedError, InvalidError, UnavailableError
from tests.imports import ROOT
from tests.support.listing import Listing, listing
from tests.support.packets import ask, pings
from tests.support.world import IPTABLES_NAT, IPTABLES_RELAY, NFTABLES, World

pytestmark = pytest.mark.slow

BRIDGE_NAME = "com.docker.network.bridge.name"


def state(world: World) -> Listing:
    return listing(world.machine.namespace, world.exec_root, iptables=world.variant is not NFTABLES)


async def test_a_docker0_of_someone_else_is_refused_and_untouched(world: World) -> None:
    await world.machine.run("ip", "link", "add", "docker0", "type", "bridge")
    await world.machine.run("ip", "address", "add", "172.17.0.1/16", "dev", "docker0")
    before = state(world)
    with pytest.raises(ConflictError, match="interface docker0 exists and belongs to someone else") as caught:
        await world.open()
    assert "another bridge name or namespace" in (caught.value.hint or "")
    assert state(world) == before


async def test_an_engine_beside_another_docker_takes_the_next_range(world: World) -> None:
    await world.machine.run("ip", "link", "add", "docker0", "type", "bridge")
    await world.machine.run("ip", "address", "add", "172.17.0.1/16", "dev", "docker0")
    await world.machine.run("ip", "link", "set", "docker0", "up")
    await world.open(bridge="linkspan0")
    box = await world.box("a")
    assert box.v4 == "172.18.0.2"
    assert await pings(box, world.neighbour_v4)


@pytest.mark.parametrize("kind", ["bridge", "veth"])
async def test_a_bridge_name_that_someone_else_has_is_refused(world: World, kind: str) -> None:
    await world.open()
    await world.machine.run("ip", "link", "add", "shop0", "type", kind)
    before = state(world)
    with pytest.raises(ConflictError) as caught:
        await world.network("shop", options={BRIDGE_NAME: "shop0"})
    assert caught.value.field == BRIDGE_NAME
    assert "shop0" in caught.value.message
    assert state(world) == before
    assert len(world.engine.networks) == 3


async def test_a_bridge_that_appeared_while_the_engine_was_closed_keeps_it_from_opening(world: World) -> None:
    await world.open()
    await world.close()
    await world.machine.run("ip", "link", "del", "docker0")
    await world.machine.run("ip", "link", "add", "docker0", "type", "bridge")
    before = state(world)
    with pytest.raises(ConflictError, match="docker0 exists and belongs to someone else"):
        await world.open()
    assert state(world) == before


async def test_a_second_engine_on_the_same_namespace_is_refused(world: World, tmp_path: Path) -> None:
    await world.open()
    before = state(world)
    second = Engine.open(
        data_root=tmp_path / "second",
        exec_root=tmp_path / "second-exec",
        namespace=world.machine.namespace,
        config=world.engine.config,
    )
    with pytest.raises(ConflictError, match="belongs to someone else"):
        await second.__aenter__()
    assert state(world) == before


async def test_a_second_engine_with_another_bridge_is_refused_too(world: World, tmp_path: Path) -> None:
    await world.open()
    box = await world.box("a", publish=["8080:80"])
    world.serve(box, 80)
    before = state(world)
    second = Engine.open(
        data_root=tmp_path / "second",
        exec_root=tmp_path / "second-exec",
        namespace=world.machine.namespace,
        config=replace(world.engine.config, bridge="second0"),
    )
    with pytest.raises(ConflictError, match="belongs to someone else"):
        await second.__aenter__()
    assert state(world) == before
    assert await ask(world.neighbour, world.v4, 8080) == f"a {world.neighbour_v4}"


@pytest.mark.parametrize("variant", [IPTABLES_RELAY], ids=str)
async def test_the_chains_of_a_docker_that_runs_here_are_refused_and_untouched(world: World) -> None:
    for rule in (
        "-N DOCKER",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
    ):
        await world.machine.run("iptables", "-t", "nat", *rule.split())
    before = state(world)
    with pytest.raises(ConflictError, match="iptables chain DOCKER exists and belongs to someone else"):
        await world.open(bridge="linkspan0")
    assert state(world) == before


async def test_a_second_engine_on_the_same_data_root_is_refused(world: World) -> None:
    await world.open()
    before = state(world)
    second = Engine.open(data_root=world.data_root, exec_root=world.exec_root, namespace=world.machine.namespace)
    with pytest.raises(ConflictError, match="in use by another engine") as caught:
        await second.__aenter__()
    assert caught.value.field == "data_root"
    assert state(world) == before


async def test_engines_on_different_machines_do_not_notice_each_other(world: World, tmp_path: Path) -> None:
    await world.open()
    await world.box("a", publish=["8080:80"])
    before = state(world)
    async with World(tmp_path / "second", world.variant) as second:
        await second.open()
        box = await second.box("a", publish=["8080:80"])
        assert box.v4 == "172.17.0.2"
        assert state(world) == before


_OPEN = """
import asyncio, sys
from linkspan import Config, Engine, LinkspanError

async def main():
    async with Engine.open(data_root=sys.argv[1], exec_root=sys.argv[2], namespace=sys.argv[3] or None,
                           config=Config(firewall=sys.argv[4])):
        print("opened")

try:
    asyncio.run(main())
except LinkspanError as error:
    print(f"{error.kind}: {error.message} ({error.hint})")
"""


def open_elsewhere(world: World, *wrapper: str, namespace: str | None = None, path: str | None = None) -> str:
    """What a new process prints that opens an engine."""
    shown = str(world.machine.namespace) if namespace is None else namespace
    arguments = [str(world.data_root), str(world.exec_root), shown, str(world.variant.firewall)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")} | ({"PATH": path} if path is not None else {})
    command = [*wrapper, sys.executable, "-c", _OPEN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("wrapper", "lacks"),
    [
        (("setpriv", "--bounding-set=-net_admin"), "root lacks CAP_NET_ADMIN"),
        (("setpriv", "--bounding-set=-sys_admin"), "root lacks CAP_SYS_ADMIN"),
        (("setpriv", "--bounding-set=-all"), "root lacks CAP_NET_ADMIN and CAP_SYS_ADMIN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_without_privileges_nothing_is_made_and_the_error_names_them(
    world: World, wrapper: tuple[str, ...], lacks: str
) -> None:
    before = state(world)
    said = open_elsewhere(world, *wrapper)
    assert said.startswith(f"unavailable: {lacks}") and "run as root" in said
    assert state(world) == before


async def test_a_namespace_that_does_not_exist_is_named(world: World) -> None:
    said = open_elsewhere(world, namespace="/run/netns/nowhere")
    assert said.startswith("unavailable: cannot enter the network namespace /run/netns/nowhere: No such file")


async def test_a_path_that_is_no_namespace_is_named(world: World, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert f"cannot enter the network namespace {plain}" in open_elsewhere(world, namespace=str(plain))


def files(*names: str) -> set[Path]:
    """Where the system has them."""
    places = [*Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib64"), Path("/usr/sbin")]
    return {(place / name).resolve() for place in places for name in names if (place / name).exists()}


def without(*files: Path) -> tuple[str, ...]:
    """A wrapper for a process that cannot use some files: something else is mounted over them, for it alone."""
    script = "".join(f"mount --bind /dev/null {file}; " for file in files)
    return ("unshare", "--mount", "sh", "-c", f'{script}exec "$@"', "sh")


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_without_libnftables_the_error_names_the_package(world: World) -> None:
    before = state(world)
    said = open_elsewhere(world, *without(*files("libnftables.so.1")))
    assert said.startswith("unavailable: the nftables library is missing") and "libnftables1" in said
    assert state(world) == before


@pytest.mark.parametrize("variant", [IPTABLES_RELAY], ids=str)
async def test_without_iptables_the_error_names_the_package(world: World) -> None:
    before = state(world)
    said = open_elsewhere(world, *without(*files("iptables-restore", "iptables-save")))
    assert said.startswith("unavailable: the program ip") and "install the package iptables" in said
    assert state(world) == before


async def test_a_data_root_that_cannot_be_written_is_named(world: World, tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.touch()
    world.data_root = plain
    with pytest.raises(UnavailableError, match="cannot use data root") as caught:
        await world.open()
    assert caught.value.field == "data_root"


async def test_a_subnet_that_a_route_of_the_host_uses_is_passed_over(world: World) -> None:
    await world.machine.run("ip", "route", "add", "172.18.0.0/16", "dev", "eth0")
    await world.machine.run("ip", "address", "add", "172.19.5.1/24", "dev", "eth0")
    await world.open()
    network = await world.network("shop")
    assert str(network.subnets[0].prefix) == "172.20.0.0/16"


async def test_an_exhausted_subnet_refuses_the_next_and_leaves_nothing(world: World) -> None:
    await world.open()
    await world.network("tiny", subnets=["10.9.0.0/30"])
    await world.box("only", "tiny")
    before = state(world)
    with pytest.raises(ExhaustedError, match="no available IPv4 addresses"):
        await world.box("second", "tiny")
    assert state(world) == before


async def test_an_interface_name_in_use_inside_the_namespace_leaves_nothing(world: World) -> None:
    """The engine's own table cannot know: a process inside made the link."""
    await world.open()
    await world.network("shop")
    box = await world.box("a")
    await box.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "other")
    before = state(world)
    with pytest.raises(LinkspanError, match="eth1"):
        await world.apply(Connect("a", "shop"))
    assert state(world) == before
    assert len(box.value.endpoints) == 1


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
async def test_the_1024th_port_of_a_bridge_is_refused_by_name_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    """Ports that others put there count too; the engine's own number is checked without a kernel."""
    await world.open()
    lines = [f"link add a{n} type veth peer name b{n}" for n in range(512)]
    lines += [f"link set {end}{n} master docker0" for n in range(512) for end in "ab" if (end, n) != ("b", 511)]
    (tmp_path / "script").write_text("\n".join(lines))
    await world.machine.run("ip", "-b", str(tmp_path / "script"))
    before = state(world)
    with pytest.raises(ExhaustedError, match="bridge docker0 is full: a Linux bridge holds at most 1023 ports"):
        await world.box("a", publish=["8080:80"])
    assert state(world) == before


@pytest.mark.parametrize("variant", [IPTABLES_NAT], ids=str)
@pytest.mark.parametrize("address", ["[::1]:8080:80", "[2001:db8::1]:8080:80"])
async def test_what_needs_the_relay_is_refused_with_a_reason_where_there_is_none(world: World, address: str) -> None:
    await world.open()
    before = state(world)
    with pytest.raises(InvalidError, match="userland proxy"):
        await world.box("a", publish=[address])
    assert state(world) == before

"""/etc/hosts and /etc/resolv.conf, written at start and changed with the networks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from linkspan.containers.checks import checked
from linkspan.containers.layout import Layout, Places
from linkspan.containers.links import Links, parse_link
from linkspan.containers.register import Register
from linkspan.containers.resolution import ResolutionFiles
from linkspan.engine.core import Engine
from linkspan.model.config import Config
from linkspan.model.containers import Container, ContainerState, CreateContainer, Status
from linkspan.model.errors import ConflictError, InvalidError
from linkspan.model.requests import Connect, CreateNetwork, CreateSandbox, Disconnect, RemoveSandbox
from linkspan.model.sandboxes import Sandbox
from tests.support.engines import World

START = datetime(2026, 1, 1, tzinfo=UTC)


class Shelf:
    """A store of containers in memory."""

    async def load_containers(self) -> Sequence[Container]:
        return ()

    async def put_container(self, container: Container) -> None: ...

    async def delete_container(self, id: str) -> None: ...


class IdleContainers:
    """Containers that never run, on an engine in memory, with their files."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine = engine
        self.layout = Layout(root / "data", root / "exec")
        self.register = Register(Shelf())
        self.links = Links(engine, self.register)
        self.files = ResolutionFiles(engine, self.layout, self.links)
        self._count = 0

    async def start(self, name: str, *networks: str, **fields: Any) -> tuple[Container, Sandbox, Places]:
        self._count += 1
        wanted = checked(CreateContainer(name, "/", ("true",), mode=networks[0] if networks else "", **fields))
        container = Container(f"{self._count:064x}", name, START, self.links.resolved(wanted))
        life = await self.register.add(container)
        await self.register.save(life, replace(container, state=ContainerState(Status.RUNNING, 1, started=START)))
        return container, await self.begin(container, networks), self.layout.of(container.id)

    async def begin(self, container: Container, networks: Sequence[str] = ()) -> Sandbox:
        mode = "host" if container.wanted.mode == "host" else ""
        joined = () if mode else networks or ("bridge",)
        sandbox = await self.engine.apply(CreateSandbox(container.name, mode, joined, id=container.id))
        self.layout.of(container.id).data.mkdir(parents=True, exist_ok=True)
        self.links.check(container)
        self.files.write(container, sandbox)
        self.files.started(container)
        return sandbox

    async def connect(self, sandbox: Sandbox, network: str) -> Sandbox:
        after = await self.engine.apply(Connect(sandbox.id, network))
        self.files.change(self.register.get(sandbox.id).container, sandbox, after)
        return after

    async def disconnect(self, sandbox: Sandbox, network: str) -> Sandbox:
        after = await self.engine.apply(Disconnect(sandbox.id, network))
        self.files.change(self.register.get(sandbox.id).container, sandbox, after)
        return after


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory with the host's files."""
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    for name, file in (("_RESOLV_CONF", "resolv.conf"), ("_HOSTS", "hosts"), ("_BEHIND_THE_STUB", "behind")):
        monkeypatch.setattr(f"linkspan.containers.resolution.{name}", tmp_path / file)
    return tmp_path


@asynccontextmanager
async def idle_containers(host: Path, **settings: Any) -> AsyncIterator[IdleContainers]:
    async with World(config=Config(names=True, **settings)).engine() as engine:
        await engine.apply(CreateNetwork("shop", subnets=("10.1.0.0/24",)))
        await engine.apply(CreateNetwork("yard", subnets=("10.2.0.0/24",)))
        yield IdleContainers(engine, host)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def test_a_container_on_a_network_of_the_users_asks_its_own_name_server(host: Path) -> None:
    async with idle_containers(host) as at:
        _, _, places = await at.start("web", "shop")
        assert "nameserver 127.0.0.11" in lines(places.resolv_conf)
        assert lines(places.hosts)[-1] == f"10.1.0.2\t{'0' * 12}"


async def test_the_default_network_has_the_hosts_servers_and_the_hosts_name_in_a_file(host: Path) -> None:
    async with idle_containers(host) as at:
        _, _, places = await at.start("web")
        assert "nameserver 192.0.2.53" in lines(places.resolv_conf)
        assert "172.17.0.1\thost.docker.internal" in lines(places.hosts)


async def test_an_added_host_replaces_the_name_of_the_host(host: Path) -> None:
    async with idle_containers(host) as at:
        _, _, places = await at.start("web", extra_hosts=("host.docker.internal:192.0.2.7",))
        assert [line for line in lines(places.hosts) if "internal" in line] == ["192.0.2.7\thost.docker.internal"]


async def test_the_host_is_where_the_settings_say(host: Path) -> None:
    from ipaddress import ip_address

    async with idle_containers(host, host_gateway=(ip_address("192.0.2.8"),)) as at:
        _, _, places = await at.start("web", extra_hosts=("shore:host-gateway",))
        assert {"192.0.2.8\tshore", "192.0.2.8\thost.docker.internal"} <= set(lines(places.hosts))


async def test_the_hosts_network_has_the_hosts_files_and_its_name(host: Path) -> None:
    async with idle_containers(host) as at:
        _, _, places = await at.start("web", "host")
        assert places.resolv_conf.read_text() == "nameserver 192.0.2.53\n"
        assert lines(places.hosts) == ["127.0.0.1 localhost", "127.0.0.1\thost.docker.internal"]


async def test_systemds_list_is_read_when_the_host_names_only_its_stub(host: Path) -> None:
    (host / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    (host / "behind").write_text("nameserver 192.0.2.54\n")
    async with idle_containers(host) as at:
        _, _, places = await at.start("web")
        assert "nameserver 192.0.2.54" in lines(places.resolv_conf)
        assert f"# Based on host file: '{host}/behind' (legacy)" in lines(places.resolv_conf)


async def test_joining_and_leaving_change_both_files(host: Path) -> None:
    async with idle_containers(host) as at:
        _, first, places = await at.start("web")
        before = places.hosts.read_text(), places.resolv_conf.read_text()
        second = await at.connect(first, "shop")
        assert "nameserver 127.0.0.11" in lines(places.resolv_conf)
        assert f"10.1.0.2\t{'0' * 12}" in lines(places.hosts)
        await at.disconnect(second, "shop")
        assert (places.hosts.read_text(), places.resolv_conf.read_text()) == before


async def test_leaving_the_default_network_takes_the_hosts_name_out_of_the_file(host: Path) -> None:
    async with idle_containers(host) as at:
        _, first, places = await at.start("web")
        await at.disconnect(await at.connect(first, "shop"), "bridge")
        assert "host.docker.internal" not in places.hosts.read_text()


async def test_what_was_written_inside_stays(host: Path) -> None:
    async with idle_containers(host) as at:
        _, first, places = await at.start("web")
        places.hosts.write_text(places.hosts.read_text() + "192.0.2.1 mine")
        places.resolv_conf.write_text("nameserver 192.0.2.99\n")
        await at.connect(first, "shop")
        assert "192.0.2.1 mine" in lines(places.hosts) and f"10.1.0.2\t{'0' * 12}" in lines(places.hosts)
        assert places.resolv_conf.read_text() == "nameserver 192.0.2.99\n"


async def test_a_start_writes_everything_anew(host: Path) -> None:
    async with idle_containers(host) as at:
        container, sandbox, places = await at.start("web", "shop")
        text = places.resolv_conf.read_text()
        places.resolv_conf.write_text("nameserver 192.0.2.99\n")
        await at.engine.apply(RemoveSandbox(sandbox.id))
        await at.begin(container, ("shop",))
        assert places.resolv_conf.read_text() == text


async def test_a_text_that_death_kept_from_being_written_counts_as_ours(host: Path) -> None:
    async with idle_containers(host) as at:
        _, first, places = await at.start("web")
        text = places.resolv_conf.read_text()
        second = await at.connect(first, "shop")
        places.resolv_conf.write_text(text)  # the digest was written, and the text was not
        await at.connect(second, "yard")
        assert "nameserver 127.0.0.11" in lines(places.resolv_conf)


async def test_files_are_put_right_whatever_they_were_written_for(host: Path) -> None:
    async with idle_containers(host) as at:
        container, first, places = await at.start("web", "shop")
        await at.connect(first, "yard")
        after = await at.engine.apply(Disconnect(first.id, "shop"))
        at.files.restore(container, after)
        assert [line for line in lines(places.hosts) if line.startswith("10.")] == [f"10.2.0.2\t{'0' * 12}"]


async def test_a_link_names_the_other_by_alias_host_name_and_name(host: Path) -> None:
    async with idle_containers(host) as at:
        await at.start("db", hostname="store")
        _, _, places = await at.start("web", links=("db:database",))
        assert lines(places.hosts)[-1] == "172.17.0.2\tdatabase store db"


async def test_who_links_hears_of_a_new_address(host: Path) -> None:
    async with idle_containers(host) as at:
        other, sandbox, _ = await at.start("db")
        _, _, places = await at.start("web", links=("db",))
        await at.engine.apply(RemoveSandbox(sandbox.id))
        await at.start("between")
        await at.begin(other)
        assert [line for line in lines(places.hosts) if "db" in line] == [f"172.17.0.4\tdb {'0' * 12}"]


async def test_a_link_that_is_removed_leaves_the_file(host: Path) -> None:
    async with idle_containers(host) as at:
        await at.start("db")
        container, sandbox, places = await at.start("web", links=("db", "db:database"))
        without = replace(container, wanted=replace(container.wanted, links=container.wanted.links[:1]))
        at.files.unlink(container, without, sandbox)
        assert [line.split("\t")[1].split()[0] for line in lines(places.hosts) if "172.17.0.2" in line] == ["db"]


async def test_only_what_runs_on_the_default_network_can_be_linked_to(host: Path) -> None:
    async with idle_containers(host) as at:
        other, sandbox, _ = await at.start("db")
        await at.start("far", "shop")
        with pytest.raises(ConflictError, match="Cannot link to /far, as it does not belong to the default network"):
            await at.start("one", links=("far",))
        await at.register.save(at.register.get("db"), other)
        await at.engine.apply(RemoveSandbox(sandbox.id))
        with pytest.raises(ConflictError, match="Cannot link to a non running container: /db AS /two/database"):
            await at.start("two", links=("db:database",))
        with pytest.raises(InvalidError, match="could not get container for no: No such container: no"):
            await at.start("three", links=("no",))


@pytest.mark.parametrize(
    ("text", "link"), [("db:database", ("db", "database")), ("db", ("db", "db")), ("/db:/web/x", ("db", "x"))]
)
def test_links_are_read_in_each_form(text: str, link: tuple[str, str]) -> None:
    assert parse_link(text) == link


@pytest.mark.parametrize("text", ["", ":", ":x", "db:", "a:b:c", "a b", "db:x\ny"])
def test_a_malformed_link_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="bad format for links"):
        parse_link(text)

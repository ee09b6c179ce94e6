"""What a container's sandbox is asked for, and what it is called."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from linkspan.containers.checks import checked
from linkspan.containers.register import Register
from linkspan.containers.sandboxes import Sandboxes
from linkspan.engine.core import Engine
from linkspan.model.config import Config
from linkspan.model.containers import Container, CreateContainer
from linkspan.model.errors import InvalidError
from linkspan.model.requests import CreateNetwork, CreateSandbox, EndpointRequest
from linkspan.model.sandboxes import Sandbox
from tests.support.engines import World
from tests.unit.containers.test_resolution import Shelf

ID = "5" * 64


def container(name: str = "web", **fields: Any) -> Container:
    wanted = CreateContainer(name, "/", ("true",), mode="shop", **fields)
    return Container(ID, name, datetime(2026, 1, 1, tzinfo=UTC), checked(wanted))


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Engine, Sandboxes]]:
    async with World(config=Config(names=True)).engine() as engine:
        await engine.apply(CreateNetwork("shop"))
        yield engine, Sandboxes(engine, Register(Shelf()))


def names(engine: Engine) -> tuple[str, ...]:
    sandbox: Sandbox = engine.sandboxes[ID]
    return sandbox.endpoints[0].names


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose resolver file is empty."""
    for name in ("_RESOLV_CONF", "_BEHIND_THE_STUB"):
        monkeypatch.setattr(f"linkspan.containers.resolution.{name}", tmp_path / "resolv.conf")


async def test_a_container_has_its_names_in_dockers_order() -> None:
    async with opened() as (engine, sandboxes):
        wishes = [EndpointRequest("shop", aliases=("www", "front"))]
        await sandboxes.enter(container(hostname="store", endpoints=wishes))
        assert names(engine) == ("web", "www", "front", ID[:12], "store")


async def test_servers_and_ndots_go_to_its_name_server() -> None:
    async with opened() as (_, sandboxes):
        sandbox = await sandboxes.enter(container(dns=("192.0.2.9",), dns_options=("ndots:2",)))
        assert (tuple(map(str, sandbox.servers)), sandbox.ndots) == (("192.0.2.9",), True)


async def test_without_a_wish_the_hosts_servers_are_asked() -> None:
    async with opened() as (_, sandboxes):
        sandbox = await sandboxes.enter(container(dns_options=("timeout:1",)))
        assert (sandbox.servers, sandbox.ndots) == ((), False)


async def test_a_container_is_found_by_its_name_though_an_older_sandbox_has_it() -> None:
    async with opened() as (engine, sandboxes):
        await engine.apply(CreateSandbox("web"))
        sandbox = await sandboxes.enter(container())
        assert sandbox.name == ID and "web" in names(engine)


async def test_a_rename_is_a_rename_of_the_sandbox_too() -> None:
    async with opened() as (engine, sandboxes):
        await sandboxes.enter(container())
        await sandboxes.rename(replace(container(), name="base"))
        assert engine.sandboxes[ID].name == "base" and names(engine) == ("base", ID[:12])
        await sandboxes.rename(replace(container(), name="base"))
        assert engine.sandboxes[ID].name == "base"


async def test_who_does_not_run_has_no_sandbox_to_rename() -> None:
    async with opened() as (engine, sandboxes):
        await sandboxes.rename(container())
        assert not engine.sandboxes


async def test_a_label_has_published_ports_say_who_the_client_is() -> None:
    wanted = container(publish=("8080:80", "81:81"), labels={"linkspan.proxy-protocol": "80/tcp"})
    async with opened() as (_, sandboxes):
        sandbox = await sandboxes.enter(wanted)
    assert {str(each.target): each.proxy_protocol for each in sandbox.ports} == {"80": True, "81": False}


def test_a_label_that_names_no_port_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        container(labels={"linkspan.proxy-protocol": "http"})
    assert refused.value.field == "linkspan.proxy-protocol"

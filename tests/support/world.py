"""One machine on a LAN with an engine on it, for one test: everything in namespaces, gone afterwards."""

import asyncio
import json
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from linkspan import Config, CreateNetwork, CreateSandbox, Engine, FirewallBackend
from linkspan.kernel import native
from linkspan.lab.hosts import Host, lab
from linkspan.model.networks import Network
from linkspan.model.requests import Request
from linkspan.model.sandboxes import Sandbox
from linkspan.wiring import open_kernel
from tests.support.packets import Site, serving

Result = TypeVar("Result")


@dataclass(frozen=True)
class Variant:
    """A way to carry published ports."""

    firewall: FirewallBackend
    userland_proxy: bool = True

    def __str__(self) -> str:
        if self.firewall is FirewallBackend.NFTABLES:
            return "nftables"
        return "iptables-relay" if self.userland_proxy else "iptables-nat"


NFTABLES = Variant(FirewallBackend.NFTABLES)
IPTABLES_RELAY = Variant(FirewallBackend.IPTABLES)
IPTABLES_NAT = Variant(FirewallBackend.IPTABLES, userland_proxy=False)


class World:
    """The machine, its neighbours, and the engine, which `open` starts and may start again with other settings."""

    def __init__(self, root: Path, variant: Variant) -> None:
        self.variant = variant
        self.data_root, self.exec_root = root / "data", root / "exec"
        self._outside = AsyncExitStack()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        hosts = await self._outside.enter_async_context(lab(open_kernel, neighbours=("neighbour", "other")))
        self.machine, self.neighbour, self.other = (self._site(host) for host in (hosts.machine, *hosts.neighbours))
        self.v4, self.v6 = str(hosts.machine.v4), str(hosts.machine.v6)
        self.neighbour_v4, self.neighbour_v6 = str(hosts.neighbour.v4), str(hosts.neighbour.v6)
        return self

    def _site(self, host: Host) -> Site:
        site = Site(host.name, host.namespace)
        self._outside.push_async_callback(site.end)
        return site

    async def __aexit__(self, *error: object) -> None:
        try:
            await self.close()
        finally:
            for pin in self.pins():
                native.detach_mount(pin)
            await self._outside.aclose()

    async def open(self, **settings: Any) -> Engine:
        """Start the engine, after ending the one that runs."""
        await self.close()
        config = Config(firewall=self.variant.firewall, userland_proxy=self.variant.userland_proxy, **settings)
        self.engine = await self._opened.enter_async_context(
            Engine.open(
                data_root=self.data_root,
                exec_root=self.exec_root,
                namespace=self.machine.namespace,
                config=config,
            )
        )
        return self.engine

    async def close(self) -> None:
        """End the engine and the servers; what it built stays."""
        await self._opened.aclose()

    def pins(self) -> list[Path]:
        """The pinned namespaces of sandboxes."""
        directory = self.exec_root / "netns"
        return sorted(directory.iterdir()) if directory.is_dir() else []

    async def apply(self, request: Request[Result]) -> Result:
        """Make a request of the engine."""
        return await self.engine.apply(request)

    async def network(self, name: str, **wishes: Any) -> Network:
        """Create a network."""
        return await self.engine.apply(CreateNetwork(name, **wishes))

    async def box(self, name: str, *networks: Any, **wishes: Any) -> "Box":
        """Create a sandbox."""
        return self.site(await self.engine.apply(CreateSandbox(name, networks=networks, **wishes)))

    def site(self, sandbox: Sandbox) -> "Box":
        """A sandbox as a place to be in."""
        live = self.engine.sandbox(sandbox.id)
        box = Box(self, sandbox, live.namespace or self.machine.namespace)
        self._outside.push_async_callback(box.end)
        return box

    def serve(self, site: Site, port: int, protocol: str = "tcp", version: int = 4, name: str = "") -> None:
        """A server on every address of one family until the test ends."""
        self._outside.enter_context(serving(site, port, protocol, "0.0.0.0" if version == 4 else "::", name))

    def bridge_netfilter(self, *, on: bool) -> None:
        """Whether bridged frames pass the IP hooks (on, unless a namespace says otherwise)."""
        for family in ("iptables", "ip6tables"):
            self.machine.sysctl(f"net.bridge.bridge-nf-call-{family}", str(int(on)))

    async def nft(self) -> list[dict[str, Any]]:
        """The objects of our table, as nft lists them."""
        listed: list[dict[str, Any]] = json.loads(
            await self.machine.run("nft", "-j", "list", "table", "inet", "linkspan")
        )["nftables"]
        return listed


class Box(Site):
    """A sandbox: its place, and what the engine knows of it."""

    def __init__(self, world: World, sandbox: Sandbox, namespace: Path) -> None:
        super().__init__(sandbox.name, namespace)
        self._world = world
        self.id = sandbox.id

    @property
    def value(self) -> Sandbox:
        """The sandbox as it is now."""
        return self._world.engine.sandbox(self.id).value

    def address(self, version: int = 4, endpoint: int = 0) -> str:
        """Its address on one of its networks."""
        return next(str(a.ip) for a in self.value.endpoints[endpoint].addresses if a.version == version)

    @property
    def v4(self) -> str:
        return self.address(4)

    @property
    def v6(self) -> str:
        return self.address(6)


async def together(questions: Iterable[Awaitable[Result]]) -> list[Result]:
    """The answers to questions that are asked at the same time."""

    async def one(question: Awaitable[Result]) -> Result:
        return await question

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(question)) for question in questions]
    return [task.result() for task in tasks]

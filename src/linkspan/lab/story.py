"""The story of a container network, step by step, with real programs as the eyes."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkspan import CreateNetwork, CreateSandbox, Engine, RemoveNetwork, RemoveSandbox
from linkspan.lab import webserver
from linkspan.lab.hosts import Lab
from linkspan.lab.programs import Place, ProgramFailedError
from linkspan.lab.screen import Screen
from linkspan.model.errors import NotFoundError

_VETH = re.compile(r"veth[0-9a-f]{7}")
_PATIENCE, _ENOUGH = "5", "1"
"""Seconds to wait for an answer that should come, and for one that should not."""


@dataclass(frozen=True)
class Rules:
    """Commands that show the firewall: how ports are published, on every address of the machine, and on one."""

    how: Sequence[Sequence[str]]
    everywhere: Sequence[str]
    one_address: Sequence[str]


class Story:
    """The steps, on one machine with one engine."""

    def __init__(self, screen: Screen, lab: Lab, engine: Engine, files: Path, rules: Rules) -> None:
        self.screen = screen
        self.check = screen.check
        self.machine = lab.machine
        self.neighbour = lab.neighbour
        self.engine = engine
        self.files = files
        self.rules = rules
        self.boxes: dict[str, Place] = {}
        self._removals: list[RemoveSandbox | RemoveNetwork] = []

    async def tell(self) -> None:
        """The steps. Whatever comes of them, `clear` must follow."""
        await self.start()
        await self.two_sandboxes()
        await self.four_modes()
        await self.publish()
        await self.second_network()
        await self.closed_doors()

    async def start(self) -> None:
        """One bridge."""
        self.screen.step("The engine starts", "Look at docker0: one new bridge, with the first address of its range.")
        shown = await self.show(self.machine, "ip", "-brief", "address")
        self.check("docker0 has 172.17.0.1/16", "172.17.0.1/16" in _line(shown, "docker0"))

    async def two_sandboxes(self) -> None:
        """Veths, addresses in order, and where they belong."""
        self.screen.step(
            "Two sandboxes, a and b",
            "Look at the veths: their master is docker0, and the address is not theirs but that of eth0, inside.",
        )
        plan = await self.engine.plan(CreateSandbox("a"))
        self.screen.command("plan", ["create", "sandbox", "a"], str(plan))
        a, b = await self.create("a"), await self.create("b")
        await self.show(self.machine, "ip", "link")
        bridge = await self.bridge_ports("docker0")
        inside = await self.show(a, "ip", "-brief", "address")
        outside = await self.machine.run("ip", "-brief", "address")
        veths = set(_VETH.findall(outside))
        self.check(
            "docker0 has two ports, and they are the two veths", len(veths) == 2 and veths == set(_VETH.findall(bridge))
        )
        self.check(
            "a is 172.17.0.2 and b is 172.17.0.3", [self.address(name) for name in "ab"] == ["172.17.0.2", "172.17.0.3"]
        )
        self.check("172.17.0.2 is on eth0 inside a", "172.17.0.2/16" in _line(inside, "eth0"))
        self.check("and nowhere on the machine", "172.17.0.2/" not in outside)
        self.check("a reaches b", await reaches(a, self.address("b")))
        self.check("b reaches a", await reaches(b, self.address("a")))
        self.check("a reaches the LAN, through the machine", await reaches(a, str(self.neighbour.v4)))

    async def four_modes(self) -> None:
        """Bridge, host, container and none."""
        self.screen.step(
            "Four modes",
            "Look at the numbers: `host` is the machine's namespace, `container:a` is a's, `none` is empty.",
        )
        await self.create("h", mode="host")
        await self.create("s", mode="container:a")
        nothing = await self.create("n", mode="none")
        places = [self.machine, *(self.boxes[name] for name in "ahsn")]
        spaces = [await self.show(place, "readlink", "/proc/self/ns/net") for place in places]
        machine, bridge, host, shared, none = spaces
        links = (await self.show(nothing, "ip", "-brief", "link")).split()
        self.check("bridge: a namespace of its own", bridge != machine)
        self.check("host: the machine's namespace", host == machine)
        self.check("container:a: the namespace of a", shared == bridge)
        self.check("none: a namespace of its own with loopback only", spaces.count(none) == 1 and links[0] == "lo")
        self.check("none: no other link", "eth0" not in " ".join(links))

    async def publish(self) -> None:
        """A web server on the LAN."""
        self.screen.step(
            "A web server, published as 8080:80",
            "Look at how 8080 leads to port 80 of the sandbox: nobody typed that. The server tells whom it sees.",
        )
        web = await self.create("web", publish=["8080:80"])
        await self.serve(web)
        for command in (*self.rules.how, self.rules.everywhere, ("ss", "-Hltn", "sport = :8080")):
            await self.show(self.machine, *command)
        host = str(self.machine.v4)
        answer = await self.ask(self.neighbour, host)
        self.check("a neighbour on the LAN gets an answer", "hello" in answer)
        self.check("the server sees the neighbour's own address", str(self.neighbour.v4) in answer)
        self.check("127.0.0.1:8080 answers on the machine", "hello" in await self.ask(self.machine, "127.0.0.1"))
        self.check("a gets an answer through the machine's address", "hello" in await self.ask(self.boxes["a"], host))
        self.check("so does the server itself (hairpin)", "hello" in await self.ask(web, host))

    async def second_network(self) -> None:
        """Isolation."""
        self.screen.step(
            "A second network, shop", "Look at the second bridge and its range: c is a port of it, and cannot reach a."
        )
        self._removals.append(RemoveNetwork("shop"))
        network = await self.engine.apply(CreateNetwork("shop"))
        c = await self.create("c", networks=["shop"])
        await self.show(self.machine, "ip", "-brief", "address", "show", "type", "bridge")
        await self.bridge_ports(f"br-{network.id[:12]}")
        self.check("c has the first address of the next range", self.address("c") == "172.18.0.2")
        async with asyncio.TaskGroup() as both:
            there = both.create_task(reaches(c, self.address("a"), _ENOUGH))
            back = both.create_task(reaches(self.boxes["a"], self.address("c"), _ENOUGH))
        self.check("c cannot reach a, nor a reach c", not there.result() and not back.result())
        answer = await self.ask(c, str(self.machine.v4))
        self.check("what is published on the machine, c reaches like everyone", "hello" in answer)

    async def closed_doors(self) -> None:
        """What was not published."""
        self.screen.step(
            "Closed doors",
            "Look at what gets no answer: what nobody published, and what is published for the machine only.",
        )
        private = await self.create("private", publish=["127.0.0.1:9090:80"])
        await self.serve(private)
        await self.show(self.machine, *self.rules.one_address)
        host = str(self.machine.v4)
        self.check("127.0.0.1:9090 answers on the machine", "hello" in await self.ask(self.machine, "127.0.0.1", 9090))
        async with asyncio.TaskGroup() as all:
            from_lan = all.create_task(self.ask(self.neighbour, host, 9090, _ENOUGH))
            routed = all.create_task(self.ask(self.neighbour, self.address("web"), 80, _ENOUGH))
            unpublished = all.create_task(self.ask(self.neighbour, host, 80, _ENOUGH))
        self.check("the neighbour does not reach what is published on 127.0.0.1", not from_lan.result())
        self.check("the neighbour, with a route to the server's own address, gets nothing", not routed.result())
        self.check("port 80 was never published on the machine", not unpublished.result())

    async def nothing_left(self) -> None:
        """The end."""
        self.screen.step("Everything is removed", "Look at what is left: docker0, and nothing that was made since.")
        links = await self.show(self.machine, "ip", "-brief", "link")
        rules = [await self.show(self.machine, *rule) for rule in (self.rules.everywhere, self.rules.one_address)]
        names = {line.split()[0].split("@")[0] for line in links.splitlines()}
        self.check("no veth, no second bridge", names == {"lo", "eth0", "docker0"})
        self.check("no rule speaks of 8080 or 9090", not re.search(r"\b(8080|9090)\b", "".join(rules)))
        self.check("nothing listens", not await self.machine.run("ss", "-Hltnu"))

    async def create(self, name: str, **wishes: Any) -> Place:
        """A sandbox, as a place to run programs in."""
        self._removals.append(RemoveSandbox(name))
        await self.engine.apply(CreateSandbox(name, **wishes))
        self.boxes[name] = Place(name, self.engine.sandbox(name).run)
        return self.boxes[name]

    async def clear(self) -> None:
        """Remove what was made, the latest first.

        A request whose caller was interrupted may still be carried out, and requests keep their order: asking for the
        removal of everything that was asked for is enough.
        """
        for box in self.boxes.values():
            await box.end()
        for removal in reversed(self._removals):
            with suppress(NotFoundError):
                await self.engine.apply(removal)

    async def serve(self, place: Place) -> None:
        """Start a web server and wait until it listens."""
        files = self.files / place.name
        files.mkdir()
        server = await place.start(*webserver.command(files))
        while not await place.run("ss", "-Hltn", "sport = :80"):
            if server.returncode is not None:
                raise ProgramFailedError(["web server"], server.returncode, "it ended before it listened")
            await asyncio.sleep(0.02)

    async def show(self, place: Place, *argv: str) -> str:
        """Run a program, print what it prints, and return it."""
        output = await place.run(*argv)
        self.screen.command(place.name, argv, output)
        return output

    async def bridge_ports(self, bridge: str) -> str:
        """`brctl show`, which reads /sys: that shows the network of who mounted it."""
        argv = ("brctl", "show", bridge)
        output = await self.machine.run(
            "unshare", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "sh", *argv
        )
        self.screen.command(self.machine.name, argv, output)
        return output

    async def ask(self, place: Place, host: str, port: int = 8080, seconds: str = _PATIENCE) -> str:
        """What the web server answers, or nothing."""
        try:
            return await place.run("curl", "-sS", "--max-time", seconds, f"http://{host}:{port}/")
        except ProgramFailedError:
            return ""

    def address(self, name: str) -> str:
        """The first address of a sandbox."""
        return str(self.engine.sandbox(name).value.endpoints[0].addresses[0].ip)


async def reaches(place: Place, address: str, seconds: str = _PATIENCE) -> bool:
    """Whether a ping is answered."""
    return await place.succeeds("ping", "-c", "1", "-W", seconds, address)


def _line(text: str, start: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(start)), "")

"""The story of a container network, step by step: the `linkspan` command acts, and stock programs are the eyes."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from linkspan.lab.command import Command
from linkspan.lab.hosts import Lab
from linkspan.lab.programs import ProgramFailedError
from linkspan.lab.screen import Screen
from linkspan.lab.webserver import web_server

Run: TypeAlias = Callable[..., Awaitable[str]]
"""Runs a program somewhere and returns what it prints; raises `ProgramFailedError`."""

_VETH = re.compile(r"veth[0-9a-f]{7}")
_PATIENCE, _ENOUGH = "5", "1"
"""Seconds to wait for an answer that should come, and for one that should not."""
_ROOTFS = ("--rootfs", "/")
"""The computer's own programs, copy-on-write."""
_ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
_UNTIL_IT_LISTENS = "until ss -Hltn sport = :80 | grep -q .; do sleep 0.05; done"


@dataclass(frozen=True)
class Rules:
    """Commands that show the firewall: how ports are published, on every address of the machine, and on one."""

    how: Sequence[Sequence[str]]
    everywhere: Sequence[str]
    one_address: Sequence[str]


class Story:
    """The steps, on one machine with one daemon."""

    def __init__(self, screen: Screen, lab: Lab, command: Command, files: Path, rules: Rules) -> None:
        self.screen = screen
        self.check = screen.check
        self.machine = lab.machine
        self.neighbour = lab.neighbour
        self.command = command
        self.files = files
        self.rules = rules

    async def tell(self) -> None:
        """The steps. Whatever comes of them, the command must be closed."""
        await self.start()
        await self.two_containers()
        await self.four_modes()
        await self.publish()
        await self.second_network()
        await self.closed_doors()
        await self.nothing_left()

    async def start(self) -> None:
        """One bridge."""
        self.screen.step("The engine starts", "Look at docker0: one new bridge, with the first address of its range.")
        self.screen.command(self.machine.name, [f"export DEMO={self.files} LINKSPAN_HOST={self.command.address}"], "")
        self.screen.command(self.machine.name, [self.command.shown(*self.command.daemon_words), "&"], "")
        await self.command.serve()
        await self.linkspan("network", "ls")
        addresses = await self.show("ip", "-brief", "address")
        self.check("docker0 has 172.17.0.1/16", "172.17.0.1/16" in _line(addresses, "docker0"))

    async def two_containers(self) -> None:
        """Veths, addresses in order, and where they belong."""
        self.screen.step(
            "Two containers, ann and bob",
            "Look at the veths: their master is docker0, and the address is not theirs but that of eth0, inside.",
        )
        await self.linkspan("run", "--dry-run", *_ROOTFS, "--name", "ann", "sleep", "infinity")
        await self.sleeper("ann")
        await self.sleeper("bob")
        await self.show("ip", "link")
        bridge = await self.bridge_ports("docker0")
        in_ann = await self.linkspan("exec", "ann", "ip", "-brief", "address")
        addresses = (await self.linkspan("inspect", "-f", _ADDRESS, "ann", "bob")).split()
        outside = await self.machine.run("ip", "-brief", "address")
        veths = set(_VETH.findall(outside))
        self.check(
            "docker0 has two ports, and they are the two veths", len(veths) == 2 and veths == set(_VETH.findall(bridge))
        )
        self.check("ann is 172.17.0.2 and bob is 172.17.0.3", addresses == ["172.17.0.2", "172.17.0.3"])
        self.check("172.17.0.2 is on eth0 inside ann", "172.17.0.2/16" in _line(in_ann, "eth0"))
        self.check("and nowhere on the machine", "172.17.0.2/" not in outside)
        self.check("ann reaches bob", await reaches(self.inside("ann"), "172.17.0.3"))
        self.check("bob reaches ann", await reaches(self.inside("bob"), "172.17.0.2"))
        self.check(
            "ann reaches the LAN, through the machine", await reaches(self.inside("ann"), str(self.neighbour.v4))
        )

    async def four_modes(self) -> None:
        """Bridge, host, container and none."""
        self.screen.step(
            "Four modes",
            "Look at the numbers: `host` is the machine's namespace, `container:ann` is ann's, `none` is empty.",
        )
        await self.sleeper("guest", "--network", "host")
        await self.sleeper("twin", "--network", "container:ann")
        await self.sleeper("alone", "--network", "none")
        look = ("readlink", "/proc/self/ns/net")
        machine = await self.show(*look)
        names = ("ann", "guest", "twin", "alone")
        bridge, host, shared, none = [await self.linkspan("exec", name, *look) for name in names]
        links = (await self.linkspan("exec", "alone", "ip", "-brief", "link")).split()
        alone = none not in (machine, bridge)
        self.check("bridge: a namespace of its own", bridge != machine)
        self.check("host: the machine's namespace", host == machine)
        self.check("container:ann: the namespace of ann", shared == bridge)
        self.check("none: a namespace of its own with loopback only", alone and links[0] == "lo")
        self.check("none: no other link", "eth0" not in " ".join(links))

    async def publish(self) -> None:
        """A web server on the LAN."""
        self.screen.step(
            "A web server, published as 8080:80",
            "Look at how 8080 leads to port 80 of the container: nobody typed that. The server tells whom it sees.",
        )
        await self.server("web", "8080:80")
        for command in (*self.rules.how, self.rules.everywhere, ("ss", "-Hltn", "sport = :8080")):
            await self.show(*command)
        host = str(self.machine.v4)
        answer = await ask(self.neighbour.run, host)
        self.check("a neighbour on the LAN gets an answer", "hello" in answer)
        self.check("the server sees the neighbour's own address", str(self.neighbour.v4) in answer)
        self.check("127.0.0.1:8080 answers on the machine", "hello" in await ask(self.machine.run, "127.0.0.1"))
        self.check("ann gets an answer through the machine's address", "hello" in await ask(self.inside("ann"), host))
        self.check("so does the server itself (hairpin)", "hello" in await ask(self.inside("web"), host))

    async def second_network(self) -> None:
        """Isolation."""
        self.screen.step(
            "A second network, shop",
            "Look at the second bridge and its range: carl is a port of it, and cannot reach ann.",
        )
        network = await self.linkspan("network", "create", "shop")
        await self.sleeper("carl", "--network", "shop")
        await self.show("ip", "-brief", "address", "show", "type", "bridge")
        await self.bridge_ports(f"br-{network[:12]}")
        carl = await self.address("carl")
        self.check("carl has the first address of the next range", carl == "172.18.0.2")
        async with asyncio.TaskGroup() as both:
            there = both.create_task(reaches(self.inside("carl"), "172.17.0.2", _ENOUGH))
            back = both.create_task(reaches(self.inside("ann"), carl, _ENOUGH))
        self.check("carl cannot reach ann, nor ann reach carl", not there.result() and not back.result())
        answer = await ask(self.inside("carl"), str(self.machine.v4))
        self.check("what is published on the machine, carl reaches like everyone", "hello" in answer)

    async def closed_doors(self) -> None:
        """What was not published."""
        self.screen.step(
            "Closed doors",
            "Look at what gets no answer: what nobody published, and what is published for the machine only.",
        )
        await self.server("private", "127.0.0.1:9090:80")
        await self.show(*self.rules.one_address)
        status = await self.linkspan("status")
        web = await self.address("web")
        host = str(self.machine.v4)
        self.check("linkspan status: nothing is wrong", "Nothing is wrong." in status)
        self.check("127.0.0.1:9090 answers on the machine", "hello" in await ask(self.machine.run, "127.0.0.1", 9090))
        async with asyncio.TaskGroup() as all:
            from_lan = all.create_task(ask(self.neighbour.run, host, 9090, _ENOUGH))
            routed = all.create_task(ask(self.neighbour.run, web, 80, _ENOUGH))
            unpublished = all.create_task(ask(self.neighbour.run, host, 80, _ENOUGH))
        self.check("the neighbour does not reach what is published on 127.0.0.1", not from_lan.result())
        self.check("the neighbour, with a route to the server's own address, gets nothing", not routed.result())
        self.check("port 80 was never published on the machine", not unpublished.result())

    async def nothing_left(self) -> None:
        """The end."""
        self.screen.step("Everything is removed", "Look at what is left: docker0, and nothing that was made since.")
        await self.linkspan("rm", "-f", "private", "carl", "web", "alone", "twin", "guest", "bob", "ann")
        await self.linkspan("network", "rm", "shop")
        links = await self.show("ip", "-brief", "link")
        rules = [await self.show(*rule) for rule in (self.rules.everywhere, self.rules.one_address)]
        names = {line.split()[0].split("@")[0] for line in links.splitlines()}
        self.check("no veth, no second bridge", names == {"lo", "eth0", "docker0"})
        self.check("no rule speaks of 8080 or 9090", not re.search(r"\b(8080|9090)\b", "".join(rules)))
        self.check("nothing listens", not await self.machine.run("ss", "-Hltnu"))

    async def sleeper(self, name: str, *flags: str) -> None:
        """A container in which nothing happens by itself."""
        await self.linkspan("run", *_ROOTFS, "-d", "--name", name, *flags, "sleep", "infinity")

    async def server(self, name: str, publish: str) -> None:
        """A container with a web server, once it listens."""
        flags, command = web_server(self.files)
        await self.linkspan("run", *_ROOTFS, "-d", "--name", name, "-p", publish, *flags, *command)
        await self.inside(name)("timeout", "20", "sh", "-c", _UNTIL_IT_LISTENS)

    async def linkspan(self, *words: str) -> str:
        """Run the command on the machine, print what it prints, and return it."""
        output = await self.command.run(*words)
        self.screen.command(self.machine.name, [self.command.shown(*words)], output)
        return output

    async def show(self, *argv: str) -> str:
        """Run a program on the machine, print what it prints, and return it."""
        output = await self.machine.run(*argv)
        self.screen.command(self.machine.name, argv, output)
        return output

    def inside(self, name: str) -> Run:
        """Runs programs in a container."""
        return partial(self.command.run, "exec", name)

    async def address(self, name: str) -> str:
        """The address of a container."""
        return (await self.command.run("inspect", "-f", _ADDRESS, name)).strip()

    async def bridge_ports(self, bridge: str) -> str:
        """`brctl show`, which reads /sys: that shows the network of who mounted it."""
        argv = ("brctl", "show", bridge)
        output = await self.machine.run(
            "unshare", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "sh", *argv
        )
        self.screen.command(self.machine.name, argv, output)
        return output


async def ask(run: Run, host: str, port: int = 8080, seconds: str = _PATIENCE) -> str:
    """What the web server answers, or nothing."""
    try:
        return await run("curl", "-sS", "--max-time", seconds, f"http://{host}:{port}/")
    except ProgramFailedError:
        return ""


async def reaches(run: Run, address: str, seconds: str = _PATIENCE) -> bool:
    """Whether a ping is answered."""
    try:
        await run("ping", "-c", "1", "-W", seconds, address)
    except ProgramFailedError:
        return False
    return True


def _line(text: str, start: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(start)), "")

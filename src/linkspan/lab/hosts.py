"""A LAN of computers, each a network namespace.

Theory of operation. The switch of the LAN is a bridge in a namespace of its own; every host is another namespace, whose
`eth0` is one end of a veth pair with the other end in the switch. So nothing is ever made in the network of the machine
you sit at: it only gains namespaces, pinned in a temporary directory. One host is the machine on which an engine will
run; the others are its neighbours. Their default route leads to the machine and the machine's to the first of them:
whoever wants to reach what it should not has the route for it.

The wires are plan objects applied by a kernel, like everything an engine builds. Two kernels are needed, since a kernel
makes links in one namespace only: one for the switch's namespace, in that of the process, and one inside the switch.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

from linkspan.engine.ports import Kernel
from linkspan.lab.programs import Place
from linkspan.model.addressing import VERSIONS, IPNetwork, Version, interface
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    KernelObject,
    Namespace,
    Route,
    Sysctl,
    Up,
    Veth,
    mark,
)
from linkspan.plan.operations import diff

LAN: dict[Version, IPNetwork] = {4: ip_network("192.0.2.0/24"), 6: ip_network("2001:db8::/64")}
"""Addresses set aside for documentation: no real network has them."""

MACHINE = "machine"
_EVERYWHERE: dict[Version, IPNetwork] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_SWITCH, _BRIDGE, _MTU = "switch", "lan", 1500


class OpenKernel(Protocol):
    """Opens a kernel in a namespace (None: that of the process), with its pins under `exec_root`."""

    async def __call__(self, *, namespace: Path | None, exec_root: Path) -> Kernel: ...


class Host(Place):
    """A computer on the LAN."""

    def __init__(self, name: str, number: int, kernel: Kernel) -> None:
        super().__init__(name, partial(kernel.spawn, sandbox=name))
        self.v4, self.v6 = LAN[4][number], LAN[6][number]
        self.namespace = kernel.namespace_path(name)


@dataclass(frozen=True)
class Lab:
    """The hosts of one LAN by name."""

    machine: Host
    neighbours: tuple[Host, ...]

    @property
    def neighbour(self) -> Host:
        """The first neighbour."""
        return self.neighbours[0]


@asynccontextmanager
async def lab(open_kernel: OpenKernel, *, neighbours: Sequence[str] = ("neighbour",)) -> AsyncIterator[Lab]:
    """A machine and its neighbours; destroyed, with all programs started on them, when the block ends.

    Names are at most 12 characters long, the part of an id that a pin is named by.
    """
    root = Path(tempfile.mkdtemp(prefix="linkspan-lab-"))
    names = (MACHINE, *neighbours)
    try:
        async with (
            _holding(await open_kernel(namespace=None, exec_root=root / "switch"), (Namespace(_SWITCH),)) as outside,
            _holding(
                await open_kernel(namespace=outside.namespace_path(_SWITCH), exec_root=root / "hosts"),
                tuple(wires(names)),
            ) as kernel,
        ):
            machine, *others = (Host(name, number, kernel) for number, name in enumerate(names, 1))
            try:
                yield Lab(machine, tuple(others))
            finally:
                for host in (machine, *others):
                    await host.end()
    finally:
        shutil.rmtree(root)


def wires(names: Sequence[str]) -> Iterator[KernelObject]:
    """The kernel objects of a LAN, seen from inside the switch."""
    yield Bridge(_BRIDGE, _mac(0), _MTU, mark("lab", "network", _BRIDGE))
    yield Up(HOST, _BRIDGE)
    for number, name in enumerate(names, 1):
        port = f"port{number}"
        yield Namespace(name)
        yield Veth(port, _BRIDGE, name, "eth0", _mac(number), _MTU, isolated=False, owner=mark("lab", "endpoint", name))
        yield Up(HOST, port)
        yield Up(name, "eth0")
        yield Sysctl(name, "net.ipv6.conf.default.disable_ipv6", "0")  # a computer, not a container: IPv6 is on
        yield Sysctl(name, "net.ipv6.conf.eth0.disable_ipv6", "0", "eth0")
        way_out = 2 if number == 1 else 1
        for version in VERSIONS:
            yield Address(name, "eth0", interface(LAN[version][number], LAN[version].prefixlen))
            if way_out <= len(names):
                yield Route(name, _EVERYWHERE[version], LAN[version][way_out], "eth0")


def _mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


@asynccontextmanager
async def _holding(kernel: Kernel, objects: Sequence[KernelObject]) -> AsyncIterator[Kernel]:
    """The objects exist while the block runs."""
    try:
        try:
            await kernel.apply(diff((), objects))
            yield kernel
        finally:
            await kernel.apply(diff(objects, ()), tolerant=True)
    finally:
        await kernel.close()

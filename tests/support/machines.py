"""Kernels to make the same claims about: Linux in a namespace made for the test, and the one in memory."""

import asyncio
import socket
import subprocess
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Protocol as Interface
from typing import TypeVar

from linkspan.engine.ports import Kernel
from linkspan.kernel.linux import LinuxKernel
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.thread import enter, visit
from linkspan.model.addressing import IPAddress
from linkspan.model.ports import Protocol
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    FirewallObject,
    KernelObject,
    Namespace,
    Route,
    Sysctl,
    Up,
    Veth,
    mark,
)
from linkspan.plan.observation import Foreign, Observation
from linkspan.plan.operations import Operation, Verb, diff
from tests.fakes.kernel import FakeKernel

ENGINE = "e" * 64
Value = TypeVar("Value")


class NoFirewall:
    """A backend that holds nothing."""

    tables = ()

    def __init__(self, engine_id: str) -> None:
        pass

    def apply(self, operations: Sequence[Operation]) -> None:
        pass

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        return (), ()

    def close(self) -> None:
        pass


class Machine(Interface):
    """A kernel under test, called without `await`."""

    kernel: Kernel
    runner: asyncio.Runner

    def apply(self, *operations: Operation, tolerant: bool = False) -> None:
        self.runner.run(self.kernel.apply(operations, tolerant=tolerant))

    def add(self, *items: KernelObject, tolerant: bool = False) -> None:
        self.apply(*(Operation(Verb.ADD, item) for item in items), tolerant=tolerant)

    def remove(self, *items: KernelObject) -> None:
        self.apply(*(Operation(Verb.REMOVE, item) for item in items))

    def observe(self, *desired: KernelObject) -> Observation:
        return self.runner.run(self.kernel.observe(desired))

    def difference(self, desired: Iterable[KernelObject]) -> tuple[Operation, ...]:
        """What is missing for `desired`, or too much."""
        wanted = tuple(desired)
        return diff(self.observe(*wanted).objects, wanted)

    @abstractmethod
    def reopen(self) -> None:
        """As if the process had ended and started again."""

    @abstractmethod
    def occupy(self, protocol: Protocol, address: IPAddress, port: int) -> None:
        """Another process takes a port."""

    @abstractmethod
    def interlope(self, name: str, alias: str) -> None:
        """Somebody else makes a bridge."""


class FakeMachine(Machine):
    """The one in memory."""

    kernel: FakeKernel

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.kernel = FakeKernel()

    def reopen(self) -> None:
        self.runner.run(self.kernel.close())

    def occupy(self, protocol: Protocol, address: IPAddress, port: int) -> None:
        self.kernel.taken.add((protocol, address, port))

    def interlope(self, name: str, alias: str) -> None:
        self.kernel.strangers[name] = alias


class LinuxMachine(Machine):
    """Linux, in a network namespace of its own."""

    kernel: LinuxKernel

    def __init__(self, runner: asyncio.Runner, namespace: Path, exec_root: Path) -> None:
        self.runner = runner
        self.namespace = namespace
        self.exec_root = exec_root
        self._others: list[socket.socket] = []
        self._open()

    def _open(self) -> None:
        self.kernel = self.runner.run(
            LinuxKernel.open(namespace=self.namespace, exec_root=self.exec_root, engine_id=ENGINE, firewall=NoFirewall)
        )

    def reopen(self) -> None:
        self.runner.run(self.kernel.close())
        self._open()

    def close(self) -> None:
        for other in self._others:
            other.close()
        self.runner.run(self.kernel.close())

    def inside(self, function: Callable[[], Value], sandbox: str = HOST) -> Value:
        """Call `function` in the machine's namespace, or a sandbox's."""

        def call() -> Value:
            enter(self.kernel.namespace_path(sandbox) if sandbox else self.namespace)
            return function()

        return visit(call)

    def run(self, command: str, sandbox: str = HOST) -> str:
        """Run a command line in the machine's namespace, or a sandbox's."""
        path = self.kernel.namespace_path(sandbox) if sandbox else self.namespace
        argv = ["nsenter", f"--net={path}", "sh", "-ec", command]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def occupy(self, protocol: Protocol, address: IPAddress, port: int) -> None:
        kind = socket.SOCK_DGRAM if protocol is Protocol.UDP else socket.SOCK_STREAM
        other = self.inside(lambda: socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, kind))
        self._others.append(other)
        if address.version == 6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind((str(address), port))

    def interlope(self, name: str, alias: str) -> None:
        self.run(f"ip link add {name} type bridge && ip link set {name} alias '{alias}'")


@contextmanager
def linux_machine(tmp_path: Path) -> Iterator[LinuxMachine]:
    """A namespace, the kernel in it, and nothing left afterwards."""
    hosts = Namespaces(tmp_path / "hosts")
    name = uuid.uuid4().hex
    hosts.create(name).close()
    exec_root = tmp_path / "exec"
    with asyncio.Runner() as runner:
        try:
            machine = LinuxMachine(runner, hosts.path(name), exec_root)
            try:
                yield machine
            finally:
                machine.close()
        finally:
            sandboxes = Namespaces(exec_root / "netns")
            for pin in list(sandboxes.pins()):
                sandboxes.remove(pin.name)
            hosts.remove(name)


@contextmanager
def fake_machine() -> Iterator[FakeMachine]:
    """The one in memory."""
    with asyncio.Runner() as runner:
        yield FakeMachine(runner)


GATEWAY = {4: ip_address("172.17.0.1"), 6: ip_address("fd00::1")}
DEFAULT = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def bridge(name: str = "docker0", *, mtu: int = 1500) -> Bridge:
    return Bridge(name, "02:42:00:00:00:01", mtu, mark(ENGINE, "network", name))


def network(name: str = "docker0") -> list[KernelObject]:
    """A bridge with addresses of both families, up."""
    return [
        bridge(name),
        Sysctl(HOST, f"net.ipv6.conf.{name}.disable_ipv6", "0", name),
        Sysctl(HOST, f"net.ipv6.conf.{name}.accept_ra", "0", name),
        Address(HOST, name, ip_interface("172.17.0.1/16")),
        Address(HOST, name, ip_interface("fd00::1/64")),
        Up(HOST, name),
    ]


def sandbox_id(number: int) -> str:
    return f"{number:04x}" * 16


def veth(number: int, *, bridge: str = "docker0", peer: str = "eth0", mtu: int = 1500) -> Veth:
    id = sandbox_id(number)
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    return Veth(f"veth{id[:7]}", bridge, id, peer, mac, mtu, isolated=False, owner=mark(ENGINE, "endpoint", id))


def sandbox(number: int, bridge: str = "docker0") -> list[KernelObject]:
    """A namespace with one interface, addresses and default routes of both families."""
    pair, id = veth(number, bridge=bridge), sandbox_id(number)
    return [
        Namespace(id),
        pair,
        Up(HOST, pair.name),
        Sysctl(id, "net.ipv6.conf.eth0.disable_ipv6", "0", "eth0"),
        Address(id, "eth0", ip_interface(f"172.17.{number >> 8}.{(number & 255) + 2}/16")),
        Address(id, "eth0", ip_interface(f"fd00::{number + 2:x}/64")),
        Up(id, "eth0"),
        Route(id, DEFAULT[4], GATEWAY[4], "eth0"),
        Route(id, DEFAULT[6], GATEWAY[6], "eth0"),
    ]


def open_files() -> int:
    """How many descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())

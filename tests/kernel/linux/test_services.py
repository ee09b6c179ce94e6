"""What is taken over from a data plane that went on while nobody of ours was there."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from linkspan.dataplane.local import LocalDataPlane
from linkspan.kernel.linux import LinuxKernel
from linkspan.model.dataplane import HostPort, NameEntry, Resolver
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import Namespace, mark
from linkspan.plan.operations import diff
from tests.fakes.planes import Plane
from tests.support.machines import ENGINE, LinuxMachine, NoFirewall, open_files, sandbox_id

BOX = sandbox_id(1)
OWNER = mark(ENGINE, "sandbox", BOX)
PORT = HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(8080, 8081), OWNER)
RESOLVER = Resolver(BOX, ("n",), OWNER)
NAME = NameEntry("n", BOX, ("web",), (), OWNER)


def duplicates(machine: LinuxMachine, *services: HostPort | Resolver) -> Plane:
    """A data plane that holds the sockets which the machine has now."""
    found = machine.kernel._machine.services.find([service.key for service in services])
    held = {key: (each[0], tuple(map(os.dup, each[1]))) for key, each in found.items() if each is not None}
    return Plane(held)


def served(machine: LinuxMachine, plane: Plane, work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with machine.kernel.served_by(plane, outlives=True):
            await work()

    machine.runner.run(whole())


def inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def test_ports_and_names_are_there_again_with_the_same_sockets(machine: LinuxMachine) -> None:
    machine.add(Namespace(BOX), PORT, RESOLVER)
    plane = duplicates(machine, PORT, RESOLVER)
    plane.held |= {NAME.key: (NAME, ())}
    sockets = {key: [inode(fd) for fd in descriptors] for key, (_, descriptors) in plane.held.items()}
    machine.reopen()

    async def look() -> None:
        seen = await machine.kernel.observe([Namespace(BOX)])
        assert set(seen.objects) == {Namespace(BOX), PORT, RESOLVER, NAME}
        wanted = machine.kernel.wanted()
        assert wanted is not None
        assert {key: [inode(fd) for fd in descriptors] for key, (_, descriptors) in wanted.items()} == sockets

    served(machine, plane, look)
    assert plane.told == []


def test_a_resolver_of_a_namespace_that_is_gone_is_dropped(machine: LinuxMachine) -> None:
    machine.add(Namespace(BOX), RESOLVER)
    plane = duplicates(machine, RESOLVER)
    machine.remove(Namespace(BOX))
    machine.reopen()
    before = open_files()

    async def look() -> None:
        assert machine.kernel.wanted() == {}

    served(machine, plane, look)
    assert plane.told == [([], [RESOLVER.key])]
    assert open_files() == before - 3


def test_without_a_data_plane_nothing_is_wanted_of_one(machine: LinuxMachine) -> None:
    machine.add(PORT)
    assert machine.kernel.wanted() is None
    served(machine, Plane(), lambda: asyncio.sleep(0))
    assert machine.kernel.wanted() is None


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_a_data_plane_that_holds_a_socket_for_each_family_lets_go_of_them_for_those_of_both(
    machine: LinuxMachine, protocol: Protocol
) -> None:
    """As at the upgrade of an engine that had two sockets for each port of a range; and back."""
    ports = PortRange(9000, 9099)
    six = HostPort(protocol, ip_address("::"), ports, OWNER, (ip_address("127.0.0.9"), ports))
    apart = [six, replace(six, address=ip_address("0.0.0.0"), relay=None)]
    together = [replace(six, both=True)]

    async def changed(plane: LocalDataPlane, wanted: list[HostPort]) -> None:
        async with machine.kernel.served_by(plane, outlives=True):
            seen = await machine.kernel.observe(())
            await machine.kernel.apply(diff(seen.objects, wanted))
        assert {service for service, _ in plane._services.held.values()} == set(wanted)

    async def whole() -> None:
        before = open_files()
        async with LocalDataPlane.open(lambda _, family, kind: socket.socket(family, kind)) as plane:
            for wanted in (apart, together, apart, []):
                await changed(plane, wanted)
                await machine.kernel.close()
                machine.kernel = await LinuxKernel.open(
                    namespace=machine.namespace, exec_root=machine.exec_root, engine_id=ENGINE, firewall=NoFirewall
                )
        assert open_files() == before

    machine.runner.run(whole())

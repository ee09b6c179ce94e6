"""Pinned namespaces: how they are born, what a crash leaves, and that nothing keeps them alive."""

from pathlib import Path

import pytest

from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.rtnl import list_links
from linkspan.plan.objects import Namespace
from linkspan.plan.operations import diff
from tests.support.machines import LinuxMachine, network, open_files, sandbox, sandbox_id

ONE = sandbox_id(1)


def test_a_new_namespace_has_loopback_up_with_both_addresses(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    shown = machine.run("ip --brief address show lo", ONE).split()
    assert shown == ["lo", "UNKNOWN", "127.0.0.1/8", "::1/128"]


def test_interfaces_to_come_have_ipv6_off_and_announce_themselves(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    settings = "ipv6.conf.default.disable_ipv6 ipv4.conf.default.arp_notify ipv6.conf.default.ndisc_notify"
    machine.run("ip link add new0 type bridge", ONE)
    for setting in settings.split():
        name = f"net.{setting}".replace("default", "new0")
        assert machine.run(f"sysctl --values {name}", ONE).strip() == "1"
    assert machine.run("sysctl --values net.ipv6.conf.new0.accept_ra", ONE).strip() == "0"


def test_only_visiting_threads_move(machine: LinuxMachine) -> None:
    def mine() -> Path:
        return Path("/proc/thread-self/ns/net").readlink()

    process, kernel = mine(), machine.runner.run(machine.kernel._thread.run(mine))
    machine.apply(*diff([], [*network(), *sandbox(1)]))
    machine.observe(*network(), *sandbox(1))
    assert mine() == process
    assert machine.runner.run(machine.kernel._thread.run(mine)) == kernel != process


def test_a_file_without_a_namespace_is_seen_and_removed_when_nobody_wants_it(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    machine.run(f"umount {machine.kernel.namespace_path(ONE)}")
    assert machine.observe().objects == (Namespace(ONE[:12]),)
    machine.apply(*machine.difference([]))
    assert machine.observe().objects == ()
    assert not machine.kernel.namespace_path(ONE).exists()


def test_a_file_without_a_namespace_is_mounted_over_when_it_is_wanted(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    machine.run(f"umount {machine.kernel.namespace_path(ONE)}")
    assert machine.observe(Namespace(ONE)).objects == ()
    machine.add(Namespace(ONE))
    assert machine.difference([Namespace(ONE)]) == ()


def test_stacked_mounts_are_all_removed(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    path = machine.kernel.namespace_path(ONE)
    machine.run(f"mount --bind /proc/self/ns/net {path}")
    machine.remove(Namespace(ONE))
    assert not path.exists()
    assert str(path) not in Path("/proc/self/mounts").read_text()


def test_a_socket_follows_its_sandbox_to_a_new_namespace(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    machine.run("ip link add old0 type bridge", ONE)
    machine.run(f"umount {machine.kernel.namespace_path(ONE)}")
    machine.add(Namespace(ONE))
    assert "old0" not in machine.run("ip --brief link", ONE)
    assert machine.difference([Namespace(ONE)]) == ()


def test_creating_what_cannot_be_pinned_leaves_nothing(tmp_path: Path) -> None:
    namespaces = Namespaces(tmp_path / "file" / "netns")
    (tmp_path / "file").touch()
    before = open_files()
    with pytest.raises(NotADirectoryError):
        namespaces.create(ONE)
    assert open_files() == before


def test_removed_sandboxes_leave_no_descriptor_behind(machine: LinuxMachine) -> None:
    before = open_files()
    for number in range(5):
        machine.add(Namespace(sandbox_id(number)))
    assert open_files() > before
    for number in range(5):
        machine.remove(Namespace(sandbox_id(number)))
    assert open_files() == before


def test_opening_many_namespaces_takes_one_socket_each(machine: LinuxMachine) -> None:
    wanted = [Namespace(sandbox_id(number)) for number in range(5)]
    machine.add(*wanted)
    namespaces = Namespaces(machine.exec_root / "netns")
    before = open_files()
    sockets = namespaces.open([item.id for item in wanted])
    assert open_files() == before + 5
    assert [len(socket.dump(list_links())) for socket in sockets] == [1] * 5
    for socket in sockets:
        socket.close()


def test_a_restarted_kernel_knows_sandboxes_by_the_digits_of_the_file(machine: LinuxMachine) -> None:
    machine.add(*sandbox(1)[:1])
    machine.reopen()
    assert machine.observe().objects == (Namespace(ONE[:12]),)

"""Whatever others do to what we built is seen as a difference, and performing that difference repairs it."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from linkspan.kernel import rtnl
from linkspan.kernel.links import look_up
from linkspan.kernel.netlink import Socket
from linkspan.plan.objects import HOST, Sysctl
from linkspan.plan.operations import diff
from tests.support.machines import LinuxMachine, network, sandbox, sandbox_id, veth

ONE, TWO = sandbox_id(1), sandbox_id(2)
LOCALNET = Sysctl(HOST, "net.ipv4.conf.docker0.route_localnet", "1", "docker0")
WHOLE = [*network(), LOCALNET, *sandbox(1), *sandbox(2)]

ON_THE_HOST = [
    "ip link delete docker0",
    "ip link set docker0 down",
    "ip link set docker0 mtu 1400",
    "ip link set docker0 address 02:42:00:00:00:99",
    "ip address delete 172.17.0.1/16 dev docker0",
    "ip address delete 172.17.0.1/16 dev docker0 && ip address add 172.17.0.1/24 dev docker0",
    "ip address flush dev docker0",
    "sysctl --quiet --write net.ipv4.conf.docker0.route_localnet=0",
    "ip link delete HOSTEND",
    "ip link set HOSTEND down",
    "ip link set HOSTEND nomaster",
    "ip link set HOSTEND mtu 1400",
    "bridge link set dev HOSTEND hairpin off",
    "bridge link set dev HOSTEND isolated on",
    "ip link add other type bridge && ip link set HOSTEND master other",
    "ip link delete docker0 && ip link delete HOSTEND",
    "umount PIN",
    "umount PIN && rm PIN",
]
INSIDE = [
    "ip link delete eth0",
    "ip link set eth0 down",
    "ip link set eth0 down && ip link set eth0 name net0",
    "ip link set eth0 down && ip link set eth0 name net0 && ip link set net0 up",
    "ip link set eth0 mtu 1400",
    "ip link set eth0 address 02:00:00:00:00:99",
    "ip address flush dev eth0",
    "ip address delete 172.17.0.3/16 dev eth0 && ip address add 172.17.0.3/24 dev eth0",
    "ip address delete fd00::3/64 dev eth0",
    "ip route delete default",
    "ip route replace default dev eth0",
    "ip route replace default via 172.17.0.9",
    "ip -6 route replace default via fd00::9",
    "sysctl --quiet --write net.ipv6.conf.eth0.disable_ipv6=1",
    "ip link set eth0 netns OTHERPIN name eth7",
]


def damage(machine: LinuxMachine, command: str, where: str) -> None:
    command = command.replace("HOSTEND", veth(1).name)
    command = command.replace("OTHERPIN", str(machine.kernel.namespace_path(TWO)))
    machine.run(command.replace("PIN", str(machine.kernel.namespace_path(ONE))), where)


@pytest.mark.parametrize(
    ("where", "command"), [(HOST, command) for command in ON_THE_HOST] + [(ONE, command) for command in INSIDE]
)
def test_damage_is_seen_and_repaired(machine: LinuxMachine, where: str, command: str) -> None:
    machine.apply(*diff([], WHOLE))
    assert machine.difference(WHOLE) == ()
    damage(machine, command, where)
    difference = machine.difference(WHOLE)
    assert difference
    machine.apply(*difference)
    assert machine.difference(WHOLE) == ()
    machine.run("ping -q -c 1 -W 30 172.17.0.4 && ping -q -c 1 -W 30 fd00::4", ONE)


@pytest.mark.parametrize(
    "command",
    [
        "ip link add br0 type bridge && ip link set br0 up && ip address add 10.0.0.1/24 dev br0",
        "ip route add 10.1.0.0/16 via 172.17.0.1",
        "ip address add 172.17.0.77/16 dev eth0",
        "ip link set lo down",
    ],
)
def test_what_a_sandbox_makes_for_itself_is_its_own_business(machine: LinuxMachine, command: str) -> None:
    machine.apply(*diff([], WHOLE))
    machine.run(command, ONE)
    assert machine.difference(WHOLE) == ()


def test_another_engine_in_the_same_namespace_is_not_seen(machine: LinuxMachine) -> None:
    machine.run("ip link add br-other type bridge && ip link set br-other alias linkspan:ffffffffffff:network:1 up")

    def furnish() -> None:
        (link,) = look_up(connection := Socket(), ["br-other"]).values()
        connection.call(rtnl.new_address(link.ifindex, ip_interface("10.9.0.1/24")))
        connection.call(rtnl.new_route(ip_network("10.10.0.0/24"), ip_address("10.9.0.2"), link.ifindex))
        connection.close()

    machine.inside(furnish)
    assert machine.observe().objects == ()
    assert "10.9.0.0/24" in [str(route) for route in machine.runner.run(machine.kernel.host_facts()).occupied]


def test_our_own_bridges_are_no_routes_of_the_host(machine: LinuxMachine) -> None:
    machine.apply(*diff([], WHOLE))
    occupied = machine.runner.run(machine.kernel.host_facts()).occupied
    assert all(prefix.num_addresses == 1 for prefix in occupied)  # name servers
    assert set(occupied) < set(machine.runner.run(machine.kernel.occupied()))


def test_what_was_marked_and_is_no_longer_wanted_is_seen(machine: LinuxMachine) -> None:
    """As after a crash between the kernel and the store: nothing but the marks says what is ours."""
    machine.apply(*diff([], WHOLE))
    machine.reopen()
    machine.apply(*machine.difference([]))
    assert machine.observe().objects == ()
    assert machine.run("ip --brief link").split()[0] == "lo"
    assert len(machine.run("ip --brief link").splitlines()) == 1

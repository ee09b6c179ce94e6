"""Operations as the lines a person would type."""

import shlex
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from hypothesis import given

from linkspan.kernel import namespaces
from linkspan.model.ports import Protocol
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    KernelObject,
    Namespace,
    NftChain,
    NftElement,
    NftRule,
    NftTable,
    Route,
    Sysctl,
    Up,
    Veth,
)
from linkspan.plan.operations import Operation, Verb, diff
from linkspan.plan.render import NAMESPACE_SETTINGS, render
from linkspan.plan.ruleset import nft_script
from tests.support.intents import OWNER, everything, ports
from tests.support.strategies import plans

SANDBOX = "a" * 64
PAIR = Veth("veth1234567", "docker0", SANDBOX, "eth0", "02:42:ac:11:00:02", 1500, isolated=True, owner="mark")


def add(item: KernelObject) -> list[str]:
    return render([Operation(Verb.ADD, item)])


def remove(item: KernelObject) -> list[str]:
    return render([Operation(Verb.REMOVE, item)])


def change(before: KernelObject, after: KernelObject) -> list[str]:
    return render([Operation(Verb.REPLACE, after, before)])


def test_a_bridge_is_made_and_marked() -> None:
    bridge = Bridge("docker0", "02:42:00:00:00:01", 1500, "linkspan:e:network:1")
    assert add(bridge) == [
        "ip link add docker0 address 02:42:00:00:00:01 type bridge stp_state 0 forward_delay 0",
        "ip link set docker0 mtu 1500 alias linkspan:e:network:1",
    ]
    assert remove(bridge) == ["ip link delete docker0"]


def test_a_pair_is_made_with_its_other_end_in_the_namespace() -> None:
    assert add(PAIR) == [
        "ip link add veth1234567 mtu 1500 type veth"
        " peer name eth0 netns aaaaaaaaaaaa address 02:42:ac:11:00:02 mtu 1500",
        "ip link set veth1234567 addrgenmode none",
        "ip link set veth1234567 mtu 1500 master docker0 alias mark",
        "bridge link set dev veth1234567 hairpin on isolated on",
    ]
    assert remove(PAIR) == ["ip link delete veth1234567"]


def test_a_pair_whose_other_end_is_elsewhere_is_made_anew() -> None:
    lines = change(replace(PAIR, peer="eth7"), PAIR)
    assert lines == ["ip link delete veth1234567", *add(PAIR)]


def test_a_pair_that_left_its_bridge_returns() -> None:
    assert change(replace(PAIR, bridge=""), PAIR) == add(PAIR)[2:]


def test_a_namespace_is_born_with_the_settings_that_the_kernel_room_gives_it() -> None:
    assert {f"net.{name.replace('/', '.')}": value for name, value in namespaces._BIRTH_SETTINGS} == NAMESPACE_SETTINGS
    lines = add(Namespace(SANDBOX))
    assert lines[0] == "ip netns add aaaaaaaaaaaa"
    assert lines[-1] == "ip -n aaaaaaaaaaaa link set lo up"


def test_a_sandbox_can_be_shown_by_another_name() -> None:
    assert render([Operation(Verb.ADD, Up(SANDBOX, "eth0"))], {SANDBOX: "web"}) == ["ip -n web link set eth0 up"]


def test_addresses_are_added_without_waiting() -> None:
    four, six = Address(HOST, "br0", ip_interface("10.0.0.1/24")), Address(SANDBOX, "eth0", ip_interface("fd00::2/64"))
    assert add(four) == ["ip address add 10.0.0.1/24 dev br0 broadcast +  # proto 76"]
    assert add(six) == ["ip -n aaaaaaaaaaaa address add fd00::2/64 dev eth0 nodad  # proto 76"]
    assert remove(four) == ["ip address delete 10.0.0.1/24 dev br0"]


def test_a_route_is_marked_with_our_protocol() -> None:
    route = Route(SANDBOX, ip_network("0.0.0.0/0"), ip_address("172.17.0.1"), "eth0")
    assert add(route) == ["ip -n aaaaaaaaaaaa route add default via 172.17.0.1 dev eth0 proto 76"]
    six = Route(SANDBOX, ip_network("::/0"), ip_address("fd00::1"), "eth0")
    assert remove(six) == ["ip -n aaaaaaaaaaaa -6 route delete default via fd00::1 dev eth0 proto 76"]


def test_a_setting_of_an_interface_with_a_dot_in_its_name_is_spelled_with_slashes() -> None:
    setting = Sysctl(HOST, "net.ipv4.conf.br0.5.route_localnet", "1", "br0.5")
    assert add(setting) == ["sysctl -qw net/ipv4/conf/br0.5/route_localnet=1"]
    assert add(Sysctl(HOST, "net.ipv4.ip_forward", "1")) == ["sysctl -qw net.ipv4.ip_forward=1"]


def test_a_held_port_is_a_remark() -> None:
    held = HostPort(Protocol.TCP, ip_address("0.0.0.0"), ports("8080"), OWNER)
    assert add(held) == ["# reserve 0.0.0.0:8080/tcp (bound socket)"]
    both = replace(held, address=ip_address("::"), relay=(ip_address("10.0.0.2"), ports("80")), both=True)
    assert add(both) == [
        "# reserve 0.0.0.0:8080/tcp and [::]:8080/tcp (bound socket of both families),"
        " and relay what NAT leaves to 10.0.0.2:80"
    ]
    relayed = replace(held, address=ip_address("::"), relay=(ip_address("fd17::4"), ports("80")))
    assert add(relayed) == ["# reserve [::]:8080/tcp (bound socket), and relay what NAT leaves to [fd17::4]:80"]
    assert remove(held) == ["# release 0.0.0.0:8080/tcp"]


def test_an_element_is_one_line() -> None:
    element = NftElement("anyports4", "tcp . 8080", "172.17.0.4 . 80", "owner")
    assert add(element) == [
        "nft 'add element inet linkspan anyports4 { tcp . 8080 comment \"owner\" : 172.17.0.4 . 80 }'"
    ]
    assert remove(element) == ["nft 'delete element inet linkspan anyports4 { tcp . 8080 }'"]


def test_a_changed_element_is_removed_and_added() -> None:
    element = NftElement("anyports4", "tcp . 8080", "172.17.0.4 . 80", "owner")
    verbs = [line.split()[1] for line in change(replace(element, value="172.17.0.5 . 80"), element)]
    assert verbs == ["'delete", "'add"]


def test_a_changed_chain_gets_all_its_rules_anew() -> None:
    chain = NftChain("forward", "type filter hook forward priority filter; policy accept;", (NftRule("accept", "all"),))
    changed = change(replace(chain, rules=()), chain)
    assert changed[0] == "nft 'flush chain inet linkspan forward'"
    assert [line.split()[1:3] for line in changed[1:]] == [["'add", "rule"]]
    assert "delete chain" in change(replace(chain, hook=""), chain)[1]


def test_the_removal_of_the_table_says_it_all() -> None:
    objects = everything(Nftables())
    assert render(diff(objects, ())) == ["nft 'delete table inet linkspan'"]
    assert nft_script(diff(objects, ())) == "delete table inet linkspan\n"


def test_a_table_of_another_layout_is_replaced_whole() -> None:
    lines = change(NftTable("other"), NftTable("mine"))
    assert lines == [
        "nft 'delete table inet linkspan'",
        "nft 'add table inet linkspan { comment \"mine\"; }'",
    ]


def test_neighbouring_elements_of_a_set_share_a_statement_but_are_lines_of_their_own() -> None:
    elements = [NftElement("anyports4", f"tcp . {port}", "172.17.0.4 . 80", "o") for port in range(1, 1202)]
    operations = diff((), elements)
    script = nft_script(operations)
    assert len(script.splitlines()) == 3
    assert len(render(operations)) == len(elements)
    assert all(f"tcp . {port} comment" in script for port in range(1, 1202))


def test_iptables_is_typed_family_by_family_and_names_the_table_when_it_is_not_filter() -> None:
    lines = render(diff((), everything(Iptables(userland_proxy=True))))
    programs = [line.split()[0] for line in lines]
    assert programs == sorted(programs, key=["iptables", "ip6tables"].index)
    assert "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER" in lines
    assert "iptables -I FORWARD -j DOCKER-USER" in lines


def test_what_the_kernel_removes_by_itself_is_left_out() -> None:
    objects: list[KernelObject] = [PAIR, Up(HOST, PAIR.name), Up(SANDBOX, "eth0")]
    assert render(diff(objects, ())) == ["ip link delete veth1234567"]


@given(plans(), plans())
def test_every_line_is_one_command_of_a_known_program_or_a_remark(
    before: list[KernelObject], after: list[KernelObject]
) -> None:
    known = {"ip", "bridge", "nft", "iptables", "ip6tables", "sysctl", "#"}
    for line in render(diff(before, after)):
        assert "\n" not in line
        assert shlex.split(line)[0] in known


def test_the_text_of_rules_is_shown_as_it_is_sent() -> None:
    operations = diff((), [item for item in everything(Nftables(), (), ()) if isinstance(item, NftChain)])
    sent = nft_script(operations).splitlines()
    assert [shlex.split(line)[1] for line in render(operations)] == sent

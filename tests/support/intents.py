"""What a firewall is asked for in tests: networks of every kind and published ports of every shape."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from linkspan.model.ports import PortBinding, PortRange, Protocol
from linkspan.plan.firewall import Firewall, Guard, Published, Zone
from linkspan.plan.objects import FirewallObject, mark

ENGINE = "e" * 64
OWNER = mark(ENGINE, "engine", ENGINE)


def zone(
    bridge: str = "docker0", number: int = 17, *, internal: bool = False, icc: bool = True, masquerade: bool = True
) -> Zone:
    """A network with a prefix of each family."""
    subnets = (ip_network(f"172.{number}.0.0/16"), ip_network(f"fd{number}::/64"))
    return Zone(bridge, subnets, internal, icc, masquerade, mark(ENGINE, "network", bridge))


def port(
    host: str, target: str = "80", *, address: str = "0.0.0.0", protocol: str = "tcp", bridge: str = "docker0"
) -> Published:
    """`host` and `target` are ports, or ranges as in `8000-8010`. The target's family is that of the address."""
    binding = PortBinding(Protocol(protocol), ip_address(address), ports(host), ports(target))
    numbered = {"docker0": 17}.get(bridge, 18)
    sandbox = f"172.{numbered}.0.4" if binding.version == 4 else f"fd{numbered}::4"
    return Published(binding, ip_address(sandbox), bridge, mark(ENGINE, "sandbox", "a" * 64))


def ports(text: str) -> PortRange:
    """A port or a range of them."""
    first, _, last = text.partition("-")
    return PortRange(int(first), int(last or first))


ZONES = (
    zone(),
    zone("br-222222222222", 18),
    zone("br-333333333333", 19, internal=True),
    zone("br-444444444444", 20, icc=False, masquerade=False),
    zone("br-555555555555", 21, internal=True, icc=False),
)
PORTS = (
    port("8080"),
    port("8080", address="::"),
    port("53", "53", address="127.0.0.1", protocol="udp"),
    port("20000-20999", "20000-20999"),
    port("20000-20999", "20000-20999", address="::", protocol="sctp"),
    port("8000-8002", "9000-9002"),
    port("8081", bridge="br-222222222222"),
    port("8443", "443", address="2001:db8::1"),
)
GUARDS = tuple(Guard("docker0", ip_address(text), "owner") for text in ("172.17.0.4", "fd17::4"))


def everything(
    firewall: Firewall, zones: Iterable[Zone] = ZONES, published: Iterable[Published] = PORTS
) -> list[FirewallObject]:
    """The objects of the base, of networks and of ports."""
    return list(_everything(firewall, zones, published))


def _everything(firewall: Firewall, zones: Iterable[Zone], published: Iterable[Published]) -> Iterator[FirewallObject]:
    yield from firewall.base(OWNER)
    for one in zones:
        yield from firewall.zone(one)
    for guard in GUARDS:
        yield from firewall.guard(guard)
    for binding in published:
        yield from firewall.published(binding)

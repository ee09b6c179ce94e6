import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from linkspan.dataplane.channel import close_all, duplicates
from linkspan.dataplane.services import Services
from linkspan.model.dataplane import HostPort, HostResolver, Key, NameEntry, NameZone, Resolver, Trace
from linkspan.model.errors import InvalidError, UnavailableError
from linkspan.model.ports import PortRange, Protocol

ADDRESS = ip_address("10.0.0.2")
HELD = HostPort(Protocol.TCP, ip_address("0.0.0.0"), PortRange(80, 81), "o")
RELAYED = replace(HELD, relay=(ADDRESS, PortRange(8080, 8081)))
ELSEWHERE = replace(HELD, relay=(ip_address("10.0.0.3"), PortRange(8080, 8081)))
RESOLVER = Resolver("s", ("n",), "o")
ZONE = NameZone("n", "shop", "o")
ENTRY = NameEntry("n", "s", ("web",), (ADDRESS,), "o")


class Served:
    """Keeps what it was given, as a relay or a name server does."""

    def __init__(self, value: object, descriptors: Sequence[int]) -> None:
        self.value = value
        self.descriptors = tuple(descriptors)
        self.closed = False

    def retarget(self, value: HostPort) -> None:
        self.value = value

    def replace(self, value: Resolver | HostResolver) -> None:
        self.value = value

    def retire(self) -> None:
        self.close()

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        close_all(self.descriptors)


class Parts:
    """A relay and a name server that only remember."""

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.names: dict[Key, NameZone | NameEntry] = {}
        self.refuses: Exception | None = None

    @property
    def serving(self) -> list[object]:
        return [each.value for each in self.served if not each.closed]

    def _take(self, value: object, descriptors: Sequence[int]) -> Served:
        if self.refuses is not None:
            raise self.refuses
        self.served.append(Served(value, descriptors))
        return self.served[-1]

    def put(self, value: NameZone | NameEntry) -> None:
        self.names[value.key] = value

    def drop(self, key: Key) -> None:
        self.names.pop(key, None)

    async def trace(self, sandbox: str, name: str, type: str) -> Trace:
        return Trace("NOERROR", (), ())

    async def drained(self) -> None:
        assert not self.serving


class Relay(Parts):
    def serve(self, port: HostPort, listeners: Sequence[int]) -> Served:
        return self._take(port, listeners)


class Names(Parts):
    def serve(self, resolver: Resolver | HostResolver, udp: int, tcp: int, namespace: int | None) -> Served:
        return self._take(resolver, [each for each in (udp, tcp, namespace) if each is not None])


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def services(relay: Relay, names: Names) -> Iterator[Services]:
    """Empty at the end, with no descriptor left open."""
    before = _open()
    services = Services(relay, names)
    yield services
    services.let_go()
    assert _open() == before


def _open() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted only


@pytest.fixture
def files() -> Callable[[int], tuple[int, ...]]:
    """New descriptors, as many as asked, all of different files."""
    return lambda number: tuple(os.memfd_create("socket") for _ in range(number))


Files = Callable[[int], tuple[int, ...]]


def test_a_port_that_is_only_held_is_given_to_nobody(services: Services, relay: Relay, files: Files) -> None:
    services.put(HELD, files(2))
    assert relay.served == []
    assert services.held.keys() == {HELD.key}


def test_what_serves_has_descriptors_of_its_own(services: Services, relay: Relay, files: Files) -> None:
    sockets = files(2)
    services.put(RELAYED, sockets)
    assert services.held == {RELAYED.key: (RELAYED, sockets)}
    (served,) = relay.served
    assert not set(served.descriptors) & set(sockets)
    assert all(map(os.path.sameopenfile, served.descriptors, sockets))


@pytest.mark.parametrize("again", [lambda sockets: (), duplicates], ids=["no sockets", "the same sockets"])
@pytest.mark.parametrize(
    ("before", "after"), [(RELAYED, ELSEWHERE), (HELD, RELAYED), (RELAYED, HELD), (HELD, replace(HELD, owner="p"))]
)
def test_a_value_changes_and_its_sockets_stay(
    services: Services,
    relay: Relay,
    files: Files,
    before: HostPort,
    after: HostPort,
    again: Callable[[Sequence[int]], Sequence[int]],
) -> None:
    sockets = files(2)
    services.put(before, sockets)

    services.put(after, again(sockets))

    assert services.held == {after.key: (after, sockets)}
    assert relay.serving == [after] * (after.relay is not None)


def test_a_port_that_leads_elsewhere_is_served_by_whom_it_was(services: Services, relay: Relay, files: Files) -> None:
    services.put(RELAYED, files(2))
    services.put(ELSEWHERE, ())
    assert [each.value for each in relay.served] == [ELSEWHERE]


def test_a_resolver_changes_without_an_end(services: Services, names: Names, files: Files) -> None:
    services.put(RESOLVER, files(3))
    changed = replace(RESOLVER, networks=("n", "m"))
    services.put(changed, ())
    assert [(each.value, each.closed) for each in names.served] == [(changed, False)]


def test_other_sockets_take_the_place_of_the_first(services: Services, relay: Relay, files: Files) -> None:
    services.put(RELAYED, files(2))
    others = files(2)
    services.put(RELAYED, others)
    assert services.held == {RELAYED.key: (RELAYED, others)}
    assert relay.serving == [RELAYED]


def test_the_same_again_changes_nothing(services: Services, relay: Relay, files: Files) -> None:
    sockets = files(2)
    services.put(RELAYED, sockets)
    services.put(RELAYED, duplicates(sockets))
    assert len(relay.served) == 1


def test_dropping_ends_service_and_closes_sockets(services: Services, relay: Relay, files: Files) -> None:
    sockets = files(2)
    services.put(RELAYED, sockets)
    services.drop(RELAYED.key)
    assert relay.serving == [] and not services.held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sockets[0])


def test_dropping_what_is_not_there_is_nothing(services: Services) -> None:
    services.drop(("zone", "n"))
    assert not services.held


def test_names_come_and_go_without_sockets(services: Services, names: Names) -> None:
    services.put(ZONE, ())
    services.put(ENTRY, ())
    services.put(replace(ZONE, name="store"), ())
    assert names.names == {ZONE.key: replace(ZONE, name="store"), ENTRY.key: ENTRY}
    services.drop(ZONE.key)
    assert names.names == {ENTRY.key: ENTRY}


def test_the_resolver_of_the_host_has_no_namespace(services: Services, names: Names, files: Files) -> None:
    services.put(HostResolver(ip_address("127.0.0.54"), "o"), files(2))
    assert len(names.served[0].descriptors) == 2


@pytest.mark.parametrize(("service", "number"), [(RELAYED, 1), (RESOLVER, 2), (ZONE, 1), (RESOLVER, 0)], ids=str)
def test_a_wrong_number_of_sockets_is_refused_and_they_are_closed(
    services: Services, files: Files, service: HostPort | Resolver | NameZone, number: int
) -> None:
    with pytest.raises(InvalidError):
        services.put(service, files(number))
    assert not services.held


@pytest.mark.parametrize("error", [UnavailableError("SCTP cannot be relayed"), OSError(24, "Too many open files")])
def test_what_cannot_be_served_leaves_what_was(
    services: Services, relay: Relay, files: Files, error: Exception
) -> None:
    sockets = files(2)
    services.put(HELD, sockets)
    relay.refuses = error
    with pytest.raises(type(error)):
        services.put(RELAYED, files(2))
    assert services.held == {HELD.key: (HELD, sockets)}


def test_services_are_counted_by_kind(services: Services, files: Files) -> None:
    services.put(HELD, files(2))
    services.put(ZONE, ())
    services.put(ENTRY, ())
    assert dict(services.counts) == {"port": 1, "zone": 1, "name": 1}

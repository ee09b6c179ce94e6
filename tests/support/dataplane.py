"""Random values of what the data plane holds."""

from hypothesis import strategies as st

from linkspan.model.addressing import UNSPECIFIED
from linkspan.model.dataplane import (
    HostPort,
    HostResolver,
    Link,
    NameEntry,
    NameZone,
    Record,
    RecordType,
    Resolver,
    Service,
)
from linkspan.model.ports import PortRange, Protocol

addresses = st.ip_addresses()
texts = st.text(max_size=12)


@st.composite
def host_ports(draw: st.DrawFn) -> HostPort:
    """A range of ports, relayed to as many or not at all."""
    first = draw(st.integers(1, 65_000))
    length = draw(st.integers(0, 500))
    target = draw(st.integers(1, 65_000))
    relay = draw(st.none() | st.tuples(addresses, st.just(PortRange(target, target + length))))
    protocol, address = draw(st.sampled_from(Protocol)), draw(addresses)
    proxied, both = draw(st.booleans()), draw(st.booleans())
    address = UNSPECIFIED[6] if both else address
    return HostPort(protocol, address, PortRange(first, first + length), draw(texts), relay, proxied, both)


def _some(each: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(each, max_size=3).map(tuple)


resolvers = st.builds(
    Resolver,
    sandbox=texts,
    networks=_some(texts),
    owner=texts,
    links=_some(st.builds(Link, texts, texts, texts)),
    servers=_some(addresses),
    forward=st.booleans(),
    ndots=st.booleans(),
)
records = st.builds(Record, texts, st.sampled_from(RecordType), texts, st.integers(0, 2**31 - 1))
zones = st.builds(NameZone, texts, texts, texts, _some(records))
entries = st.builds(NameEntry, texts, texts, _some(texts), _some(addresses), texts)
services: st.SearchStrategy[Service] = st.one_of(
    host_ports(), resolvers, st.builds(HostResolver, addresses, texts), zones, entries
)

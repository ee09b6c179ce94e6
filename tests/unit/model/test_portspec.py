"""The texts of `-p`, read as the docker command reads them."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.addressing import IPAddress
from linkspan.model.errors import InvalidError
from linkspan.model.ports import PortRange, PortRequest, Protocol
from linkspan.model.portspec import parse_publish, parse_published
from tests.support.answers import answer
from tests.support.strategies import addresses


@st.composite
def port_ranges(draw: st.DrawFn) -> PortRange:
    first = draw(st.integers(1, 65535))
    return PortRange(first, draw(st.one_of(st.just(first), st.integers(first, 65535))))


@st.composite
def port_requests(draw: st.DrawFn) -> PortRequest:
    target = draw(port_ranges())
    if len(target) == 1:
        host = draw(st.one_of(st.none(), port_ranges()))
    else:
        first = draw(st.integers(1, 65536 - len(target)))
        host = draw(st.sampled_from([None, PortRange(first, first + len(target) - 1)]))
    return PortRequest(target, draw(st.sampled_from(Protocol)), host, draw(st.one_of(st.none(), addresses())))


def shown(address: IPAddress) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def spell(request: PortRequest) -> str:
    address = f"{shown(request.address)}:" if request.address is not None else ""
    host = f"{request.host or ''}:" if request.host or address else ""
    return f"{address}{host}{request.target}/{request.protocol}"


SPECS = st.one_of(st.text(), st.text(alphabet="0123456789:-/[]tcpud.", max_size=25))


@given(port_requests())
def test_a_port_request_survives_its_text(request: PortRequest) -> None:
    assert parse_publish(spell(request)) == request


@given(port_ranges(), st.sampled_from(Protocol), st.one_of(st.none(), addresses()))
def test_the_host_side_survives_its_text(ports: PortRange, protocol: Protocol, address: IPAddress | None) -> None:
    prefix = f"{shown(address)}:" if address is not None else ""
    assert parse_published(f"{prefix}{ports}/{protocol}") == (ports, protocol, address)


@given(SPECS)
def test_any_text_is_a_port_request_or_invalid(text: str) -> None:
    match answer(lambda: parse_publish(text)):
        case InvalidError(field=field, value=value):
            assert field in ("publish", "host address")
            assert value is not None
        case request:
            assert parse_publish(spell(request)) == request
            assert 1 <= request.target.first <= request.target.last <= 65535


@given(SPECS)
def test_any_text_is_a_host_side_or_invalid(text: str) -> None:
    match answer(lambda: parse_published(text)):
        case InvalidError(field=field, value=value):
            assert field in ("ports", "host address")
            assert value is not None
        case (ports, _, _):
            assert 1 <= ports.first <= ports.last <= 65535


@pytest.mark.parametrize(
    ("text", "host", "target", "protocol", "address"),
    [
        ("80", None, (80, 80), "tcp", None),
        ("8080:80", (8080, 8080), (80, 80), "tcp", None),
        ("8080:80/UDP", (8080, 8080), (80, 80), "udp", None),
        ("127.0.0.1::80", None, (80, 80), "tcp", "127.0.0.1"),
        ("::80", None, (80, 80), "tcp", None),
        ("0:80", None, (80, 80), "tcp", None),
        ("127.0.0.1:0:80", None, (80, 80), "tcp", "127.0.0.1"),
        ("[::1]:8080:80/sctp", (8080, 8080), (80, 80), "sctp", "::1"),
        ("8000-8010:80", (8000, 8010), (80, 80), "tcp", None),
        ("8000-8002:80-82", (8000, 8002), (80, 82), "tcp", None),
        ("3000-3005", None, (3000, 3005), "tcp", None),
    ],
)
def test_dockers_spellings_are_understood(
    text: str, host: tuple[int, int] | None, target: tuple[int, int], protocol: str, address: str | None
) -> None:
    wanted = PortRange(*host) if host else None
    assert parse_publish(text) == PortRequest(
        PortRange(*target), Protocol(protocol), wanted, ip_address(address) if address else None
    )


NO_SPECIFICATION = """
0 65536:80 80:0 90-80:80 80/icmp 80/ a:80 80:80:80:80 ::1:8080:80 8080: -1 1.2.3.4.5:80:80 8080:80- [::1%lo]:80:80
"""


@pytest.mark.parametrize("text", ["", " ", "80 ", "\uff18\uff10", *NO_SPECIFICATION.split()])
def test_what_is_no_port_specification_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_publish(text)


@pytest.mark.parametrize("text", ["8000-8010:80-81", "8080:80-81", "8000-8001:80-82"])
def test_ranges_of_different_lengths_are_refused_in_dockers_words(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid ranges specified for container and host ports") as caught:
        parse_publish(text)
    assert (caught.value.field, caught.value.value) == ("publish", text)


@pytest.mark.parametrize("text", ["8080/icmp", "::1:80", "x", "80:80:80"])
def test_a_bad_host_side_is_blamed_on_the_field_that_held_it(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_published(text)
    assert (caught.value.field, caught.value.value) == ("ports", text)

"""Texts become addresses and prefixes, or one error that names the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.addressing import IPAddress, IPNetwork, contains, interface, overlaps, parse_address, parse_network
from linkspan.model.errors import InvalidError
from tests.support.answers import answer
from tests.support.strategies import addresses, prefixes

NEAR_MISSES = st.one_of(
    st.text(),
    st.text(alphabet="0123456789abcdef.:/%", max_size=25),
    st.builds("{}/{}".format, addresses(), st.integers(-1, 140)),
)


@given(addresses())
def test_an_address_survives_its_text(address: IPAddress) -> None:
    assert parse_address(str(address), field="x") == address


@given(prefixes())
def test_a_prefix_survives_its_text(prefix: IPNetwork) -> None:
    assert parse_network(str(prefix), field="x") == prefix


@given(NEAR_MISSES)
def test_any_text_is_an_address_or_invalid(text: str) -> None:
    match answer(lambda: parse_address(text, field="there")):
        case InvalidError(field=field, value=value):
            assert (field, value) == ("there", text)
        case address:
            assert parse_address(str(address), field="there") == address


@given(NEAR_MISSES)
def test_any_text_is_a_prefix_or_invalid(text: str) -> None:
    match answer(lambda: parse_network(text, field="there")):
        case InvalidError(field=field, value=value):
            assert (field, value) == ("there", text)
        case prefix:
            assert parse_network(str(prefix), field="there") == prefix


def test_a_prefix_with_host_bits_gets_dockers_text() -> None:
    with pytest.raises(InvalidError, match=r"^invalid subnet 10\.0\.0\.1/24: it should be 10\.0\.0\.0/24$"):
        parse_network("10.0.0.1/24", field="subnet")


@pytest.mark.parametrize("text", ["10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0.0/08", "10.0.0.0/+8"])
def test_only_a_plain_prefix_length_is_cidr(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_network(text, field="subnet")


@pytest.mark.parametrize("text", ["fe80::1%eth0", "010.0.0.1", "10.0.0", "1::2::3", "", " 10.0.0.1"])
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_address(text, field="gateway")


@given(prefixes(), prefixes())
def test_overlap_means_a_shared_address(left: IPNetwork, right: IPNetwork) -> None:
    shared = left.version == right.version and (
        max(int(left.network_address), int(right.network_address))
        <= min(int(left.broadcast_address), int(right.broadcast_address))
    )
    assert overlaps(left, right) == overlaps(right, left) == shared


@given(prefixes(), addresses())
def test_a_prefix_contains_only_its_own_family(prefix: IPNetwork, address: IPAddress) -> None:
    inside = int(prefix.network_address) <= int(address) <= int(prefix.broadcast_address)
    assert contains(prefix, address) == (prefix.version == address.version and inside)


@given(prefixes(), st.data())
def test_an_interface_keeps_address_and_prefix(prefix: IPNetwork, data: st.DataObject) -> None:
    address = prefix.network_address + data.draw(st.integers(0, prefix.num_addresses - 1))
    joined = interface(address, prefix.prefixlen)
    assert (joined.ip, joined.network) == (address, prefix)

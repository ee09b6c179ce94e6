"""Names and hardware addresses: accepted as the kernel, Docker and our own renderers accept them, or refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.errors import InvalidError
from linkspan.model.names import check_link_name, check_mac, check_name
from tests.support.answers import answer


@given(st.one_of(st.text(max_size=20), st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", fullmatch=True)))
def test_any_text_is_a_name_by_dockers_rule_or_invalid(text: str) -> None:
    allowed = re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", text) is not None
    match answer(lambda: check_name(text, kind="network")):
        case InvalidError(field=field, value=value):
            assert (allowed, field, value) == (False, "name", text)
        case name:
            assert (allowed, name) == (True, text)


def test_a_name_has_at_most_255_characters() -> None:
    assert check_name("n" * 255, kind="network")
    with pytest.raises(InvalidError):
        check_name("n" * 256, kind="network")


@given(st.one_of(st.text(max_size=18), st.text(alphabet="eth0.-_@:/ *+", min_size=1, max_size=16)))
def test_any_text_is_an_interface_name_or_invalid(text: str) -> None:
    match answer(lambda: check_link_name(text, field="ifname")):
        case InvalidError(field=field, value=value):
            assert (field, value) == ("ifname", text)
        case name:
            assert name == text
            assert 1 <= len(name.encode()) <= 15
            assert not set(name) & set("/: \t\n%")
            assert name not in (".", "..")


@pytest.mark.parametrize("name", ["eth0", "br-0123456789ab", "lan.10", "wg_0", "a", "docker0"])
def test_usual_interface_names_are_accepted(name: str) -> None:
    assert check_link_name(name, field="ifname") == name


@pytest.mark.parametrize("name", ["br*", "br+", 'b"r', "b\\r", "b;r", "b{r", "$br", "#br", "!br", "b,r", "b'r", "-i"])
def test_an_interface_name_never_means_something_else_to_nft_or_iptables(name: str) -> None:
    with pytest.raises(InvalidError):
        check_link_name(name, field="ifname")


@pytest.mark.parametrize("name", ["all", "default"])
def test_the_kernels_words_for_every_interface_are_no_names(name: str) -> None:
    with pytest.raises(InvalidError):
        check_link_name(name, field="ifname")


def test_an_interface_name_is_text_that_can_be_stored() -> None:
    with pytest.raises(InvalidError):
        check_link_name("br\ud800", field="ifname")


@given(st.integers(0, 2**48 - 1), st.sampled_from(":-"))
def test_a_unicast_hardware_address_survives_its_text(number: int, separator: str) -> None:
    pairs = [f"{byte:02X}" for byte in number.to_bytes(6, "big")]
    unicast = not int(pairs[0], 16) & 1 and number != 0
    found = answer(lambda: check_mac(separator.join(pairs), field="mac_address"))
    if unicast:
        assert found == ":".join(pairs).lower()
    else:
        assert isinstance(found, InvalidError)


@given(st.one_of(st.text(), st.text(alphabet="0123456789abcdefABCDEF:-.", max_size=18)))
def test_any_text_is_a_hardware_address_or_invalid(text: str) -> None:
    match answer(lambda: check_mac(text, field="mac_address")):
        case InvalidError(field=field, value=value):
            assert (field, value) == ("mac_address", text)
        case mac:
            assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac)

"""The netlink codec: total on any bytes, exact on what it makes itself, and true to captured bytes."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.kernel.netlink import (
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    NetlinkFormatError,
    Request,
    _batches,
    attribute,
    attributes,
    decode,
    encode,
    nested,
    number,
    refusal,
    string,
    text,
    u8,
    u32,
)

KINDS = st.integers(0, 0x3FFF)
PAYLOADS = st.binary(max_size=70)


@given(st.dictionaries(KINDS, PAYLOADS, max_size=8))
def test_attributes_come_back_as_they_were_made(wanted: dict[int, bytes]) -> None:
    data = b"".join(attribute(kind, payload) for kind, payload in wanted.items())
    assert len(data) % 4 == 0
    assert attributes(data) == wanted


@given(st.dictionaries(KINDS, PAYLOADS, max_size=4), KINDS)
def test_nested_attributes_come_back_as_they_were_made(wanted: dict[int, bytes], kind: int) -> None:
    data = nested(kind, *(attribute(kind, payload) for kind, payload in wanted.items()))
    assert attributes(attributes(data)[kind]) == wanted


@given(st.lists(st.builds(Request, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=60)), max_size=5))
def test_messages_come_back_as_they_were_made(requests: list[Request]) -> None:
    sent = [encode(request, place) for place, request in enumerate(requests)]
    data = b"".join(message + bytes(-len(message) % 4) for message in sent)
    assert list(decode(data)) == [
        Message(request.type, request.flags | NLM_F_REQUEST, place, request.body)
        for place, request in enumerate(requests)
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_one_typed_error(data: bytes) -> None:
    try:
        for message in decode(data):
            attributes(message.body)
            if message.type in (NLMSG_ERROR, NLMSG_DONE):
                refusal(message)
    except NetlinkFormatError:
        pass


@given(st.binary(max_size=100), st.sampled_from([0, NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED]))
def test_any_error_message_is_a_refusal_or_one_typed_error(body: bytes, flags: int) -> None:
    try:
        error = refusal(Message(NLMSG_ERROR, flags, 1, body))
    except NetlinkFormatError:
        return
    assert error is None or error.errno


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_text_ends_with_a_zero(value: str) -> None:
    payload = attributes(text(3, value))[3]
    assert payload.endswith(b"\0")
    assert string(payload) == value


def test_a_name_that_is_not_utf8_is_shown_and_not_refused() -> None:
    assert string(b"eth\xff\0") == "eth\\xff"


def test_numbers_have_the_byte_order_of_the_machine() -> None:
    assert number(attributes(u32(1, 0x01020304))[1]) == 0x01020304
    assert attributes(u8(1, 7)) == {1: b"\x07"}
    assert number(b"") == 0


@pytest.mark.parametrize("data", [b"\x03\0\1\0", b"\x08\0\1\0abc", b"\0\0\0\0"])
def test_attributes_that_lie_about_their_length_are_refused(data: bytes) -> None:
    with pytest.raises(NetlinkFormatError):
        attributes(data)


HEADER = struct.pack("=IHHII", 32, 16, 5, 1, 0)


def test_zero_is_an_acknowledgement() -> None:
    assert refusal(Message(NLMSG_ERROR, NLM_F_CAPPED, 1, bytes(4) + HEADER)) is None


def test_an_error_number_becomes_an_errno() -> None:
    error = refusal(Message(NLMSG_ERROR, NLM_F_CAPPED, 1, struct.pack("=i", -errno.ENODEV) + HEADER))
    assert error is not None
    assert (error.errno, error.strerror) == (errno.ENODEV, "No such device")


def test_the_kernels_own_explanation_comes_first() -> None:
    body = struct.pack("=i", -errno.ENETUNREACH) + HEADER + text(1, "Nexthop has invalid gateway")
    error = refusal(Message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, body))
    assert error is not None
    assert error.strerror == "Nexthop has invalid gateway (Network is unreachable)"


def test_an_explanation_behind_a_whole_request_is_found() -> None:
    body = struct.pack("=i", -errno.EINVAL) + HEADER + bytes(16) + text(1, "Bad")
    error = refusal(Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, body))
    assert error is not None
    assert error.strerror == "Bad (Invalid argument)"


@given(st.lists(st.integers(0, 40_000), max_size=40))
def test_batches_hold_everything_once_and_are_bounded(sizes: list[int]) -> None:
    requests = [Request(place, 0, bytes(size)) for place, size in enumerate(sizes)]
    batches = list(_batches(requests))
    assert [request for batch in batches for request in batch] == requests
    assert all(len(batch) == 1 or sum(16 + len(request.body) for request in batch) <= 64 << 10 for batch in batches)


def test_many_small_requests_are_cut_by_number() -> None:
    assert [len(batch) for batch in _batches([Request(1, 0, b"")] * 1025)] == [512, 512, 1]


def test_only_the_last_request_of_a_batch_asks_for_an_answer() -> None:
    (message,) = decode(encode(Request(16, 0x600, b"body"), 7, NLM_F_ACK))
    assert message == Message(16, 0x600 | NLM_F_ACK | NLM_F_REQUEST, 7, b"body")

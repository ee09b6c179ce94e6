"""Frames, detach keys, ports, spans: what streams and lists are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.cli.answers import Record
from linkspan.cli.forms import detach_keys, size
from linkspan.cli.frames import Frames
from linkspan.cli.portlists import port_list
from linkspan.cli.spans import ago, span
from linkspan.cli.terminals import Escape
from linkspan.model.errors import InvalidError

PAIRS = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=6)


@given(PAIRS, st.integers(min_value=1, max_value=50))
def test_frames_come_apart_however_they_arrive(pairs: list[tuple[int, bytes]], step: int) -> None:
    data = b"".join(bytes((stream, 0, 0, 0)) + len(said).to_bytes(4, "big") + said for stream, said in pairs)
    frames = Frames()
    found = [pair for at in range(0, len(data), step) for pair in frames.feed(data[at : at + step])]
    for stream in (1, 2):
        assert b"".join(said for s, said in found if s == stream) == b"".join(said for s, said in pairs if s == stream)


@given(st.binary(max_size=60))
def test_any_bytes_are_frames_of_some_kind(data: bytes) -> None:
    assert sum(len(said) for _, said in Frames().feed(data)) <= len(data)


def test_detach_keys_are_found_in_pieces_and_their_beginning_is_kept_back() -> None:
    escape = Escape(detach_keys(""))
    assert escape.feed(b"ls\x10") == (b"ls", False)
    assert escape.feed(b"x") == (b"\x10x", False)
    assert escape.feed(b"a\x10\x11b") == (b"a", True)


@pytest.mark.parametrize(("text", "keys"), [("ctrl-a,b", b"\x01b"), ("ctrl-@", b"\x00"), ("", b"\x10\x11")])
def test_detach_keys_have_names(text: str, keys: bytes) -> None:
    assert detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-1", "abc", "a,,b", "é"])
def test_what_no_key_is_called_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid detach keys"):
        detach_keys(text)


def port(private: int, public: int = 0, address: str = "", protocol: str = "tcp") -> Record:
    return Record({"IP": address, "PrivatePort": private, "PublicPort": public, "Type": protocol})


@pytest.mark.parametrize(
    ("ports", "shown"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(53, 53, "0.0.0.0", "udp"), port(53, 53, "0.0.0.0")], "0.0.0.0:53->53/tcp, 0.0.0.0:53->53/udp"),
        ([port(9000 + n, 9000 + n, "0.0.0.0") for n in range(3)], "0.0.0.0:9000-9002->9000-9002/tcp"),
        ([port(80, 8001, "0.0.0.0"), port(81, 8000, "0.0.0.0")], "0.0.0.0:8001->80/tcp, 0.0.0.0:8000->81/tcp"),
        ([port(7000), port(7001)], "7000-7001/tcp"),
    ],
)
def test_ports_of_a_list(ports: list[Record], shown: str) -> None:
    assert port_list(ports) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (86_400 * 3, "3 days"),
        (86_400 * 20, "2 weeks"),
        (86_400 * 90, "3 months"),
        (86_400 * 800, "2 years"),
    ],
)
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text
    assert ago(1000, 1000.5 + seconds) == f"{text} ago"


@pytest.mark.parametrize(
    ("text", "found"), [("0", 0), ("64m", 64 << 20), ("1.5k", 1536), ("2G", 2 << 30), ("1KiB", 1024), ("7b", 7)]
)
def test_sizes(text: str, found: int) -> None:
    assert size(text, flag="memory") == found

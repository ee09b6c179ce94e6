"""Names of images, by the examples of github.com/distribution/reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.model.errors import InvalidError
from linkspan.model.references import Reference, parse_reference, with_tag

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("me/tool", "docker.io/me/tool", "me/tool"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/tool", "localhost/tool", "localhost/tool"),
        ("localhost:5000/tool:x", "localhost:5000/tool:x", "localhost:5000/tool:x"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("UPPER/tool", "UPPER/tool", "UPPER/tool"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a:t@{DIGEST}", f"docker.io/library/a:t@{DIGEST}", f"a:t@{DIGEST}"),
    ],
)
def test_a_name_is_completed_and_shortened(text: str, full: str, familiar: str) -> None:
    found = parse_reference(text)
    assert (found.full, found.familiar) == (full, familiar)


@pytest.mark.parametrize(
    "text",
    ["", ":tag", "a:", "a::b", "-a", "a//b", "a/", "/a", "a b", "a@sha256:1", f"a@{DIGEST}x", "a..b", "é", "a\0"],
)
def test_what_is_no_name_is_refused_in_docker_s_words(text: str) -> None:
    with pytest.raises(InvalidError, match=r"^invalid reference format$"):
        parse_reference(text)


def test_capitals_are_named_as_the_reason() -> None:
    with pytest.raises(InvalidError, match=r"repository name \(library/Busybox\) must be lowercase"):
        parse_reference("Busybox")


def test_an_id_is_no_name() -> None:
    with pytest.raises(InvalidError, match="cannot specify 64-byte hexadecimal strings"):
        parse_reference("a" * 64)


def test_a_name_has_at_most_255_characters() -> None:
    with pytest.raises(InvalidError, match="more than 255 characters"):
        parse_reference("a" * 256)


def test_without_a_tag_latest_is_meant() -> None:
    assert parse_reference("busybox").tagged.tag == "latest"
    assert parse_reference(f"busybox@{DIGEST}").tagged.tag == ""


def test_a_digest_may_stand_in_place_of_a_tag() -> None:
    assert with_tag(parse_reference("busybox"), DIGEST).familiar == f"busybox@{DIGEST}"
    assert with_tag(parse_reference("busybox"), "x").familiar == "busybox:x"
    with pytest.raises(InvalidError, match="invalid tag format"):
        with_tag(parse_reference("busybox"), "-x")


@given(st.text(max_size=40))
def test_any_text_is_a_name_that_reads_back_or_is_refused(text: str) -> None:
    try:
        found = parse_reference(text)
    except InvalidError:
        return
    assert parse_reference(found.full) == found
    assert parse_reference(found.familiar) == found
    assert isinstance(found, Reference)

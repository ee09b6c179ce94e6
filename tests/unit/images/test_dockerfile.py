"""Which images a Dockerfile builds on."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.images.dockerfile import bases, count


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM busybox", ["busybox"]),
        ("from busybox:1 as x\n# FROM y\nFROM x", ["busybox:1"]),
        ("FROM scratch\nCOPY --from=tool:1 /a /b\nCOPY --chown=1 --from=0 /a /b", ["tool:1"]),
        ("FROM --platform=linux/amd64 a\nRUN --mount=type=bind,from=b,target=/x make", ["a", "b"]),
        ("FROM a AS One\nFROM b\nCOPY --from=one /a /b", ["a", "b"]),
        ("FROM \\\n # a comment\n\n  busy\nRUN echo \\\n FROM nothing", ["busy"]),
        ("# escape=`\nFROM a`\n:2", ["a :2".split()[0]]),
        ("ARG V=1\nARG N=a:$V\nFROM ${N}-${X:-slim}\nARG V=2\nFROM b:${V:+set}", ["a:1-slim", "b:set"]),
        ("FROM a\nFROM a", ["a"]),
        ("", []),
    ],
)
def test_every_image_that_has_to_be_there_once(text: str, wanted: list[str]) -> None:
    assert list(bases(text, {})) == wanted


@pytest.mark.parametrize(("given_", "wanted"), [({}, "a:1"), ({"V": "9"}, "a:9"), ({"W": "9"}, "a:1")])
def test_arguments_of_the_build_come_before_defaults(given_: Mapping[str, str], wanted: str) -> None:
    assert bases("ARG V=1\nFROM a:$V", given_) == (wanted,)


def test_instructions_are_counted() -> None:
    assert count("# x\nFROM a\nRUN b \\\n c\n\nCMD d") == 3


@given(st.text(alphabet="FROMARUNCPYas \n\\#`=$-{}:,", max_size=200), st.dictionaries(st.text(), st.text(), max_size=2))
def test_any_text_has_an_answer(text: str, arguments: dict[str, str]) -> None:
    assert all(bases(text, arguments))

"""What a client sends to be built, unpacked: no archive leads out of the directory, or to any other error."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings

from linkspan.kernel import native
from linkspan.model.errors import InvalidError
from linkspan.wiring import unpack_context
from tests.unit.api.test_any_request import archives
from tests.unit.images.test_building import context


class Opener:
    """The one thing of a kernel that is needed."""

    open_inside = staticmethod(native.open_inside)


@pytest.mark.slow
@settings(max_examples=150)
@given(archives())
def test_any_archive_is_unpacked_inside_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as text:
        above = Path(text)
        (above / "archive").write_bytes(data)
        (above / "context").mkdir()
        with suppress(InvalidError):
            unpack_context(Opener(), above / "archive", above / "context")  # type: ignore[arg-type]
        assert {path.name for path in above.iterdir()} == {"archive", "context"}
        assert (above / "archive").read_bytes() == data


def test_files_keep_their_modes_and_links_their_targets(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(context({"Dockerfile": "FROM scratch", "a/b": "text"}))
    (tmp_path / "context").mkdir()
    unpack_context(Opener(), tmp_path / "archive", tmp_path / "context")  # type: ignore[arg-type]
    assert (tmp_path / "context/a/b").read_text() == "text"
    assert (tmp_path / "context/Dockerfile").stat().st_mode & 0o777 == 0o644

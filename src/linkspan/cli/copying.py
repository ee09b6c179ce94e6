"""`cp`, `diff`, `export`: files of containers."""

import base64
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from linkspan.cli.answers import Record, records
from linkspan.cli.carrying import write_all
from linkspan.cli.client import RefusedError, quoted, target
from linkspan.cli.connection import Answer, Upload
from linkspan.cli.containers import path as container_path
from linkspan.cli.grammar import Line, UsageError
from linkspan.cli.session import Session
from linkspan.model.errors import InvalidError

_CHUNK = 256 << 10
_DIRECTORY = 1 << 31
"""Go's bit for a directory."""
_STAT = "x-docker-container-path-stat"
_LETTERS = "CAD"


def diff(line: Line, session: Session) -> int:
    """`C` changed, `A` added, `D` deleted."""
    for change in records(session.client.get(f"{container_path(line.arguments[0])}/changes")):
        session.say(f"{_LETTERS[change.number('Kind')]} {change.text('Path')}")
    return 0


def export(line: Line, session: Session) -> int:
    """Into a file, or to where standard output leads."""
    name = line.text("output")
    if not name and sys.stdout.isatty():
        raise UsageError("a terminal is no place for an archive", hint="use --output FILE, or a pipe")
    answer = session.client.open("GET", f"{container_path(line.arguments[0])}/export")
    if not name:
        _pour(answer.parts())
        return 0
    with Path(name).open("wb") as file:
        file.writelines(answer.parts())
    return 0


def _pour(parts: Iterable[bytes]) -> None:
    for part in parts:
        write_all(sys.stdout.fileno(), part)


def cp(line: Line, session: Session) -> int:
    """Prints nothing; what stands before a colon is a container."""
    source, wanted = line.arguments
    (from_name, from_path), (to_name, to_path) = _place(source), _place(wanted)
    if from_name and to_name:
        raise UsageError("copying between containers is not supported", hint="copy to this machine first")
    if from_name:
        _fetch(session, from_name, from_path, to_path)
    elif to_name:
        _bring(session, from_path, to_name, to_path, own=line.switch("archive"))
    else:
        raise UsageError("must specify at least one container source", hint="write CONTAINER:PATH")
    return 0


def _place(text: str) -> tuple[str, str]:
    """Container and path; no container for a path of this machine."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and not text.startswith(("/", ".")) else ("", text)


def _open(session: Session, name: str, path: str) -> Answer:
    return session.client.open("GET", f"{container_path(name)}/archive", {"path": path})


def _fetch(session: Session, name: str, path: str, wanted: str) -> None:
    answer = _open(session, name, path)
    if wanted == "-":
        _pour(answer.parts())
        return
    place = Path(wanted)
    directory, shown = (place, "") if place.is_dir() else (place.parent, place.name)
    if not directory.is_dir():
        raise InvalidError(f"there is no directory {directory}", field="target", value=wanted)
    with tempfile.TemporaryFile() as spool:
        spool.writelines(answer.parts())
        spool.seek(0)
        with tarfile.open(fileobj=spool) as tar:
            tar.extraction_filter = lambda member, _: member  # Python before 3.11.4 has none: see `_inside`
            members = (_renamed(member, shown) if shown else member for member in tar.getmembers())
            tar.extractall(directory, _inside(members, directory), numeric_owner=True)


def _inside(members: Iterable[tarfile.TarInfo], directory: Path) -> Iterator[tarfile.TarInfo]:
    """One after the other, when its turn has come: nothing lands outside, whatever the container says and links to."""
    top = directory.resolve()
    for member in members:
        member.name = member.name.lstrip("/")
        for path in (member.name, member.linkname) if member.islnk() else (member.name,):
            if not (top / path).resolve().is_relative_to(top):
                raise InvalidError(f"{path} would land outside of {directory}", field="source", value=path)
        yield member


def _renamed(member: tarfile.TarInfo, shown: str) -> tarfile.TarInfo:
    """With another first part, of what a hard link means too."""
    member.name = _first_as(member.name, shown)
    if member.islnk():
        member.linkname = _first_as(member.linkname, shown)
    return member


def _first_as(path: str, shown: str) -> str:
    _, slash, rest = path.partition("/")
    return f"{shown}{slash}{rest}"


def _bring(session: Session, path: str, name: str, wanted: str, *, own: bool) -> None:
    if path == "-":
        _put(session, name, wanted, sys.stdin.buffer, own=own)
        return
    if not (Path(path).exists() or Path(path).is_symlink()):
        raise InvalidError(f"there is no {path}", field="source", value=path)
    directory, shown = wanted, Path(path).absolute().name
    if path.endswith("/.") or path == ".":
        shown = "."
    if not _is_directory(session, name, wanted):
        above, _, last = wanted.rstrip("/").rpartition("/")
        directory, shown = above or "/", last
    with tempfile.TemporaryFile() as spool:
        with tarfile.open(fileobj=spool, mode="w") as tar:
            tar.add(path, shown)
        spool.seek(0)
        _put(session, name, directory, spool, own=own)


def _is_directory(session: Session, name: str, path: str) -> bool:
    """Whether there is a directory in a container, links followed."""
    try:
        answer = _open(session, name, f"{path.rstrip('/')}/")
    except RefusedError as error:
        if error.status != 404 or "No such container" in error.message:
            raise
        return False
    answer.close()
    found = Record(json.loads(base64.b64decode(answer.headers.get(_STAT, ""))))
    return bool(found.number("mode") & _DIRECTORY)


def _put(session: Session, name: str, path: str, file: BinaryIO, *, own: bool) -> None:
    query: dict[str, str | int | bool | None] = {"path": path, "noOverwriteDirNonDir": True, "copyUIDGID": own}
    session.client.upload("PUT", target(f"/containers/{quoted(name)}/archive", query), Upload(_parts(file)))


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(_CHUNK):
        yield data

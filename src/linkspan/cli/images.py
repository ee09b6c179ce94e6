"""`images`, `pull`, `push`, `load`, `save`, `import`, `tag`, `rmi`, `history`, `image inspect`, `image prune`."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from linkspan.cli.answers import Json, Record, records
from linkspan.cli.carrying import write_all
from linkspan.cli.client import RefusedError, filters, quoted
from linkspan.cli.connection import Upload
from linkspan.cli.grammar import Line, UsageError
from linkspan.cli.inspecting import inspect as inspect_all
from linkspan.cli.lists import Column, Kind, id_column, labels_column, show, text
from linkspan.cli.networks import agreed
from linkspan.cli.pulling import auth_header, report, split, tagged
from linkspan.cli.session import Session
from linkspan.cli.spans import ago, local
from linkspan.cli.tables import shortened
from linkspan.model.errors import InvalidError

_CHUNK = 256 << 10
_NONE = "<none>"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def _size(item: Record, full: bool) -> str:
    """`1.98MB`, as Go's units write it."""
    amount, unit = float(item.number("Size")), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.3g}{_UNITS[unit]}"


def _since(item: Record, full: bool) -> str:
    """How long ago; an image may not say."""
    return ago(item.number("Created")) if item.number("Created") else "N/A"


_COLUMNS = {
    "Repository": Column("REPOSITORY", text("Repository")),
    "Tag": Column("TAG", text("Tag")),
    "Digest": Column("DIGEST", text("Digest")),
    "ID": Column("IMAGE ID", id_column()),
    "CreatedSince": Column("CREATED", _since),
    "CreatedAt": Column("CREATED AT", lambda item, full: local(item.number("Created"))),
    "Size": Column("SIZE", _size),
    "Labels": Column("LABELS", labels_column),
}
IMAGES = Kind("Id", _COLUMNS, ("Repository", "Tag", "ID", "CreatedSince", "Size"))
WITH_DIGESTS = IMAGES._replace(usual=("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"))


def ls(line: Line, session: Session) -> int:
    """A row for each name of each image, the newest first."""
    wanted = (*line.list("filter"), *(f"reference={name}" for name in line.arguments))
    found = records(session.client.get("/images/json", {"filters": filters(wanted)}))
    rows = [row for image in found for row in _rows(image)]
    return show(session, line, WITH_DIGESTS if line.switch("digests") else IMAGES, rows)


def _rows(image: Record) -> Iterator[Record]:
    digests = dict(name.split("@", 1) for name in image.texts("RepoDigests"))
    names = [split(name) for name in image.texts("RepoTags")]
    unnamed = [(repository, _NONE) for repository in digests if repository not in {name for name, _ in names}]
    for repository, tag in [*names, *unnamed] or [(_NONE, _NONE)]:
        more: dict[str, Json] = {"Repository": repository, "Tag": tag, "Digest": digests.get(repository, _NONE)}
        yield Record({**image.value, **more})


def pull(line: Line, session: Session) -> int:
    """Prints each step, and the name at the end."""
    image = line.arguments[0]
    if line.switch("all-tags"):
        if split(image)[1]:
            raise UsageError("tag can't be used with --all-tags/-a", hint="leave out the tag")
    else:
        image = tagged(image)
    name, tag = split(image)
    query = {"fromImage": name, "tag": tag, "platform": line.text("platform")}
    said = session.client.transfer("/images/create", query, headers=auth_header(session, name))
    report(said, (lambda text: None) if line.switch("quiet") else _sayer(session))
    session.say(image)
    return 0


def push(line: Line, session: Session) -> int:
    """Prints each step."""
    every = line.switch("all-tags")
    name, tag = split(line.arguments[0] if every else tagged(line.arguments[0]))
    if every and tag:
        raise UsageError("tag can't be used with --all-tags/-a", hint="leave out the tag")
    headers = auth_header(session, name) or {"X-Registry-Auth": "e30="}
    said = session.client.transfer(f"/images/{quoted(name)}/push", {"tag": tag}, headers=headers)
    report(said, (lambda text: None) if line.switch("quiet") else _sayer(session))
    if line.switch("quiet"):
        session.say(f"{name}:{tag}" if tag else name)
    return 0


def _sayer(session: Session) -> Callable[[str], None]:
    """Shows each line at once."""
    return lambda text: session.say_all([text])


def load(line: Line, session: Session) -> int:
    """Prints what was loaded."""
    with _opened(line.text("input", "-")) as file:
        report(session.client.transfer("/images/load", {"quiet": True}, Upload(_parts(file))), _sayer(session))
    return 0


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        if sys.stdin.isatty():
            raise UsageError("requested load from stdin, but stdin is empty", hint="name a file, or use a pipe")
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", field="input") from error
    with file:
        yield file


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(_CHUNK):
        yield data


def save(line: Line, session: Session) -> int:
    """An archive that `load` reads."""
    output = line.text("output")
    if not output and sys.stdout.isatty():
        raise UsageError("cowardly refusing to save to a terminal", hint="use -o, or redirect the output")
    names = "&".join(f"names={quoted(name)}" for name in line.arguments)
    answer = session.client.open("GET", f"/images/get?{names}")
    if not output:
        sys.stdout.flush()
        for part in answer.parts():
            write_all(1, part)
        return 0
    unfinished = Path(f"{output}.part")
    try:
        with unfinished.open("wb") as file:
            for part in answer.parts():
                file.write(part)
        unfinished.rename(output)
    finally:
        unfinished.unlink(missing_ok=True)
    return 0


def make(line: Line, session: Session) -> int:
    """Prints the id."""
    name, tag = split(line.arguments[1]) if len(line.arguments) > 1 else ("", "")
    query = [("fromSrc", "-"), ("repo", name), ("tag", tag), ("message", line.text("message"))]
    query += [("platform", line.text("platform")), *(("changes", change) for change in line.list("change"))]
    path = "/images/create?" + "&".join(f"{key}={quoted(value)}" for key, value in query if value)
    with _opened(line.arguments[0]) as file:
        report(session.client.transfer(path, None, Upload(_parts(file))), _sayer(session))
    return 0


def tag(line: Line, session: Session) -> int:
    """Prints nothing."""
    image, name = line.arguments
    repo, wanted = split(name)
    session.client.post(f"/images/{quoted(image)}/tag", None, {"repo": repo, "tag": wanted})
    return 0


def rm(line: Line, session: Session) -> int:
    """Prints what was removed."""
    status = 0
    query = {"force": line.switch("force"), "noprune": line.switch("no-prune")}
    for name in line.arguments:
        try:
            removed = records(session.client.delete(f"/images/{quoted(name)}", query))
        except RefusedError as error:
            if error.status == 404 and line.switch("force"):
                continue
            session.warn(f"linkspan: {error.message}")
            status = 1
        else:
            session.say(*_removed(removed))
    return status


def _removed(items: Sequence[Record]) -> Iterator[str]:
    for item in items:
        name = item.text("Untagged")
        yield f"Untagged: {name}" if name else f"Deleted: {item.text('Deleted')}"


def _step(item: Record, full: bool) -> str:
    return item.text("CreatedBy") if full else shortened(item.text("CreatedBy"), 45)


HISTORY = Kind(
    "Id",
    {
        "ID": Column("IMAGE", id_column()),
        "CreatedSince": Column("CREATED", _since),
        "CreatedAt": Column("CREATED AT", lambda item, full: local(item.number("Created"))),
        "CreatedBy": Column("CREATED BY", _step),
        "Size": Column("SIZE", _size),
        "Comment": Column("COMMENT", text("Comment")),
    },
    ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
)


def history(line: Line, session: Session) -> int:
    """The steps, the last first."""
    return show(session, line, HISTORY, records(session.client.get(f"/images/{quoted(line.arguments[0])}/history")))


def inspect(line: Line, session: Session) -> int:
    """Each image by name or id."""
    return inspect_all(session, line, line.arguments, lambda name: session.client.get(f"/images/{quoted(name)}/json"))


def prune(line: Line, session: Session) -> int:
    """Asks first, unless `--force`."""
    every = line.switch("all")
    what = "images without at least one container associated to them" if every else "dangling images"
    if not line.switch("force") and not agreed(f"WARNING! This will remove all {what}."):
        return 1
    wanted = (*line.list("filter"), f"dangling={'false' if every else 'true'}")
    found = Record(session.client.post("/images/prune", None, {"filters": filters(wanted)}))
    removed = found.records("ImagesDeleted")
    if removed:
        session.say("Deleted Images:", *_removed(removed), "")
    session.say(f"Total reclaimed space: {_size(Record({'Size': found.number('SpaceReclaimed')}), True)}")
    return 0

"""`linkspan volume …`."""

from linkspan.cli.answers import Json, Record
from linkspan.cli.client import RefusedError, filters, quoted
from linkspan.cli.grammar import Line
from linkspan.cli.inspecting import inspect as inspect_all
from linkspan.cli.lists import Column, Kind, labels_column, show, text
from linkspan.cli.networks import agreed
from linkspan.cli.session import Session
from linkspan.cli.words import pairs

VOLUMES = Kind(
    "Name",
    {
        "Driver": Column("DRIVER", text("Driver")),
        "Name": Column("VOLUME NAME", text("Name")),
        "Scope": Column("SCOPE", text("Scope")),
        "Mountpoint": Column("MOUNTPOINT", text("Mountpoint")),
        "Labels": Column("LABELS", labels_column),
        "CreatedAt": Column("CREATED AT", text("CreatedAt")),
    },
    ("Driver", "Name"),
)


def create(line: Line, session: Session) -> int:
    """Prints the name."""
    body: dict[str, Json] = {
        "Name": line.arguments[0] if line.arguments else "",
        "Driver": line.text("driver", "local"),
        "DriverOpts": pairs(line.list("opt")),
        "Labels": pairs(line.list("label")),
    }
    session.say(Record(session.client.post("/volumes/create", body)).text("Name"))
    return 0


def ls(line: Line, session: Session) -> int:
    """The volumes, by name. Names are never cut: they are what one types."""
    found = Record(session.client.get("/volumes", {"filters": filters(line.list("filter"))})).records("Volumes")
    if line.switch("quiet"):
        session.say(*(volume.text("Name") for volume in found))
        return 0
    return show(session, line, VOLUMES, found)


def inspect(line: Line, session: Session) -> int:
    """Everything about volumes."""
    return inspect_all(session, line, line.arguments, lambda name: session.client.get(f"/volumes/{quoted(name)}"))


def rm(line: Line, session: Session) -> int:
    """Goes on after a failure, and prints what was removed."""
    status = 0
    for name in line.arguments:
        try:
            session.client.delete(f"/volumes/{quoted(name)}", {"force": line.switch("force")})
        except RefusedError as error:
            session.warn(f"linkspan: {error.message}")
            status = 1
        else:
            session.say(name)
    return status


def prune(line: Line, session: Session) -> int:
    """Asks first, unless `--force`."""
    which = "volumes" if line.switch("all") else "volumes without a name"
    if not line.switch("force") and not agreed(f"WARNING! This will remove all {which} not used by a container."):
        return 1
    asked = (*line.list("filter"), *(("all=1",) if line.switch("all") else ()))
    removed = Record(session.client.post("/volumes/prune", None, {"filters": filters(asked)})).texts("VolumesDeleted")
    if removed:
        session.say("Deleted Volumes:", *removed)
    return 0
